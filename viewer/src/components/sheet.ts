/** The phone's tools: four words at the foot, and a sheet that rises from it with the slides or the rest. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { SlideFile } from "../api/slides";
import type { Speech } from "../i18n";
import type { CommandId } from "../model/keys";
import { type Optics, PRESETS } from "../model/space";
import { icons } from "./icons";
import { LightElement } from "./light";

export type SheetPage = "slides" | "more";

export class ActionSheet extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property({ attribute: false }) run!: (command: CommandId) => void;
  @property({ attribute: false }) optics: Optics = { native: null, mpp: null };
  @property() page: SheetPage | null = null;
  @property({ attribute: false }) tray: TemplateResult | typeof nothing = nothing;
  @property({ type: Boolean }) copied = false;
  @property({ attribute: false }) able: readonly CommandId[] = [];
  @property({ type: Boolean }) asking = false;
  @property({ attribute: false }) file: SlideFile | null = null;

  protected override render(): TemplateResult {
    const { words } = this.speech;
    return html`
      <div class="iv-sheet-bar">
        ${this.tray === nothing ? nothing : this.#tab("slides", words.slides, icons.slides, this.page === "slides")}
        ${this.#tab("fit", words.fitShort, icons.fit)} ${this.able.includes("label") ? this.#tab("label", words.label, icons.label) : nothing}
        ${this.able.includes("ask") ? this.#tab("ask", words.opinion, icons.opinion, this.asking) : nothing}
        ${this.#tab("more", words.more, icons.more, this.page === "more")}
      </div>
      ${
        this.page === null
          ? nothing
          : html`<div class="iv-sheet-page">${this.page === "slides" ? this.tray : this.#more()}</div>`
      }
    `;
  }

  #more(): TemplateResult {
    const { words } = this.speech;
    const { native } = this.optics;
    return html`
      ${
        native === null
          ? nothing
          : html`<div class="iv-sheet-presets" role="group" aria-label=${words.presets}>
              ${PRESETS.map(
                (preset, index) =>
                  html`<button type="button" @click=${() => this.run(`preset-${(index + 1) as 1 | 2 | 3 | 4 | 5 | 6}`)}>
                    ${this.speech.times(preset)}
                  </button>`,
              )}
            </div>`
      }
      ${this.#row("rotate-right", words.rotate, icons.rotate)} ${this.#row("overview", words.overview, icons.overview)}
      ${this.able.includes("link") ? this.#row("link", this.copied ? words.linkCopied : words.link, this.copied ? icons.check : icons.link) : nothing}
      ${
        this.file
          ? html`<a class="iv-row" href=${this.file.url} download>
              ${icons.download}<span>${words.download(this.speech.bytes(this.file.length))}</span>
            </a>`
          : nothing
      }
    `;
  }

  #tab(command: CommandId, word: string, icon: TemplateResult, open?: boolean): TemplateResult {
    return html`<button type="button" aria-expanded=${open ?? nothing} @click=${() => this.run(command)}>
      ${icon}<span>${word}</span>
    </button>`;
  }

  #row(command: CommandId, word: string, icon: TemplateResult): TemplateResult {
    return html`<button type="button" class="iv-row" @click=${() => this.run(command)}>${icon}<span>${word}</span></button>`;
  }
}
customElements.define("iain-sheet", ActionSheet);
