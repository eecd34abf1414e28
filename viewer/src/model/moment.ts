/** A moment as one says it: the hour today, "hier 16 h 40", then the day. Pure. */

export type Day = "today" | "yesterday" | "tomorrow" | "other";

/** How the day of a moment is told from the day of `now`, both in ms, by the calendar of the place. */
export function dayOf(ms: number, now: number): Day {
  const days = calendarDay(ms) - calendarDay(now);
  if (days === 0) return "today";
  if (days === -1) return "yesterday";
  return days === 1 ? "tomorrow" : "other";
}

function calendarDay(ms: number): number {
  const date = new Date(ms);
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);
}
