/** The address bar: which slide, and the exact view of it, so that a copied or reloaded address leads back here. */

import { formatView } from "../model/link";
import type { Optics, View } from "../model/space";

const DELAY_MS = 250;

export class Address {
  #timer = 0;
  #pending: (() => void) | null = null;

  constructor(
    private readonly slidesUrl: string,
    private readonly loginUrl: string,
  ) {}

  hrefOf(id: string): string {
    return `${this.slidesUrl}${encodeURIComponent(id)}`;
  }

  /** The slide that the address names; `null` when it names none. */
  get slideId(): string | null {
    const { pathname } = location;
    return pathname.startsWith(this.slidesUrl) ? pathname.slice(this.slidesUrl.length) || null : null;
  }

  /** Where to log in to come back to this view. The fragment stays one: it never reaches a server's log. */
  get login(): string {
    return `${this.loginUrl}?next=${encodeURIComponent(location.pathname)}${location.hash}`;
  }

  push(id: string, fragment = ""): void {
    this.#forget();
    history.pushState(null, "", this.hrefOf(id) + fragment);
  }

  /** Writes the view once it has rested: browsers refuse an address that changes with every frame. */
  follow(id: string, view: View, optics: Optics): void {
    this.#forget();
    this.#pending = () => {
      const fragment = formatView(view, optics);
      // Going back changes the address before the slide: a view is written only beside its own slide.
      if (location.pathname !== this.hrefOf(id) || location.hash === fragment) return;
      history.replaceState(history.state, "", fragment);
    };
    this.#timer = window.setTimeout(this.settle, DELAY_MS);
  }

  readonly settle = (): void => {
    const write = this.#pending;
    this.#forget();
    write?.();
  };

  #forget(): void {
    window.clearTimeout(this.#timer);
    this.#pending = null;
  }
}
