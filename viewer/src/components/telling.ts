/** What the viewer tells of itself: to the line at its foot in words, to the page around it as `data-` attributes. */

import type { Speech } from "../i18n";
import { magnificationOf, type Optics, type View } from "../model/space";

/** Nobody need read of what is over in the blink of an eye. */
const QUIET_MS = 300;

export class Telling {
  #timer = 0;

  constructor(
    private readonly host: HTMLElement,
    private readonly speech: Speech,
    /** Says a note at the foot; "" takes it away. */
    readonly say: (note: string) => void,
  ) {}

  get ready(): boolean {
    return this.host.hasAttribute("data-ready");
  }

  slide(id: string): void {
    this.host.removeAttribute("data-ready");
    this.host.dataset.slide = id;
  }

  view(view: View, optics: Optics): void {
    const magnification = magnificationOf(view.zoom, optics);
    this.host.dataset.center = `${round(view.x, 2)},${round(view.y, 2)}`;
    this.host.dataset.zoom = `${round(view.zoom, 6)}`;
    this.host.dataset.magnification = magnification === null ? "" : `${round(magnification, 4)}`;
    this.host.dataset.rotation = `${round(view.rotation, 1)}`;
  }

  firstView(): void {
    this.host.toggleAttribute("data-ready", true);
  }

  /** How much of the view is there: all of it, all but so many tiles that failed, or not yet. */
  drawn(sharp: boolean, missing: number): void {
    this.host.toggleAttribute("data-sharp", sharp);
    window.clearTimeout(this.#timer);
    if (sharp) return this.say("");
    const { words } = this.speech;
    const waiting = this.ready ? words.sharpening : words.loading;
    const note = missing > 0 ? words.missing(missing) : waiting;
    this.#timer = window.setTimeout(() => this.say(note), QUIET_MS);
  }

  stop(): void {
    window.clearTimeout(this.#timer);
  }
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
