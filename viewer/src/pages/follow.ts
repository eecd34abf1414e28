import { fetchPage } from "./await";
import { keepDrafts } from "./draft";

const EVERY_MS = 2_000;
const FOR_MS = 1_800_000;

/** Keeps the page of a request true while both sides have it open: whose turn it is and what happened are exchanged
 * where they stand. A form in which the reader has begun to write is left alone.
 */
export function followConsultation(page: Document): void {
  const followed = page.querySelector<HTMLElement>("[data-follow]");
  if (!followed) return;
  const until = Date.now() + FOR_MS;
  const timer = window.setInterval(async () => {
    if (Date.now() > until) return window.clearInterval(timer);
    if (page.hidden || !(await hasMoved(followed))) return;
    const fresh = await fetchPage(location.href);
    if (fresh) exchange(page, fresh);
  }, EVERY_MS);
}

async function hasMoved(followed: HTMLElement): Promise<boolean> {
  try {
    const response = await fetch(`/api/consultations/${followed.dataset.consultation}`);
    if (!response.ok) return false;
    const now = (await response.json()) as { changed_us: number };
    return String(now.changed_us) !== followed.dataset.follow;
  } catch {
    return false;
  }
}

/** Puts the parts of the fresh page in place of the old ones. */
export function exchange(page: Document, fresh: Document): void {
  const [old, now] = [
    page.querySelector<HTMLElement>("[data-follow]"),
    fresh.querySelector<HTMLElement>("[data-follow]"),
  ];
  if (!old || !now) return;
  old.dataset.follow = now.dataset.follow ?? "";
  const parts = isBegun(page) ? ["turn", "thread-list"] : ["turn", "answered"];
  for (const id of parts) {
    const [part, its] = [page.getElementById(id), fresh.getElementById(id)];
    if (!part || !its) continue;
    part.replaceWith(page.adoptNode(its));
    keepDrafts(its);
  }
}

/** Whether the reader has typed or chosen something that the server does not have as the page's own. */
function isBegun(page: Document): boolean {
  for (const field of page.querySelectorAll<HTMLTextAreaElement>(".consultation textarea")) {
    if (field.value !== field.defaultValue || field === page.activeElement) return true;
  }
  for (const choice of page.querySelectorAll<HTMLInputElement>(".consultation input[type=radio]")) {
    if (choice.checked !== choice.defaultChecked) return true;
  }
  return false;
}
