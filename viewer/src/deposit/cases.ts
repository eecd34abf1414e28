/** The cases of one's own centre, by what is typed of their number. */

export interface CaseHint {
  readonly accession: string;
  readonly patient: string;
  readonly organ: string | null;
}

/** Fewer characters name nothing. */
export const LEAST_TYPED = 3;
const MOST_TOKENS = 4;
const cache = new Map<string, Promise<readonly CaseHint[]>>();

/** Those whose number begins so; none when nobody answers: the number can be typed all the same. */
export function suggest(typed: string): Promise<readonly CaseHint[]> {
  const begin = typed.trim().toUpperCase();
  if (begin.length < LEAST_TYPED) return Promise.resolve([]);
  const asked = cache.get(begin) ?? ask(begin);
  cache.set(begin, asked);
  return asked;
}

async function ask(begin: string): Promise<readonly CaseHint[]> {
  try {
    const response = await fetch(`/api/deposit/cases?q=${encodeURIComponent(begin)}`, { cache: "no-store" });
    if (response.ok) return (await response.json()) as CaseHint[];
  } catch {
    // Told by the sending, which meets the same silence.
  }
  cache.delete(begin);
  return [];
}

/** The case of exactly this number. */
export async function caseOf(accession: string): Promise<CaseHint | null> {
  const wanted = accession.trim().toUpperCase();
  return (await suggest(wanted)).find((each) => each.accession === wanted) ?? null;
}

/** The case whose number stands in the name of a file, between whatever parts a name. */
export async function caseIn(name: string): Promise<CaseHint | null> {
  for (const token of tokensOf(name)) {
    const found = await caseOf(token);
    if (found) return found;
  }
  return null;
}

/** What of a name could be a number: letters and figures, some of them figures; the parts of it, and the whole. */
export function tokensOf(name: string): string[] {
  const bare = name.replace(/\.[^.]{1,5}$/, "");
  const tokens = [...bare.split(/[\s_.,;()[\]-]+/), ...bare.split(/[\s_.,;()[\]]+/)];
  return [...new Set(tokens.filter((each) => each.length >= 5 && /\d{3}/.test(each)))].slice(0, MOST_TOKENS);
}
