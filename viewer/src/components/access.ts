/**
 * Whether the slide may still be looked at. A member's right is asked about when tiles fail, and again for as long as
 * the answer is "away"; a guest's link is asked about all the time besides, so that its end is told at once.
 */

import type { GuestState } from "../api/sharing";
import { contextOf, type Refusal, type SlideDescription, whyRefused } from "../api/slides";
import type { Ending } from "./notice";
import { Visit } from "./visit";

const ASK_AGAIN_MS = 3000;

/** Why the slide may not be looked at, and how the visit ended where there is more to say about it. */
export interface Refused {
  readonly refusal: Refusal;
  readonly ending: Ending | null;
}

const OF_GUEST: Readonly<Record<Exclude<GuestState, "standing">, Refused>> = {
  revoked: { refusal: "revoked", ending: "guest-revoked" },
  maker: { refusal: "revoked", ending: "guest-maker" },
  objected: { refusal: "revoked", ending: "guest-objected" },
  expired: { refusal: "expired", ending: "guest-expired" },
  used_up: { refusal: "ended", ending: "guest-none" },
  none: { refusal: "ended", ending: "guest-none" },
};

export class Access {
  #timer = 0;
  #slide: SlideDescription | null = null;
  #asked: SlideDescription | null = null;
  readonly #visit = new Visit((state) => this.#guestTold(state));

  constructor(private readonly tell: (refused: Refused | null) => void) {}

  watch(slide: SlideDescription): void {
    this.stop();
    this.#slide = slide;
    if (this.#isGuest) this.#visit.start();
  }

  /** Tells the answer, unless another slide is watched, or none, in the meantime. */
  async ask(): Promise<void> {
    window.clearTimeout(this.#timer);
    const slide = this.#slide;
    if (!slide) return;
    if (this.#isGuest) return this.#visit.ask();
    // A screen of tiles that fail together makes one question.
    if (this.#asked === slide) return;
    this.#asked = slide;
    const refusal = await whyRefused(slide.id).finally(() => {
      this.#asked = null;
    });
    if (this.#slide !== slide) return;
    if (refusal === "away") this.#timer = window.setTimeout(() => void this.ask(), ASK_AGAIN_MS);
    const shared = refusal === "revoked" && contextOf(slide).kind === "consultation";
    this.tell(refusal && { refusal, ending: shared ? "share" : null });
  }

  stop(): void {
    window.clearTimeout(this.#timer);
    this.#visit.stop();
    this.#slide = null;
  }

  get #isGuest(): boolean {
    return this.#slide !== null && contextOf(this.#slide).kind === "guest";
  }

  #guestTold(state: GuestState | "away"): void {
    if (state === "standing") this.tell(null);
    else if (state === "away") this.tell({ refusal: "away", ending: null });
    else this.tell(OF_GUEST[state] ?? OF_GUEST.none);
  }
}
