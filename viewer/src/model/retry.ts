/** When a failed tile is asked for again, and when silence is called an outage. Pure. */

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
