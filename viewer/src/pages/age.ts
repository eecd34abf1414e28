/** A moment less than an hour old, told as its age and kept true while the page stays open.
 *
 * The server renders the words; this only counts. `minutes` is the sentence with `{n}` in it, `now` the one for less
 * than a minute, `later` what to say once the hour is over.
 */
export class Age extends HTMLElement {
  #timer: number | undefined;

  connectedCallback(): void {
    this.#timer = window.setInterval(() => this.#tell(), 20_000);
  }

  disconnectedCallback(): void {
    window.clearInterval(this.#timer);
  }

  #tell(): void {
    const time = this.querySelector("time");
    if (!time) return;
    const words = ageInWords(Date.parse(time.dateTime), Date.now(), {
      now: this.getAttribute("now") ?? "",
      minutes: this.getAttribute("minutes") ?? "{n}",
      later: this.getAttribute("later") ?? "",
    });
    if (time.textContent !== words) time.textContent = words;
  }
}

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
