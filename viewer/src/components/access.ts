/** Whether the slide may still be looked at. Asked when tiles fail, and again for as long as the answer is "away". */

import { type Refusal, whyRefused } from "../api/slides";

const ASK_AGAIN_MS = 3000;

export class Access {
  #timer = 0;
  #asking: string | null = null;

  constructor(private readonly tell: (refusal: Refusal | null) => void) {}

  /** Tells the answer, unless another slide was asked about, or the watch stopped, in the meantime. */
  async ask(id: string): Promise<void> {
    window.clearTimeout(this.#timer);
    this.#asking = id;
    const refusal = await whyRefused(id);
    if (this.#asking !== id) return;
    window.clearTimeout(this.#timer);
    if (refusal === "away") this.#timer = window.setTimeout(() => void this.ask(id), ASK_AGAIN_MS);
    this.tell(refusal);
  }

  stop(): void {
    window.clearTimeout(this.#timer);
    this.#asking = null;
  }
}
