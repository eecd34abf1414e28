/** How long a tile is waited for, when it is asked for again, and when silence is called an outage. Pure. */

const FIRST_MS = 400;
const LONGEST_MS = 8000;

/** Milliseconds before the next try after `failures` ≥ 1; spread so that a whole screen does not knock at once. */
export function retryDelay(failures: number, random: () => number = Math.random): number {
  const delay = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
  return delay * (0.75 + 0.5 * random());
}

/** One lost tile is noise; several in a row with none between that came are a server that is away. */
const FAILURES_OF_AN_OUTAGE = 3;

export class Outage {
  #failures = 0;

  get lasts(): boolean {
    return this.#failures >= FAILURES_OF_AN_OUTAGE;
  }

  /** Whether the state changed. */
  note(arrived: boolean): boolean {
    const before = this.lasts;
    this.#failures = arrived ? 0 : this.#failures + 1;
    return this.lasts !== before;
  }
}

const LEAST_PATIENCE_MS = 3000;
const MOST_PATIENCE_MS = 30_000;
/** A tile that takes so many times as long as others did has got lost. */
const OUT_OF_LINE = 8;
const FORGETTING = 0.8;

/**
 * How long to wait for a tile before the request is given up and made anew. Learnt from the tiles that came: on a fast
 * line a lost request costs the reader seconds, on a slow one no request is given up that only takes its time.
 */
export class Patience {
  #ms = LEAST_PATIENCE_MS;

  get ms(): number {
    return this.#ms;
  }

  arrived(tookMs: number): void {
    this.#ms = bounded(Math.max(tookMs * OUT_OF_LINE, this.#ms * FORGETTING));
  }

  /** A request was given up after so long: perhaps too soon. Many that began together count once. */
  ranOut(afterMs: number): void {
    this.#ms = bounded(Math.max(this.#ms, afterMs * 2));
  }
}

function bounded(ms: number): number {
  return Math.min(MOST_PATIENCE_MS, Math.max(LEAST_PATIENCE_MS, ms));
}
