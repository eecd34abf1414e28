/** Closes an open menu when the reader clicks elsewhere, moves the focus away or presses Escape. */
export function closeMenusOutside(page: Document): void {
  const menus = [...page.querySelectorAll<HTMLDetailsElement>("details[data-menu]")];
  for (const menu of menus) {
    page.addEventListener("pointerdown", (event) => {
      if (!menu.contains(event.target as Node)) menu.open = false;
    });
    menu.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !menu.contains(event.relatedTarget as Node)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary")?.focus();
    });
  }
}
