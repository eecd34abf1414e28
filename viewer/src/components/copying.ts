/** Copies the address of the view, and says so for a moment. */

import type { ReactiveController, ReactiveControllerHost } from "lit";

const SAID_MS = 2000;

export class Copying implements ReactiveController {
  #timer = 0;
  #done = false;

  constructor(private readonly host: ReactiveControllerHost) {
    host.addController(this);
  }

  hostDisconnected(): void {
    window.clearTimeout(this.#timer);
  }

  /** Whether it was copied a moment ago. */
  get done(): boolean {
    return this.#done;
  }

  /** `byHand` is what a reader is told whom the browser leaves to do it. */
  async copy(byHand: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      // Without TLS a browser keeps the clipboard from scripts: the reader copies by hand.
      window.prompt(byHand, location.href);
      return;
    }
    this.#say(true);
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#say(false), SAID_MS);
  }

  #say(done: boolean): void {
    this.#done = done;
    this.host.requestUpdate();
  }
}
