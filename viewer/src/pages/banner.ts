import type { SlideDescription } from "../api/slides";

/** Brings the banner over the viewer up to date when the slide changes under it. The page's own words are kept in the
 * banner's `data-stain-absent` and `data-block`.
 *
 * The banner names the patient: when the slide is of another case than the one it names, the page is loaded anew.
 */
export function showInBanner(slide: SlideDescription, page: Document = document): void {
  const banner = page.querySelector<HTMLElement>(".case-banner");
  if (!banner) return;
  const accession = field(banner, "accession");
  if ((slide.case?.accession ?? "") !== (accession?.textContent ?? "").trim()) {
    location.reload();
    return;
  }
  const stain = slide.stain ?? banner.dataset.stainAbsent ?? "";
  set(banner, "stain", stain);
  set(banner, "block", slide.block ? (banner.dataset.block ?? "{block}").replace("{block}", slide.block) : "");
  set(banner, "position", positionOf(slide));
  banner.querySelector("a.why")?.setAttribute("href", `/why/${slide.id}`);
  page.title = [slide.case?.accession, stain].filter(Boolean).join(" · ").concat(" · IAIN");
}

/** "2/5": which slide of its case this is. */
export function positionOf(slide: Pick<SlideDescription, "id" | "slides_of_case">): string {
  const position = slide.slides_of_case.findIndex((other) => other.id === slide.id) + 1;
  return `${Math.max(1, position)}/${Math.max(1, slide.slides_of_case.length)}`;
}

function field(banner: HTMLElement, name: string): HTMLElement | null {
  return banner.querySelector<HTMLElement>(`[data-field="${name}"]`);
}

function set(banner: HTMLElement, name: string, text: string): void {
  const element = field(banner, name);
  if (!element) return;
  element.textContent = text;
  element.hidden = text === "";
}
