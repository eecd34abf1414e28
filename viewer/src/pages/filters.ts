/** A filter takes effect when it is chosen; empty ones are left out of the address, so that it stays readable. */
export function submitFiltersOnChange(page: Document): void {
  for (const form of page.querySelectorAll<HTMLFormElement>("form[data-filters]")) {
    form.addEventListener("change", (event) => {
      if (event.target instanceof HTMLSelectElement) form.requestSubmit();
    });
    form.addEventListener("formdata", (event) => {
      for (const name of emptyFields(event.formData)) event.formData.delete(name);
    });
  }
}

export function emptyFields(data: FormData): string[] {
  return [...data].filter(([, value]) => value === "").map(([name]) => name);
}
