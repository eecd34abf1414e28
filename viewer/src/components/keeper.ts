/**
 * Keeps what is being written on the server, at every pause, so that nothing is lost with the tab. One request at a
 * time: what was written last is what is kept.
 */

import { fetchDraft, saveDraft } from "../api/sharing";

const PAUSE_MS = 600;
const RETRY_MS = 5000;

export type Kept = "nothing" | "saving" | "saved" | "failed";

export class Keeper {
  #text: string | null = null;
  #kept = "";
  #timer = 0;
  #saving = false;

  constructor(
    private readonly key: string,
    private readonly tell: (kept: Kept) => void,
  ) {
    window.addEventListener("pagehide", this.#leave);
    document.addEventListener("visibilitychange", this.#hidden);
  }

  disconnect(): void {
    this.#leave();
    window.removeEventListener("pagehide", this.#leave);
    document.removeEventListener("visibilitychange", this.#hidden);
    window.clearTimeout(this.#timer);
  }

  /** What was kept; empty when nothing was, or when nobody answers. */
  async read(): Promise<string> {
    try {
      this.#kept = await fetchDraft(this.key);
    } catch {
      return "";
    }
    return this.#kept;
  }

  write(text: string): void {
    this.#text = text;
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(this.#save, PAUSE_MS);
  }

  readonly #save = async (): Promise<void> => {
    const text = this.#text;
    if (this.#saving || text === null || text === this.#kept) return;
    this.#saving = true;
    this.tell("saving");
    try {
      await saveDraft(this.key, text);
      this.#kept = text;
      this.tell(text === "" ? "nothing" : "saved");
    } catch {
      this.tell("failed");
      this.#timer = window.setTimeout(this.#save, RETRY_MS);
      return;
    } finally {
      this.#saving = false;
    }
    if (this.#text !== text) void this.#save();
  };

  readonly #hidden = (): void => {
    if (document.visibilityState === "hidden") this.#leave();
  };

  /** The tab is put away and may never come back: what is not kept yet goes out without waiting. */
  readonly #leave = (): void => {
    const text = this.#text;
    if (text === null || text === this.#kept) return;
    window.clearTimeout(this.#timer);
    this.#kept = text;
    saveDraft(this.key, text, true).catch(() => {
      this.#kept = "";
    });
  };
}
