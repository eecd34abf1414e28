/** Which files a MIRAX slide consists of, by what its Slidedat.ini names. */

export const INI = "slidedat.ini";
const MOST_DATA_FILES = 2000;

/** The index file and the data files that a Slidedat.ini names. */
export function namedIn(ini: string): string[] {
  const values = new Map<string, string>();
  let section = "";
  for (const line of ini.replace(/^\uFEFF/, "").split(/\r\n|[\n\r]/)) {
    const equals = line.indexOf("=");
    if (line.startsWith("[")) section = line.trim().replace(/^\[+|\]+$/g, "");
    else if (equals >= 0) {
      const key = `${section}\n${line.slice(0, equals).trim()}`;
      if (!values.has(key)) values.set(key, line.slice(equals + 1).trim());
    }
  }
  const count = values.get("DATAFILE\nFILE_COUNT") ?? "";
  const numbers = Array.from({ length: /^\d{1,9}$/.test(count) ? Math.min(Number(count), MOST_DATA_FILES) : 0 });
  const data = numbers.map((_, number) => values.get(`DATAFILE\nFILE_${number}`));
  return [values.get("HIERARCHICAL\nINDEXFILE"), ...data].filter(
    (name) => name !== undefined && name !== "",
  ) as string[];
}
