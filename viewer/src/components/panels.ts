/** What of the frame is open over the slide. It opens and closes together: one thing at a time in one place. */

import type { ReactiveController, ReactiveControllerHost } from "lit";
import { onPhone } from "./phone";
import type { SheetPage } from "./sheet";

export interface Shown {
  readonly frame: boolean;
  readonly label: boolean;
  readonly overview: boolean;
  readonly sheet: SheetPage | null;
  /** The panel of opinions; "quietly" when it opened by itself and leaves the keyboard with the slide. */
  readonly asking: boolean | "quietly";
}

export class Panels implements ReactiveController {
  #shown: Shown = {
    frame: true,
    label: false,
    overview: !onPhone(),
    sheet: null,
    asking: false,
  };

  constructor(private readonly host: ReactiveControllerHost) {
    host.addController(this);
  }

  hostConnected(): void {
    // What is open stays so.
  }

  get shown(): Shown {
    return this.#shown;
  }

  toggleFrame(): void {
    this.#change({ frame: !this.#shown.frame });
  }

  showFrame(): void {
    this.#change({ frame: true });
  }

  toggleLabel(): void {
    this.#change({ sheet: null, asking: false, label: !this.#shown.label });
  }

  toggleOverview(): void {
    this.#change({ sheet: null, overview: !this.#shown.overview });
  }

  toggleSheet(page: SheetPage): void {
    this.#change({ asking: false, sheet: this.#shown.sheet === page ? null : page });
  }

  closeSheet(): void {
    this.#change({ sheet: null });
  }

  ask(how: true | "quietly"): void {
    if (how === "quietly") this.#change({ asking: how });
    else this.#change({ frame: true, label: false, sheet: null, asking: how });
  }

  stopAsking(): void {
    this.#change({ asking: false });
  }

  /** Closes what lies on top. */
  dismiss(): void {
    const { label, asking, sheet, frame } = this.#shown;
    if (label) this.#change({ label: false });
    else if (asking) this.#change({ asking: false });
    else if (sheet) this.#change({ sheet: null });
    else if (!frame) this.#change({ frame: true });
  }

  #change(change: Partial<Shown>): void {
    this.#shown = { ...this.#shown, ...change };
    this.host.requestUpdate();
  }
}
