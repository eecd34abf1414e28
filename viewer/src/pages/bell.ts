import { titleWith } from "./title";

/** How many requests have moved since the reader last saw them, kept true while the page stays open: beside the word in
 * the head, and in the title of the tab.
 *
 * The server renders the number; this asks again. When it changes, `iain-unread` is told on the document.
 */
export class Bell extends HTMLElement {
  static readonly everyMs = 1_000;
  static readonly hiddenEveryMs = 10_000;
  #timer: number | undefined;
  #tag = "";
  #title = "";

  connectedCallback(): void {
    this.#title = document.title;
    document.addEventListener("visibilitychange", this.#lookNow);
    this.#tell(this.unread);
    void this.#look();
  }

  disconnectedCallback(): void {
    window.clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#lookNow);
  }

  get unread(): number {
    return Number(this.dataset.unread) || 0;
  }

  readonly #lookNow = (): void => {
    if (document.hidden) return;
    window.clearTimeout(this.#timer);
    void this.#look();
  };

  async #look(): Promise<void> {
    const unread = await this.#ask();
    if (unread === "signed out") return;
    if (unread !== null && unread !== this.unread) {
      this.dataset.unread = String(unread);
      this.#tell(unread);
      document.dispatchEvent(new CustomEvent("iain-unread", { detail: unread }));
    }
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#look(), document.hidden ? Bell.hiddenEveryMs : Bell.everyMs);
  }

  /** The number; null when it has not changed, or when nobody answers. */
  async #ask(): Promise<number | null | "signed out"> {
    try {
      const response = await fetch("/api/bell", { headers: this.#tag ? { "if-none-match": this.#tag } : {} });
      if (response.status === 401 || response.status === 403) return "signed out";
      if (response.status !== 200) return null;
      this.#tag = response.headers.get("etag") ?? "";
      const answer = (await response.json()) as { unread: number };
      return answer.unread;
    } catch {
      return null;
    }
  }

  #tell(unread: number): void {
    const badge = this.querySelector<HTMLElement>(".badge");
    const words = this.querySelector("[data-words]");
    if (badge) {
      badge.hidden = unread === 0;
      badge.textContent = String(unread);
    }
    if (words) words.textContent = unread === 0 ? "" : ` ${(this.dataset.one ?? "{n}").replace("{n}", String(unread))}`;
    document.title = titleWith(unread, this.#title);
  }
}

/** On the inbox: offers to show what has arrived, rather than push the rows about under the reader's eyes. */
export function offerArrivals(page: Document): void {
  const offer = page.querySelector<HTMLElement>("[data-arrived]");
  if (!offer) return;
  page.addEventListener("iain-unread", (event) => {
    offer.hidden = (event as CustomEvent<number>).detail === 0;
  });
}
