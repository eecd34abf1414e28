const QUIET_MS = 700;

/** Keeps what is written into a form on the server, so that nothing is lost with the tab. The server fills it in again
 * when the page, or the panel beside the slide, is opened the next time.
 */
export function keepDrafts(part: ParentNode): void {
  for (const form of part.querySelectorAll<HTMLFormElement>("form[data-draft]")) {
    const said = form.querySelector("[data-draft-state]");
    let timer: number | undefined;
    let pending = false;
    const save = async (keepalive: boolean) => {
      window.clearTimeout(timer);
      if (!pending) return;
      pending = false;
      const kept = await put(form.dataset.draft ?? "", draftOf(new FormData(form)), keepalive);
      if (said) said.textContent = (kept ? form.dataset.kept : form.dataset.unkept) ?? "";
    };
    form.addEventListener("input", () => {
      pending = true;
      window.clearTimeout(timer);
      timer = window.setTimeout(() => void save(false), QUIET_MS);
    });
    form.addEventListener("submit", () => {
      pending = false;
      window.clearTimeout(timer);
    });
    window.addEventListener("pagehide", () => void save(true));
  }
}

/** The draft as the panel beside the slide keeps it too; empty when nothing was written or chosen. */
export function draftOf(data: FormData): string {
  const [agreement, text] = [String(data.get("agreement") ?? ""), String(data.get("text") ?? "")];
  if (!agreement && !text.trim()) return "";
  return JSON.stringify({ agreement: agreement || null, text, amends: data.get("amends") || null });
}

async function put(key: string, body: string, keepalive: boolean): Promise<boolean> {
  try {
    const response = await fetch(`/api/drafts/${encodeURIComponent(key)}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ body }),
      keepalive,
    });
    return response.ok;
  } catch {
    return false;
  }
}
