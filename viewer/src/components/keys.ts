/** All keys and gestures on one page, opened by `?`. */

import { html, type TemplateResult } from "lit";
import { property, query } from "lit/decorators.js";
import type { Speech } from "../i18n";
import type { CommandId } from "../model/keys";
import { icons } from "./icons";
import { LightElement } from "./light";

type Row = readonly [caps: readonly string[], what: string];

export class KeysDialog extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @property({ attribute: false }) able: readonly CommandId[] = [];
  @query("dialog") private readonly dialog!: HTMLDialogElement;

  toggle(): void {
    if (this.dialog.open) this.dialog.close();
    else this.dialog.showModal();
  }

  protected override render(): TemplateResult {
    const { words } = this.speech;
    return html`
      <dialog class="iv-keys" aria-labelledby="keys-title" @click=${this.#outside}>
        <div class="iv-sheet">
          <header>
            <h2 id="keys-title">${words.keysTitle}</h2>
            <button type="button" class="iv-close" aria-label=${words.close} @click=${() => this.dialog.close()}>${icons.close}</button>
          </header>
          <div class="iv-columns">
            <div>
              ${this.#group(words.groupMove, [
                [["↑", "↓", "←", "→"], words.keyMove],
                [[words.shift, words.arrows], words.keyMoveFast],
                [["+", "−"], words.keyZoom],
                [["1", "…", "6"], words.keyPresets],
                [["0"], words.keyFit],
                [["R", `${words.shift} R`], words.keyRotate],
              ])}
              ${this.#group(words.groupMouse, [
                [[words.drag], words.mouseMove],
                [[words.wheel], words.mouseZoom],
                [[words.doubleClick], words.mouseDouble],
                [[words.shift, words.drag], words.keyRotateFree],
              ])}
            </div>
            ${this.#group(words.groupShow, [
              ...this.#ifAble("label", [["E", "L"], words.keyLabel]),
              [["V"], words.keyOverview],
              [["Page ↑", "Page ↓"], words.keySlides],
              ...this.#ifAble("link", [["U"], words.keyLink]),
              ...this.#ifAble("ask", [["C"], words.keyAsk], [["Ctrl", "↵"], words.keySend]),
              [["Tab"], words.keyFrame],
              [["F6"], words.keyTools],
              [["?"], words.keyKeys],
            ])}
          </div>
        </div>
      </dialog>
    `;
  }

  #group(title: string, rows: readonly Row[]): TemplateResult {
    return html`<section>
      <h3>${title}</h3>
      <dl>
        ${rows.map(([caps, what]) => html`<div><dt>${caps.map((cap) => html`<kbd>${cap}</kbd>`)}</dt><dd>${what}</dd></div>`)}
      </dl>
    </section>`;
  }

  #ifAble(command: CommandId, ...rows: Row[]): readonly Row[] {
    return this.able.includes(command) ? rows : [];
  }

  #outside(event: MouseEvent): void {
    if (event.target === this.dialog) this.dialog.close();
  }
}
customElements.define("iain-keys", KeysDialog);
