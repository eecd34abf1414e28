/** The slide's paper label and the scanner's picture of the whole glass: the guard against a wrong or half-scanned slide. */

import { html, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Speech } from "../i18n";
import { icons } from "./icons";
import { LightElement } from "./light";

export class LabelPanel extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property() label: string | null = null;
  @property() macro: string | null = null;
  @property({ attribute: false }) close!: () => void;

  protected override render(): TemplateResult {
    const { words } = this.speech;
    return html`
      <section class="iv-label-panel iv-panel" aria-label="${words.labelImage}, ${words.macroImage}">
        <button type="button" class="iv-close" aria-label=${words.close} data-tip=${words.close} data-cap="E" @click=${this.close}>
          ${icons.close}
        </button>
        ${this.#figure(this.label, words.labelImage, words.noLabel)} ${this.#figure(this.macro, words.macroImage, words.noMacro)}
      </section>
    `;
  }

  #figure(src: string | null, title: string, none: string): TemplateResult {
    return html`<figure>
      <figcaption>${title}</figcaption>
      ${src ? html`<img src=${src} alt=${title} draggable="false" />` : html`<p>${none}</p>`}
    </figure>`;
  }
}
customElements.define("iain-label", LabelPanel);
