/** Keys of the pages: `/` search, j/k or arrows through the rows, Enter opens, o opens the slide, g then a letter goes
 * to a page, `?` shows them all. Single letters can be switched off (WCAG 2.2, 2.1.4); the choice stays in this browser.
 */

import { nextIndex } from "./rows";

const SWITCH = "iain.single-keys";

export function installKeys(page: Document): void {
  const dialog = page.querySelector<HTMLDialogElement>("dialog#keys");
  if (!dialog) return;
  const choice = dialog.querySelector<HTMLInputElement>("[data-single-keys]");
  if (choice) {
    choice.checked = singleKeys();
    choice.addEventListener("change", () => localStorage.setItem(SWITCH, choice.checked ? "on" : "off"));
  }
  for (const button of page.querySelectorAll<HTMLButtonElement>("[data-open-keys]")) {
    button.hidden = false;
    button.addEventListener("click", () => dialog.showModal());
  }
  let going = false;
  page.addEventListener("keydown", (event) => {
    const was = going;
    going = false;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const inField = isField(event.target);
    if (inField && event.key === "Escape") (event.target as HTMLElement).blur();
    if (inField || dialog.open) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      // Arrows scroll the page until a row is held.
      if (currentRow(page) >= 0 && moveRow(page, event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
      return;
    }
    if (!singleKeys()) return;
    if (act(page, dialog, event.key, was)) event.preventDefault();
    going = event.key === "g" && !was;
  });
}

/** What one key does; false when it means nothing here. */
function act(page: Document, dialog: HTMLDialogElement, key: string, afterG: boolean): boolean {
  if (afterG) return follow(page.querySelector(`[data-go="${CSS.escape(key)}"]`));
  switch (key) {
    case "?":
      dialog.showModal();
      return true;
    case "/":
      return search(page);
    case "j":
      return moveRow(page, 1);
    case "k":
      return moveRow(page, -1);
    case "o":
      return openSlide(page);
    case "n":
      return follow(page.querySelector("[data-next]"));
    default:
      return false;
  }
}

function search(page: Document): boolean {
  const field = page.querySelector<HTMLInputElement>("[data-search]");
  field?.focus();
  field?.select();
  return field !== null;
}

function follow(link: HTMLElement | null): boolean {
  link?.click();
  return link !== null;
}

function rows(page: Document): HTMLElement[] {
  return [...page.querySelectorAll<HTMLElement>("[data-rows] a.row-link")];
}

function currentRow(page: Document): number {
  return rows(page).indexOf(page.activeElement as HTMLElement);
}

function moveRow(page: Document, by: 1 | -1): boolean {
  const links = rows(page);
  const link = links[nextIndex(currentRow(page), by, links.length)];
  link?.focus();
  link?.scrollIntoView({ block: "nearest" });
  return link !== undefined;
}

function openSlide(page: Document): boolean {
  const row = page.activeElement instanceof HTMLElement ? page.activeElement.dataset.open : undefined;
  if (row) {
    location.assign(`/slides/${encodeURIComponent(row)}`);
    return true;
  }
  return follow(page.querySelector("[data-primary]"));
}

function isField(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) &&
    !(target instanceof HTMLInputElement && /^(checkbox|radio|button|submit)$/.test(target.type))
  );
}

function singleKeys(): boolean {
  return localStorage.getItem(SWITCH) !== "off";
}
