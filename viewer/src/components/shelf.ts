/**
 * The slides of the case, within reach: what the server says of those that were shown, and of the one that comes next,
 * is at hand before it is asked for. A description opens no reading; not one tile is fetched ahead of time.
 */

import { fetchSlide, type SlideDescription } from "../api/slides";

export class Shelf {
  readonly #known = new Map<string, SlideDescription>();
  #taking: AbortController | null = null;
  #warming: AbortController | null = null;
  #warmed: string | null = null;

  /** The slide before (-1) or after (1) this one, of those that can be shown. */
  neighbour({ id, slides_of_case }: SlideDescription, by: -1 | 1): string | null {
    const ready = slides_of_case.filter((slide) => slide.state === "ready");
    return ready[ready.findIndex((slide) => slide.id === id) + by]?.id ?? null;
  }

  keep(slide: SlideDescription): void {
    this.#known.set(slide.id, slide);
  }

  /** Makes the next slide of the case quick to open: its description, its thumbnail, its index at the server. */
  async warm(slide: SlideDescription): Promise<void> {
    const next = this.neighbour(slide, 1);
    if (next === null || next === this.#warmed || this.#known.has(next)) return;
    this.#warmed = next;
    this.#warming?.abort();
    const warming = new AbortController();
    this.#warming = warming;
    try {
      const found = await fetchSlide(next, warming.signal);
      if (warming.signal.aborted) return;
      this.keep(found);
      if (found.thumbnail_url) new Image().src = found.thumbnail_url;
    } catch {
      // Nobody asked for it yet. Who does will be told.
    }
  }

  /** What is known of a slide without asking; it may have changed since. What was asked for before is not waited for. */
  find(id: string): SlideDescription | null {
    const known = this.#known.get(id);
    if (!known) return null;
    this.#taking?.abort();
    return known;
  }

  /** A slide from the server; `null` when another was asked for in the meantime. Raises SlideRefusedError, TypeError. */
  async fetch(id: string): Promise<SlideDescription | null> {
    this.#taking?.abort();
    const taking = new AbortController();
    this.#taking = taking;
    try {
      const slide = await fetchSlide(id, taking.signal);
      if (taking.signal.aborted) return null;
      this.keep(slide);
      return slide;
    } catch (error) {
      if (taking.signal.aborted) return null;
      throw error;
    }
  }

  /** Nothing is kept of what may no longer be seen. */
  clear(): void {
    this.#taking?.abort();
    this.#warming?.abort();
    this.#warmed = null;
    this.#known.clear();
  }
}
