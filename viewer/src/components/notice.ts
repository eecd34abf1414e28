/** What stands between the reader and the slide, in words, with the next step. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Speech } from "../i18n";
import { icons } from "./icons";
import { LightElement } from "./light";

export type Trouble = "away" | "ended" | "revoked" | "broken";

export class Notice extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property() trouble: Trouble | null = null;
  @property() loginHref = "/login";
  @property() casesHref = "/cases";

  protected override render(): TemplateResult | typeof nothing {
    const { words } = this.speech;
    switch (this.trouble) {
      case "away":
        return html`<div class="iv-notice iv-strip" role="alert">
          ${icons.away}<p><strong>${words.away}</strong> ${words.awayMore}</p>
        </div>`;
      case "ended":
        return this.#page(icons.lock, words.ended, words.endedMore, this.loginHref, words.logIn);
      case "revoked":
        return this.#page(icons.lock, words.revoked, words.revokedMore, this.casesHref, words.backToCases);
      case "broken":
        return this.#page(icons.alert, words.broken, words.brokenMore, "", words.retry);
      default:
        return nothing;
    }
  }

  #page(icon: TemplateResult, title: string, more: string, href: string, step: string): TemplateResult {
    return html`<div class="iv-notice iv-page" role="alert">
      <div class="iv-panel">
        ${icon}
        <h2>${title}</h2>
        <p>${more}</p>
        <a class="iv-step" href=${href}>${step}</a>
      </div>
    </div>`;
  }
}
customElements.define("iain-notice", Notice);
