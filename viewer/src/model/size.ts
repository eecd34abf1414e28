/** "12,4 Mo", "1.2 GB/s": bytes in the unit that keeps them short, with three figures as far as they say anything. Pure. */
export function inBytes(count: number, language: string, perSecond = false): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit: `${units[power]}${perSecond ? "-per-second" : ""}`,
    maximumSignificantDigits: 3,
  }).format(count / 1000 ** power);
}
