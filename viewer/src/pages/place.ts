/** Where the head is too narrow for all pages, it is scrolled to the one that the reader is on. */
export function showCurrentPlace(page: Document): void {
  const nav = page.querySelector<HTMLElement>(".head nav");
  const current = nav?.querySelector<HTMLElement>("[aria-current]");
  if (!nav || !current) return;
  const [around, inner] = [nav.getBoundingClientRect(), current.getBoundingClientRect()];
  if (inner.right > around.right) nav.scrollLeft += inner.right - around.right;
}
