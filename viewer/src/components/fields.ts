/** The fields of the forms beside the slide. They look alike and keep their size, whatever is written in them. */

import { html, nothing, type TemplateResult } from "lit";
import { live } from "lit/directives/live.js";

export interface Option<T> {
  readonly value: T;
  readonly word: string;
  /** It cannot be chosen. */
  readonly closed?: boolean;
}

/** One of a few: radio buttons that look like one control. */
export function choice<T extends string | number>(
  name: string,
  title: string,
  options: readonly Option<T>[],
  chosen: T | null,
  choose: (value: T) => void,
): TemplateResult {
  return html`<fieldset class="iv-choice iv-choice-${name}">
    <legend>${title}</legend>
    <div class="iv-segments">
      ${options.map(
        ({ value, word, closed }) => html`<label>
          <input
            type="radio"
            name=${name}
            .value=${`${value}`}
            .checked=${live(value === chosen)}
            ?disabled=${closed ?? false}
            @change=${() => choose(value)}
          /><span>${word}</span>
        </label>`,
      )}
    </div>
  </fieldset>`;
}

export interface Text {
  readonly name: string;
  readonly title: string;
  readonly hint: string;
  readonly value: string;
  readonly longest: number;
  readonly rows?: number;
  readonly type?: "text" | "email";
  readonly write: (text: string) => void;
}

export function text({ name, title, hint, value, longest, rows, type = "text", write }: Text): TemplateResult {
  const typed = (event: Event): void => write((event.target as HTMLTextAreaElement).value);
  return html`<label class="iv-text">
    <span class="iv-legend">${title}</span>
    ${
      rows
        ? html`<textarea
            name=${name}
            rows=${rows}
            maxlength=${longest}
            placeholder=${hint}
            spellcheck="true"
            .value=${live(value)}
            @input=${typed}
          ></textarea>`
        : html`<input
            type=${type}
            name=${name}
            maxlength=${longest}
            placeholder=${hint}
            autocomplete="off"
            .value=${live(value)}
            @input=${typed}
          />`
    }
  </label>`;
}

/** What went wrong or what is missing, in a line that is always there. */
export function problemLine(problem: string, otherwise: TemplateResult | string = ""): TemplateResult {
  return html`<p class="iv-line ${problem ? "iv-problem" : ""}" role=${problem ? "alert" : nothing}>${problem || otherwise}</p>`;
}
