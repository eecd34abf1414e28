/** Asks again and again, while the page is looked at, whether the link that a guest came by still stands. */

import { fetchGuestState, type GuestState } from "../api/sharing";

const EVERY_MS = 700;

export class Visit {
  #timer = 0;
  #runs = false;

  constructor(private readonly tell: (state: GuestState | "away") => void) {}

  start(): void {
    if (this.#runs) return;
    this.#runs = true;
    document.addEventListener("visibilitychange", this.#looked);
    this.#wait();
  }

  stop(): void {
    this.#runs = false;
    window.clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#looked);
  }

  async ask(): Promise<void> {
    window.clearTimeout(this.#timer);
    const state = await fetchGuestState();
    if (!this.#runs) return;
    this.tell(state);
    this.#wait();
  }

  #wait(): void {
    window.clearTimeout(this.#timer);
    if (document.visibilityState === "visible") this.#timer = window.setTimeout(() => void this.ask(), EVERY_MS);
  }

  readonly #looked = (): void => {
    if (document.visibilityState === "visible") void this.ask();
  };
}
