/** Carries `#c=x,y&m=20` of a deep link through the login form.
 *
 * The redirect to the form keeps the fragment in the address; the answer to a POST inherits that of the form's action.
 */
export function keepFragment(page: Document, address: Pick<Location, "hash">): void {
  const form = page.querySelector<HTMLFormElement>("form[data-keep-fragment]");
  if (!form || !address.hash) return;
  for (const each of page.querySelectorAll("form")) {
    each.setAttribute("action", withFragment(each.getAttribute("action") ?? "", address.hash));
  }
}

export function withFragment(action: string, hash: string): string {
  return action.split("#")[0] + hash;
}
