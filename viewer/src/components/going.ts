/** What goes along with a request or a link: the slides, and the view that is pinned. */

import { html, nothing, type TemplateResult } from "lit";
import type { Speech } from "../i18n";
import { PURPOSES, type Purpose } from "../model/consultation";
import { SCOPES, type Scope } from "../model/draft";
import { choice } from "./fields";

/** A view: of which slide, where, and how one says it. */
export interface Pin {
  readonly slideId: string;
  /** The fragment of an address, without its "#". */
  readonly view: string;
  readonly words: string;
}

export interface Going {
  readonly caseId: string;
  readonly pin: Pin;
  /** What leaves: all slides of the case that are ready, or the pinned one. */
  readonly slides: readonly string[];
  /** How many slides of the case are ready. */
  readonly ready: number;
  /** The purposes to which the patient objects. */
  readonly objections: readonly string[];
  readonly goToPin: () => void;
  readonly pinAgain: () => void;
}

export function scopeChoice(
  { ready }: Going,
  scope: Scope,
  { words }: Speech,
  choose: (scope: Scope) => void,
): TemplateResult | typeof nothing {
  if (ready < 2) return nothing;
  const options = SCOPES.map((value) => ({ value, word: value === "case" ? words.wholeCase(ready) : words.thisSlide }));
  return choice("scope", words.scopeTitle, options, scope, choose);
}

/** What it is for; what the patient objects to cannot be chosen, and it says why. */
export function purposeChoice(
  { objections }: Going,
  chosen: Purpose,
  { words }: Speech,
  choose: (purpose: Purpose) => void,
): TemplateResult {
  const options = PURPOSES.map((value) => ({
    value,
    word: words.purpose[value],
    closed: objections.includes(value),
  }));
  const objected = options.filter(({ closed }) => closed).map(({ word }) => word);
  return html`${choice("purpose", words.purposeTitle, options, chosen, choose)}
    ${objected.length > 0 ? html`<p class="iv-quiet" data-objected>${words.objected(objected.join(", "))}</p>` : nothing}`;
}

export function pinned({ pin, goToPin, pinAgain }: Going, { words }: Speech): TemplateResult {
  return html`<div class="iv-pinned" data-pinned=${pin.view}>
    <p><span class="iv-legend">${words.pinned}</span> ${pin.words}</p>
    <button type="button" class="iv-quiet-button" @click=${goToPin}>${words.backToPin}</button>
    <button type="button" class="iv-quiet-button" @click=${pinAgain}>${words.pinAgain}</button>
  </div>`;
}
