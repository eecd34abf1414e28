/** The three things to say of a moment less than an hour old; `minutes` holds `{n}`. */
export interface AgeWords {
  readonly now: string;
  readonly minutes: string;
  readonly later: string;
}

export function ageInWords(whenMs: number, nowMs: number, words: AgeWords): string {
  const minutes = Math.floor(Math.max(0, nowMs - whenMs) / 60_000);
  if (minutes < 1) return words.now;
  return minutes < 60 ? words.minutes.replace("{n}", String(minutes)) : words.later;
}
