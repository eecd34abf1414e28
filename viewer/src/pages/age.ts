import { ageInWords } from "./ago";

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
