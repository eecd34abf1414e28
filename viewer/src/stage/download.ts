/** One request for one tile: fetched, decoded off the main thread, given up when it takes too long. */

export class TileError extends Error {
  constructor(readonly status: number) {
    super(`HTTP ${status}`);
  }
}

/** Nothing came, or not all of it, in the time it was given. */
export class TileLateError extends Error {
  constructor(readonly afterMs: number) {
    super(`No tile within ${Math.round(afterMs)} ms`);
  }
}

export class Download {
  readonly #abort = new AbortController();
  readonly #began = performance.now();
  #late = false;
  #whole = false;
  #stopped = false;

  /** @param freed called when the request needs no connection any more, or so long that others shall not wait for it */
  constructor(
    private readonly url: string,
    private readonly patienceMs: number,
    private readonly freed: () => void,
  ) {}

  /** Whether half of the patience is used up, and not all has come. */
  get late(): boolean {
    return this.#late;
  }

  /** Whether all has come; what is left is to decode it. */
  get whole(): boolean {
    return this.#whole;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  get tookMs(): number {
    return performance.now() - this.#began;
  }

  /** Cancels the request: the server need not go on with it. */
  stop(): void {
    this.#stopped = true;
    this.#abort.abort();
  }

  /** Raises {@link TileError}, {@link TileLateError}, or what the browser says of a lost connection or a bad picture. */
  async picture(): Promise<ImageBitmap> {
    const half = window.setTimeout(() => {
      this.#late = true;
      this.freed();
    }, this.patienceMs / 2);
    const whole = window.setTimeout(() => this.#abort.abort(new TileLateError(this.patienceMs)), this.patienceMs);
    let blob: Blob;
    try {
      const response = await fetch(this.url, { signal: this.#abort.signal });
      if (!response.ok) throw new TileError(response.status);
      blob = await response.blob();
      this.#late = false;
      this.#whole = true;
    } catch (error) {
      const { reason } = this.#abort.signal;
      throw reason instanceof TileLateError ? reason : error;
    } finally {
      window.clearTimeout(half);
      window.clearTimeout(whole);
    }
    this.freed();
    return createImageBitmap(blob);
  }
}

/** Bytes came, but are no picture: the tile is damaged, the server is not away. */
export function isBadPicture(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "InvalidStateError" || error.name === "EncodingError");
}
