/** The line at the foot: scale bar, magnification, position, and in words what the eye could mistake. */

import { html, nothing, svg, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Speech } from "../i18n";
import type { CommandId } from "../model/keys";
import { scaleBar } from "../model/scale";
import { magnificationOf, type Optics, type Point, type View } from "../model/space";
import { LightElement } from "./light";
import { onPhone } from "./phone";

const LONGEST_BAR = 160;
const LONGEST_BAR_ON_PHONE = 100;

export class Readings extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property({ attribute: false }) run!: (command: CommandId) => void;
  @property({ attribute: false }) view: View = { x: 0, y: 0, zoom: 1, rotation: 0 };
  @property({ attribute: false }) optics: Optics = { native: null, mpp: null };
  @property({ attribute: false }) pointer: Point | null = null;
  /** How the slide is shown where that is a choice; a pathologist must know. */
  @property({ attribute: false }) window: string | null | undefined = null;
  @property({ attribute: false }) plane: string | null | undefined = null;
  @property({ attribute: false }) note = "";
  /** How the consultation about the slide stands, or by what right it is seen. */
  @property({ attribute: false }) standing: TemplateResult | typeof nothing = nothing;

  protected override render(): TemplateResult {
    const { words } = this.speech;
    const { x, y } = this.pointer ?? this.view;
    const chosen = [this.window && words.window(this.window), this.plane && words.plane(this.plane)].filter(Boolean);
    return html`
      <div class="iv-readings">
        ${this.#scale()}
        <span class="iv-magnification" data-tip=${words.magnification}>${this.#magnification()}</span>
        <span class="iv-position" data-tip=${words.position}>
          <span class="iv-axis">x</span> ${this.speech.whole(x)} <span class="iv-axis">y</span> ${this.speech.whole(y)}
        </span>
        ${
          this.view.rotation === 0
            ? nothing
            : html`<button type="button" class="iv-rotation" data-tip=${words.upright} @click=${() => this.run("upright")}>
                ${this.speech.whole(this.view.rotation)}°
              </button>`
        }
        ${chosen.map((one) => html`<span class="iv-chosen">${one}</span>`)}
        <span class="iv-note" role="status">${this.note}</span>
        ${this.standing}
      </div>
    `;
  }

  #scale(): TemplateResult {
    const { words } = this.speech;
    const longest = onPhone() ? LONGEST_BAR_ON_PHONE : LONGEST_BAR;
    const bar = scaleBar(this.optics.mpp, this.view.zoom, longest);
    if (!bar) return html`<span class="iv-uncalibrated" data-tip=${words.uncalibratedWhy}>${words.uncalibrated}</span>`;
    const end = Math.round(bar.pixels) + 0.5;
    const length = `${this.speech.fine(bar.value)} ${bar.unit}`;
    return html`<span class="iv-scale" data-um=${bar.unit === "mm" ? bar.value * 1000 : bar.value} aria-label="${words.scale} ${length}">
      <svg class="iv-bar" width=${end + 1} height="10" aria-hidden="true">
        ${svg`<path d="M0.5 1v8M0.5 5H${end}M${end} 1v8" />`}
      </svg>
      <span>${length}</span>
    </span>`;
  }

  #magnification(): string {
    const magnification = magnificationOf(this.view.zoom, this.optics);
    if (magnification !== null) return this.speech.times(magnification);
    return this.speech.words.zoomOnly(`${this.speech.fine(this.view.zoom * 100)} %`);
  }
}
customElements.define("iain-readings", Readings);
