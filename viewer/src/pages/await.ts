/** On the page of a slide that is being prepared: looks again every two seconds, tells how far it has come, and reloads
 * when the page has changed.
 *
 * It gives up after ten minutes, so that a forgotten tab does not keep a session alive for ever.
 */
export class Await extends HTMLElement {
  static readonly everyMs = 2_000;
  static readonly forMs = 600_000;
  #timer: number | undefined;
  #until = 0;

  connectedCallback(): void {
    this.#until = Date.now() + Await.forMs;
    this.#timer = window.setInterval(() => void this.#look(), Await.everyMs);
  }

  disconnectedCallback(): void {
    window.clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (Date.now() > this.#until) return window.clearInterval(this.#timer);
    if (document.hidden) return;
    const page = await fetchPage(location.href);
    if (page && !page.querySelector("iain-await")) location.reload();
    const [old, now] = [document.getElementById("progress"), page?.getElementById("progress")];
    if (old && now && !old.isEqualNode(now)) old.replaceWith(document.adoptNode(now));
  }
}

/** The page at an address as a document of its own; null when the server did not answer with one. */
export async function fetchPage(address: string): Promise<Document | null> {
  try {
    const response = await fetch(address, { headers: { accept: "text/html" }, redirect: "error" });
    return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
  } catch {
    return null;
  }
}
