/** The row after `current` (-1: none yet), held at both ends of a list of `count`. */
export function nextIndex(current: number, by: 1 | -1, count: number): number {
  if (current < 0) return by > 0 ? 0 : count - 1;
  return Math.min(count - 1, Math.max(0, current + by));
}
