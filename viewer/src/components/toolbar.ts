/** The tool bar: what a hand needs all day, one row, every button naming its key. On a phone, the foot of the page. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { SlideFile } from "../api/slides";
import type { Speech } from "../i18n";
import { CAPS, type CommandId } from "../model/keys";
import { type Optics, PRESETS } from "../model/space";
import { icons } from "./icons";
import { LightElement } from "./light";

export class Toolbar extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property({ attribute: false }) run!: (command: CommandId) => void;
  @property({ attribute: false }) optics: Optics = { native: null, mpp: null };
  @property({ attribute: false }) limits: { readonly min: number; readonly max: number } = { min: 0, max: 1 };
  @property({ type: Number }) zoom = 1;
  @property({ type: Boolean }) labelShown = false;
  @property({ type: Boolean }) overviewShown = true;
  @property({ type: Boolean }) copied = false;
  /** Of the commands that not every reader has: those that this one has. */
  @property({ attribute: false }) able: readonly CommandId[] = [];
  @property({ type: Boolean }) asking = false;
  @property({ attribute: false }) file: SlideFile | null = null;

  protected override render(): TemplateResult {
    const { words } = this.speech;
    return html`
      <div class="iv-toolbar" role="toolbar" aria-label=${words.tools}>
        ${this.#presets()}
        <div class="iv-group">
          ${this.#button("zoom-out", words.zoomOut, icons.minus)} ${this.#button("zoom-in", words.zoomIn, icons.plus)}
          ${this.#button("fit", words.fit, icons.fit)} ${this.#button("rotate-right", words.rotate, icons.rotate)}
        </div>
        <div class="iv-group">
          ${this.able.includes("label") ? this.#button("label", words.label, icons.label, this.labelShown) : nothing}
          ${this.#button("overview", words.overview, icons.overview, this.overviewShown)}
          ${this.able.includes("link") ? this.#button("link", this.copied ? words.linkCopied : words.link, this.copied ? icons.check : icons.link) : nothing}
          ${this.file ? this.#download(this.file) : nothing}
          ${this.#button("keys", words.keys, html`<span class="iv-glyph" aria-hidden="true">?</span>`)}
        </div>
        ${this.able.includes("ask") ? this.#ask() : nothing}
      </div>
      <span class="iv-spoken" role="status">${this.copied ? words.linkCopied : nothing}</span>
    `;
  }

  /** A link, not a command: no key that is pressed by mistake takes gigabytes away. */
  #download({ url, length }: SlideFile): TemplateResult {
    const label = this.speech.words.download(this.speech.bytes(length));
    return html`<a href=${url} download data-tip=${label} aria-label=${label}>${icons.download}</a>`;
  }

  /** The one with its word: what the slide is shared by. */
  #ask(): TemplateResult {
    const { words } = this.speech;
    return html`<div class="iv-group">
      <button
        type="button"
        class="iv-worded"
        data-command="ask"
        data-tip=${words.opinionTip}
        data-cap=${CAPS.ask ?? nothing}
        aria-keyshortcuts=${CAPS.ask ?? nothing}
        aria-expanded=${this.asking}
        @click=${() => this.run("ask")}
      >
        ${icons.opinion}<span>${words.opinion}</span>
      </button>
    </div>`;
  }

  #presets(): TemplateResult | typeof nothing {
    const { native } = this.optics;
    if (native === null) return nothing;
    const { words } = this.speech;
    return html`<div class="iv-group iv-presets" role="group" aria-label=${words.presets}>
      ${PRESETS.map((preset, index) => {
        const command = `preset-${(index + 1) as 1 | 2 | 3 | 4 | 5 | 6}` as const;
        const reachable = preset / native >= this.limits.min * 0.999 && preset / native <= this.limits.max * 1.001;
        const beyond = preset > native * 1.01;
        const tip = !reachable
          ? words.outOfReach
          : beyond
            ? words.beyondScan(this.speech.times(native))
            : `${words.presets} ${this.speech.times(preset)}`;
        return html`<button
          type="button"
          class="iv-preset ${beyond ? "iv-beyond" : ""}"
          data-command=${command}
          data-tip=${tip}
          data-cap=${CAPS[command] ?? nothing}
          aria-keyshortcuts=${index + 1}
          aria-pressed=${Math.abs((this.zoom * native) / preset - 1) < 0.001}
          ?disabled=${!reachable}
          @click=${() => this.run(command)}
        >
          ${this.speech.times(preset)}
        </button>`;
      })}
    </div>`;
  }

  #button(command: CommandId, label: string, icon: TemplateResult, pressed?: boolean): TemplateResult {
    const cap = CAPS[command];
    return html`<button
      type="button"
      data-command=${command}
      data-tip=${label}
      data-cap=${cap ?? nothing}
      aria-label=${label}
      aria-keyshortcuts=${cap ?? nothing}
      aria-pressed=${pressed === undefined ? nothing : pressed}
      @click=${() => this.run(command)}
    >
      ${icon}
    </button>`;
  }
}
customElements.define("iain-toolbar", Toolbar);
