/** What stands between the reader and the slide, in words, with the next step. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Speech } from "../i18n";
import { icons } from "./icons";
import { LightElement } from "./light";

export type Trouble = "away" | "ended" | "revoked" | "expired" | "broken";

/** How a visit by a link or a consultation ended: told in its own words instead of those for one's own slides. */
export type Ending = "guest-revoked" | "guest-expired" | "guest-maker" | "guest-objected" | "guest-none" | "share";

export class Notice extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property() trouble: Trouble | null = null;
  @property() ending: Ending | null = null;
  @property() loginHref = "/login";
  @property() casesHref = "/cases";
  @property() opinionHref = "/consultations";

  protected override render(): TemplateResult | typeof nothing {
    const { words } = this.speech;
    const closed = this.trouble === "ended" || this.trouble === "revoked" || this.trouble === "expired";
    if (closed && this.ending) return this.#ended(this.ending);
    switch (this.trouble) {
      case "away":
        return html`<div class="iv-notice iv-strip" role="alert">
          ${icons.away}<p><strong>${words.away}</strong> ${words.awayMore}</p>
        </div>`;
      case "ended":
        return this.#page(icons.lock, words.ended, words.endedMore, this.loginHref, words.logIn);
      case "revoked":
      case "expired":
        return this.#page(icons.lock, words.revoked, words.revokedMore, this.casesHref, words.backToCases);
      case "broken":
        return this.#page(icons.alert, words.broken, words.brokenMore, "", words.retry);
      default:
        return nothing;
    }
  }

  #ended(ending: Ending): TemplateResult {
    const { words } = this.speech;
    switch (ending) {
      case "guest-revoked":
        return this.#page(icons.lock, words.guestRevoked, words.guestRevokedMore);
      case "guest-expired":
        return this.#page(icons.lock, words.guestExpired, words.guestExpiredMore);
      case "guest-maker":
        return this.#page(icons.lock, words.guestMaker, words.guestMakerMore);
      case "guest-objected":
        return this.#page(icons.lock, words.guestObjected, words.guestObjectedMore);
      case "guest-none":
        return this.#page(icons.lock, words.guestNone, words.guestNoneMore);
      case "share":
        return this.#page(icons.lock, words.shareEnded, words.shareEndedMore, this.opinionHref, words.toOpinion);
    }
  }

  #page(icon: TemplateResult, title: string, more: string, href?: string, step?: string): TemplateResult {
    return html`<div class="iv-notice iv-page" role="alert">
      <div class="iv-panel">
        ${icon}
        <h2>${title}</h2>
        <p>${more}</p>
        ${href === undefined ? nothing : html`<a class="iv-step" href=${href}>${step}</a>`}
      </div>
    </div>`;
  }
}
customElements.define("iain-notice", Notice);
