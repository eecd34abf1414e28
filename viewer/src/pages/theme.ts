/** Shows the chosen appearance at once and tells the server, instead of loading the page anew. */
export function applyThemeAtOnce(page: Document): void {
  const form = page.querySelector<HTMLFormElement>("form[data-theme-choice]");
  form?.addEventListener("submit", (event) => {
    const button = event.submitter as HTMLButtonElement | null;
    if (!button) return;
    event.preventDefault();
    if (button.value) page.documentElement.dataset.theme = button.value;
    else delete page.documentElement.dataset.theme;
    for (const other of form.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    const chosen = new URLSearchParams({ theme: button.value });
    void fetch(form.action, { method: "POST", body: chosen, redirect: "manual" });
  });
}
