/** How a consultation stands, as a word and a shape, and other sayings that several elements share. */

import { html, nothing, type TemplateResult } from "lit";
import { RequestError } from "../api/http";
import type { SlideContext } from "../api/slides";
import type { Speech } from "../i18n";
import { type Consultation, isOver, siteOfBall, turnOf } from "../model/consultation";
import { dayOf } from "../model/moment";
import { icons } from "./icons";
import type { Kept } from "./keeper";

/** "ouvert · chez Rouen", "répondu · à vous", "fermé". */
export function standingInWords(consultation: Consultation, speech: Speech): string {
  const state = speech.words.state[consultation.state];
  const turn = turnInWords(consultation, speech);
  return turn === null ? state : `${state} · ${turn}`;
}

function turnInWords(consultation: Consultation, { words }: Speech): string | null {
  switch (turnOf(consultation)) {
    case "yours":
      return words.yourTurn;
    case "theirs":
      return words.turnOf(siteOfBall(consultation));
    case "nobody":
      return null;
  }
}

/** A full disc waits for the reader, a ring for the other side, a tick has its answer, a bar leads nowhere. */
export function standingShape(consultation: Consultation): TemplateResult {
  if (consultation.state === "answered" || consultation.state === "closed") return icons.answered;
  if (isOver(consultation)) return icons.stopped;
  return turnOf(consultation) === "yours" ? icons.yours : icons.theirs;
}

/** At the foot of the page: whose turn it is; for a guest, until when. */
export function standingChip(
  consultation: Consultation | null,
  { kind, expires_us, pinned }: SlideContext,
  speech: Speech,
  open: () => void,
): TemplateResult | typeof nothing {
  const { words } = speech;
  if (consultation) {
    const state = words.state[consultation.state];
    const turn = turnInWords(consultation, speech);
    return html`<button
      type="button"
      class="iv-chip"
      data-turn=${turnOf(consultation)}
      data-tip=${words.panelTitle}
      data-cap="C"
      @click=${open}
    >
      ${standingShape(consultation)}<span class="iv-words" role="status"
        >${turn === null ? state : html`<span class="iv-more">${state} · </span>${turn}`}</span
      >
    </button>`;
  }
  if (kind !== "guest" || expires_us === null) return nothing;
  const dated = dayOf(expires_us / 1000, Date.now()) === "other";
  const pin = pinned ?? "";
  return html`<span class="iv-chip" data-pinned=${pin} data-tip=${pin ? words.guestPinned(pin) : speech.moment(expires_us)}>
    <span class="iv-words"
      ><span class="iv-more">${words.guest} </span>${words.guestUntil(speech.near(expires_us), dated)}${
        pin ? html`<span class="iv-more"> · ${words.guestVersion} ${pin.slice(0, 8)}</span>` : nothing
      }</span
    >
  </span>`;
}

export function keptInWords(kept: Kept, at: number, speech: Speech): string {
  switch (kept) {
    case "nothing":
      return "";
    case "saving":
      return speech.words.draftSaving;
    case "saved":
      return speech.words.draftSaved(speech.hour(at));
    case "failed":
      return speech.words.draftFailed;
  }
}

/** What the server said, in its words; or what is so when it said nothing. */
export function problemInWords(error: unknown, { words }: Speech): string {
  if (!(error instanceof RequestError)) throw error;
  if (error.status === 401) return words.sessionOver;
  return error.words ?? words.notSent;
}
