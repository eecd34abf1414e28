/** What there is on the slide in a corner, with the part that is on the stage framed; a press or a drag goes there. */

import { html, nothing, svg, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Speech } from "../i18n";
import { cornersOf, type Point, type Rect, type Size, type View } from "../model/space";
import { LightElement } from "./light";

/** Small enough that the frame of the view would be lost: a cross is drawn about it. */
const LOST_FRAME = 10;

export class Overview extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property({ attribute: false }) shown: Rect = { x: 0, y: 0, width: 1, height: 1 };
  @property({ attribute: false }) stage: Size = { width: 1, height: 1 };
  @property({ attribute: false }) view: View = { x: 0, y: 0, zoom: 1, rotation: 0 };
  @property() src: string | null = null;
  @property({ attribute: false }) goTo!: (x: number, y: number) => void;

  protected override render(): TemplateResult {
    const { width, height } = this.#box;
    return html`
      <div class="iv-overview iv-panel" data-tip=${this.speech.words.overviewTitle}>
        <div
          class="iv-picture"
          @pointerdown=${this.#press}
          @pointermove=${this.#drag}
        >
          ${this.src ? html`<img src=${this.src} alt="" width=${width} height=${height} draggable="false" />` : nothing}
          <svg viewBox="0 0 ${width} ${height}" width=${width} height=${height} aria-hidden="true">${this.#frame()}</svg>
        </div>
      </div>
    `;
  }

  /** The picture's size on screen: fixed for a slide, so that nothing around it moves. */
  get #box(): Size {
    const most = { width: 200, height: 180 };
    const scale = Math.min(most.width / this.shown.width, most.height / this.shown.height);
    return { width: Math.round(this.shown.width * scale), height: Math.round(this.shown.height * scale) };
  }

  #frame(): TemplateResult {
    const box = this.#box;
    const scale = box.width / this.shown.width;
    const put = ({ x, y }: Point): Point => ({ x: (x - this.shown.x) * scale, y: (y - this.shown.y) * scale });
    const corners = cornersOf(this.view, this.stage).map(put);
    const points = corners.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    const outside = `M0 0H${box.width}V${box.height}H0zM${corners.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}z`;
    const { x, y } = put(this.view);
    const small = Math.hypot(corners[0]!.x - corners[2]!.x, corners[0]!.y - corners[2]!.y) < LOST_FRAME;
    return svg`
      <path class="iv-outside" fill-rule="evenodd" d=${outside} />
      <polygon class="iv-frame" points=${points} />
      ${small ? svg`<path class="iv-cross" d="M${x - 12} ${y}h8M${x + 4} ${y}h8M${x} ${y - 12}v8M${x} ${y + 4}v8" />` : nothing}
    `;
  }

  #press(event: PointerEvent): void {
    if (event.button !== 0) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    this.#go(event);
  }

  #drag(event: PointerEvent): void {
    if (event.buttons & 1) this.#go(event);
  }

  #go(event: PointerEvent): void {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const x = this.shown.x + ((event.clientX - box.left) / box.width) * this.shown.width;
    const y = this.shown.y + ((event.clientY - box.top) / box.height) * this.shown.height;
    this.goTo(x, y);
  }
}
customElements.define("iain-overview", Overview);
