/** Follows a consultation while the page is looked at: the other side acts, and it is seen here. */

import { RequestError } from "../api/http";
import { fetchConsultation } from "../api/sharing";
import { type Consultation, isOver } from "../model/consultation";

const EVERY_MS = 2000;
const AFTER_FAILURE_MS = 10_000;

export class Follow {
  #id: string | null = null;
  #etag: string | null = null;
  #timer = 0;

  constructor(private readonly tell: (consultation: Consultation | null) => void) {}

  get id(): string | null {
    return this.#id;
  }

  /** Follows this one instead; `known` is what was just heard of it. */
  start(id: string | null, known?: Consultation): void {
    if (id === this.#id && !known) return;
    this.stop();
    this.#id = id;
    if (known) {
      this.tell(known);
      if (!isOver(known)) this.#wait(EVERY_MS);
    } else if (id === null) this.tell(null);
    else void this.#ask(id);
  }

  stop(): void {
    window.clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#again);
    this.#id = null;
    this.#etag = null;
  }

  async #ask(id: string): Promise<void> {
    try {
      const found = await fetchConsultation(id, this.#etag);
      if (this.#id !== id) return;
      if (found) {
        this.#etag = found.etag;
        this.tell(found.consultation);
        if (isOver(found.consultation)) return;
      }
    } catch (error) {
      if (this.#id !== id) return;
      if (!(error instanceof RequestError || error instanceof TypeError)) throw error;
      // Gone for this reader: the slide will say so by itself.
      if (error instanceof RequestError && error.status === 404) return this.tell(null);
      return this.#wait(AFTER_FAILURE_MS);
    }
    this.#wait(EVERY_MS);
  }

  #wait(ms: number): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(this.#again, ms);
  }

  readonly #again = (): void => {
    document.removeEventListener("visibilitychange", this.#again);
    if (this.#id === null) return;
    if (document.visibilityState === "visible") void this.#ask(this.#id);
    else document.addEventListener("visibilitychange", this.#again);
  };
}
