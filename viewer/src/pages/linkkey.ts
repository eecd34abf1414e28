/** The key of a guest's link stands behind the `#` of its address, where no log and no mail scanner reads it. The
 * button sends it; without it, the form asks for it.
 */
export function carryLinkKey(page: Document, view: Window): void {
  const form = page.querySelector<HTMLFormElement>("form[data-link-key]");
  const field = form?.querySelector<HTMLInputElement>("input[name=secret]");
  if (!form || !field) return;
  const take = () => {
    const key = keyOf(view.location.hash);
    field.value = key || field.value;
    form.toggleAttribute("data-missing", field.value === "");
    // The choice of the language comes back to this page, which must not lose its key.
    const choice = page.querySelector("form[action^='/language']");
    if (key) choice?.setAttribute("action", `/language#${key}`);
  };
  take();
  view.addEventListener("hashchange", take);
}

/** The key in a fragment; empty when there is none. */
export function keyOf(hash: string): string {
  const key = hash.replace(/^#/, "").trim();
  return /^[\w-]{20,200}$/.test(key) ? key : "";
}
