import { fetchPage } from "./await";

const EVERY_MS = 2_000;
const FOR_MS = 600_000;

/** Keeps the rows of slides in preparation true: each is replaced, in its place, as soon as the server tells it anew.
 *
 * Nothing else on the page moves, and nothing is asked once no row is pending, or after ten minutes.
 */
export function followPendingRows(page: Document): void {
  const pending = () => [...page.querySelectorAll<HTMLElement>("[data-rows] [data-pending][id]")];
  if (pending().length === 0) return;
  const until = Date.now() + FOR_MS;
  const timer = window.setInterval(async () => {
    if (pending().length === 0 || Date.now() > until) return window.clearInterval(timer);
    if (page.hidden) return;
    const fresh = await fetchPage(location.href);
    if (fresh) replaceRows(pending(), fresh);
  }, EVERY_MS);
}

export function replaceRows(rows: readonly HTMLElement[], fresh: Document): void {
  for (const row of rows) {
    const now = fresh.getElementById(row.id);
    if (!now || now.isEqualNode(row)) continue;
    const focused = row.contains(document.activeElement);
    row.replaceWith(document.adoptNode(now));
    if (focused) now.querySelector<HTMLElement>("a.row-link")?.focus();
  }
}
