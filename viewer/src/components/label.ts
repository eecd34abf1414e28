/** The slide's paper label and the scanner's picture of the whole glass: the guard against a wrong or half-scanned slide. */

import { html, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { Speech } from "../i18n";
import { icons } from "./icons";
import { LightElement } from "./light";

export class LabelPanel extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property() label: string | null = null;
  @property() macro: string | null = null;
  @property({ attribute: false }) close!: () => void;
  /** Labels are stuck on, and photographed, every way round. */
  @state() private quarters = 0;

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("label")) this.quarters = 0;
  }

  protected override render(): TemplateResult {
    const { words } = this.speech;
    return html`
      <section class="iv-label-panel iv-panel" aria-label="${words.labelImage}, ${words.macroImage}">
        <button type="button" class="iv-close" aria-label=${words.close} data-tip=${words.close} data-cap="E" @click=${this.close}>
          ${icons.close}
        </button>
        <figure>
          <figcaption>${words.labelImage}</figcaption>
          ${this.label ? this.#turnable(this.label) : html`<p>${words.noLabel}</p>`}
        </figure>
        <figure>
          <figcaption>${words.macroImage}</figcaption>
          ${this.macro ? html`<img src=${this.macro} alt=${words.macroImage} draggable="false" />` : html`<p>${words.noMacro}</p>`}
        </figure>
      </section>
    `;
  }

  #turnable(src: string): TemplateResult {
    const { words } = this.speech;
    return html`<button type="button" class="iv-turn" aria-label=${words.turnLabel} data-tip=${words.turnLabel} @click=${this.#turn}>
      <img class="iv-turned-${this.quarters}" src=${src} alt=${words.labelImage} draggable="false" />
    </button>`;
  }

  #turn(): void {
    this.quarters = (this.quarters + 1) % 4;
  }
}
customElements.define("iain-label", LabelPanel);
