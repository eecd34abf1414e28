/** What stands between the reader and the slide: nothing, a server that is away, or a right that has ended. */

import type { ReactiveController, ReactiveControllerHost } from "lit";
import type { SlideDescription } from "../api/slides";
import { Access, type Refused } from "./access";
import type { Ending, Trouble } from "./notice";

export interface Hindered {
  /** The right has ended. What may no longer be seen shall stay neither on the screen nor within reach. */
  closed(): void;
  /** The right is there again. */
  opened(): void;
  /** The server answers again. */
  back(): void;
}

export class Hindrance implements ReactiveController {
  readonly #access = new Access((refused) => this.#answered(refused));
  #trouble: Trouble | null = null;
  #ending: Ending | null = null;

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly hindered: Hindered,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    window.addEventListener("focus", this.#cameBack);
  }

  hostDisconnected(): void {
    window.removeEventListener("focus", this.#cameBack);
    this.#access.stop();
  }

  get trouble(): Trouble | null {
    return this.#trouble;
  }

  /** How the visit ended, where there is more to say about it than that it did. */
  get ending(): Ending | null {
    return this.#ending;
  }

  /** Whether the right to see the slide has ended. */
  get closed(): boolean {
    return this.#trouble === "ended" || this.#trouble === "revoked" || this.#trouble === "expired";
  }

  /** Another slide is shown; nothing is known against it. */
  watch(slide: SlideDescription): void {
    this.#set(null);
    this.#access.watch(slide);
  }

  /** The page itself is of no use. */
  broken(): void {
    this.#set("broken");
  }

  /** Tiles fail, or do again: is it the server, or the right to see them? */
  outage(lasts: boolean): void {
    if (lasts) this.askWhy();
    else if (this.#trouble === "away") this.#set(null);
  }

  askWhy(): void {
    if (!this.closed) void this.#access.ask();
  }

  #answered(refused: Refused | null): void {
    if (refused === null && this.closed) return this.hindered.opened();
    if (refused === null && this.#trouble === "away") this.hindered.back();
    if (refused && refused.refusal !== "away") this.hindered.closed();
    this.#set(refused?.refusal ?? null, refused?.ending ?? null);
  }

  #set(trouble: Trouble | null, ending: Ending | null = null): void {
    this.#trouble = trouble;
    this.#ending = ending;
    this.host.requestUpdate();
  }

  /** The reader may have logged in again in another window. */
  readonly #cameBack = (): void => {
    if (this.closed) void this.#access.ask();
  };
}
