/** Keeps a part of a page true while it stays open: `[data-live]` names the address that tells it anew, and each of its
 * parts with an id is exchanged when the server says something else of it.
 *
 * Asking keeps nobody signed in. When the server stops answering, or the reader is signed out, the page says so rather
 * than look true: a scanner that fell silent must not stay green on a wall.
 */

const LOST_AFTER_MS = 20_000;

export type Heard = { readonly parts: ReadonlyMap<string, HTMLElement> } | "signed out" | "nothing";

export function keepLive(page: Document): void {
  const live = page.querySelector<HTMLElement>("[data-live]");
  if (!live) return;
  const everyMs = (Number(live.dataset.every) || 5) * 1000;
  const told = partsOf(live);
  let heardMs = Date.now();
  let timer: number | undefined;

  const look = async (): Promise<void> => {
    window.clearTimeout(timer);
    const heard = page.hidden ? "hidden" : await ask(live.dataset.live ?? "");
    if (heard === "signed out") return show(page, "[data-live-ended]", true);
    if (typeof heard === "object") {
      heardMs = Date.now();
      exchangeParts(live, told, heard.parts);
    }
    tellLoss(page, heardMs, heard !== "hidden" && Date.now() - heardMs > LOST_AFTER_MS);
    timer = window.setTimeout(() => void look(), everyMs);
  };
  timer = window.setTimeout(() => void look(), everyMs);
  page.addEventListener("visibilitychange", () => {
    if (!page.hidden) void look();
  });
}

/** Puts each part that the server tells differently than before in the place of the old one, but for those in which
 * the reader has marked text. What was open stays open, and what had the focus has it again. */
export function exchangeParts(
  live: HTMLElement,
  told: Map<string, string>,
  parts: ReadonlyMap<string, HTMLElement>,
): void {
  const page = live.ownerDocument;
  for (const [id, now] of parts) {
    const old = page.getElementById(id);
    if (!old || told.get(id) === now.outerHTML || isMarked(page, old)) continue;
    told.set(id, now.outerHTML);
    const focused = old.contains(page.activeElement) ? addressOf(page.activeElement) : "";
    for (const open of old.querySelectorAll<HTMLDetailsElement>("details[open][id]")) {
      now.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
    }
    old.replaceWith(page.adoptNode(now));
    if (focused) now.querySelector<HTMLElement>(focused)?.focus({ preventScroll: true });
  }
}

/** The parts by id. */
export function partsOf(live: ParentNode): Map<string, string> {
  return new Map([...live.children].filter((part) => part.id).map((part) => [part.id, part.outerHTML]));
}

async function ask(address: string): Promise<Heard> {
  try {
    const response = await fetch(address, { headers: { accept: "text/html" }, redirect: "manual" });
    if (response.type === "opaqueredirect" || response.status === 401) return "signed out";
    if (!response.ok) return "nothing";
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    return { parts: new Map([...fresh.body.children].map((part) => [part.id, part as HTMLElement])) };
  } catch {
    return "nothing";
  }
}

function tellLoss(page: Document, heardMs: number, lost: boolean): void {
  const when = page.querySelector("[data-live-told]");
  if (when && lost) when.textContent = new Date(heardMs).toLocaleTimeString(page.documentElement.lang);
  show(page, "[data-live-lost]", lost);
}

function show(page: Document, which: string, shown: boolean): void {
  const notice = page.querySelector<HTMLElement>(which);
  if (notice) notice.hidden = !shown;
}

function isMarked(page: Document, part: HTMLElement): boolean {
  const marked = page.getSelection();
  return marked !== null && !marked.isCollapsed && marked.containsNode(part, true);
}

/** Where the focus was, such that it is found in the part that comes. */
function addressOf(element: Element | null): string {
  if (element?.id) return `#${CSS.escape(element.id)}`;
  const href = element?.getAttribute("href");
  if (href) return `a[href="${CSS.escape(href)}"]`;
  return element?.matches("summary") && element.parentElement?.id
    ? `#${CSS.escape(element.parentElement.id)} > summary`
    : "";
}
