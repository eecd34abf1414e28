/** A form beside the slide: it sends one thing at a time, and says in a line what hindered it. */

import { property, state } from "lit/decorators.js";
import type { Speech } from "../i18n";
import { LightElement } from "./light";
import { problemInWords } from "./standing";

export abstract class FormElement extends LightElement {
  @property({ attribute: false }) speech!: Speech;
  @state() protected busy = false;
  @state() protected problem = "";

  /** What the main button does, and Ctrl + Enter from within a text. */
  abstract submit(): void;

  protected async attempt(act: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.problem = "";
    try {
      await act();
    } catch (error) {
      this.problem = problemInWords(error, this.speech);
    } finally {
      this.busy = false;
    }
  }

  protected lacks(what: string, selector: string): void {
    this.problem = what;
    this.querySelector<HTMLElement>(selector)?.focus();
  }
}
