/** Arrow keys held down: a tap is one step, holding glides at the screen's own rhythm instead of the keyboard's repeat. */

import type { Direction } from "../model/keys";

const STEP = 64;
const HOLD_MS = 160;
const SLOW = 500;
const FAST = 1500;
const SPEED_UP_MS = 500;

type Push = (dx: number, dy: number, how?: { jump: boolean }) => void;

export class HeldArrows {
  readonly #held = new Map<string, Direction>();
  #frame = 0;
  #since = 0;
  #last = 0;

  constructor(private readonly push: Push) {}

  press(key: string, direction: Direction): void {
    if (this.#held.size === 0) this.#since = performance.now();
    this.#held.set(key, direction);
    this.push(direction.x * STEP, direction.y * STEP);
    cancelAnimationFrame(this.#frame);
    this.#last = performance.now();
    this.#frame = requestAnimationFrame(this.#glide);
  }

  release(key: string): void {
    if (this.#held.delete(key) && this.#held.size === 0) cancelAnimationFrame(this.#frame);
  }

  releaseAll(): void {
    this.#held.clear();
    cancelAnimationFrame(this.#frame);
  }

  readonly #glide = (now: number): void => {
    const held = now - this.#since - HOLD_MS;
    const seconds = Math.min(0.05, Math.max(0, now - this.#last) / 1000);
    this.#last = now;
    if (held > 0) {
      const speed = SLOW + (FAST - SLOW) * Math.min(1, held / SPEED_UP_MS);
      let [x, y] = [0, 0];
      for (const direction of this.#held.values()) {
        x += direction.x;
        y += direction.y;
      }
      this.push(Math.round(x * speed * seconds), Math.round(y * speed * seconds), { jump: true });
    }
    this.#frame = requestAnimationFrame(this.#glide);
  };
}
