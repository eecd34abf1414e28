/** The slides of the case, in a column beside the stage. Each is a link, so that it also opens in a window of its own. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { SlideOfCase } from "../api/slides";
import type { Speech } from "../i18n";
import { LightElement } from "./light";

export class Tray extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property({ attribute: false }) slides: readonly SlideOfCase[] = [];
  @property() current = "";
  @property({ attribute: false }) hrefOf!: (id: string) => string;
  @property({ attribute: false }) open!: (id: string) => void;

  protected override render(): TemplateResult | typeof nothing {
    const { words } = this.speech;
    return html`
      <nav class="iv-tray iv-panel" aria-label=${words.trayTitle}>
        <ol>
          ${repeat(
            this.slides,
            (slide) => slide.id,
            (slide, index) => html`<li>${this.#slide(slide, index)}</li>`,
          )}
        </ol>
      </nav>
    `;
  }

  protected override updated(): void {
    this.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  #slide(slide: SlideOfCase, index: number): TemplateResult {
    const { words } = this.speech;
    const number = words.slideNumber(index + 1, this.slides.length);
    const name = [slide.block, slide.stain ?? words.noStain].filter(Boolean).join(" · ");
    const picture = html`<span class="iv-picture">
      ${slide.thumbnail_url && slide.state === "ready" ? html`<img src=${slide.thumbnail_url} alt="" loading="lazy" draggable="false" />` : nothing}
      <span class="iv-number" data-number=${index + 1}></span>
    </span>`;
    if (slide.state !== "ready") {
      const state = slide.state === "refused" ? words.refused : words.preparing;
      return html`<span class="iv-slide iv-waiting" data-tip="${number} · ${name} · ${state}">
        ${picture}<span class="iv-name">${state}</span>
      </span>`;
    }
    return html`<a
      class="iv-slide"
      href=${this.hrefOf(slide.id)}
      data-tip="${number} · ${name}"
      aria-label="${number}, ${name}"
      aria-current=${slide.id === this.current ? "true" : nothing}
      @click=${(event: MouseEvent) => this.#choose(event, slide.id)}
    >
      ${picture}<span class="iv-name">${slide.stain ?? "?"}</span>
    </a>`;
  }

  #choose(event: MouseEvent, id: string): void {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.open(id);
  }
}
customElements.define("iain-tray", Tray);
