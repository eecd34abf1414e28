/** A text as one looks for it: "médard" is found by "MEDARD". Pure. */
export function folded(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
}
