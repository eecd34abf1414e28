/** How fast bytes move, from the last seconds alone, and when they will have arrived. Pure. */

const WINDOW_MS = 12_000;
/** Of fewer milliseconds nothing is told: the first numbers of a new sending are wild. */
const LEAST_MS = 1_500;

export class Pace {
  readonly #samples: { atMs: number; done: number }[] = [];

  /** `done` bytes had moved at that time. When it is less than before, counting begins anew. */
  note(done: number, atMs: number): void {
    if (done < (this.#samples.at(-1)?.done ?? 0)) this.#samples.length = 0;
    this.#samples.push({ atMs, done });
    while (this.#samples.length > 2 && this.#samples[1]!.atMs < atMs - WINDOW_MS) this.#samples.shift();
  }

  /** Bytes a second; null as long as it is too early to say. */
  get rate(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.atMs - first.atMs < LEAST_MS) return null;
    return ((last.done - first.done) * 1000) / (last.atMs - first.atMs);
  }

  /** Seconds until `total` have moved; null when nobody knows. */
  remaining(total: number): number | null {
    const rate = this.rate;
    const done = this.#samples.at(-1)?.done ?? 0;
    return rate ? (total - done) / rate : null;
  }
}
