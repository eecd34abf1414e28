/* Entry of the page on which a person deposits slides from a disk. */

import "./style/deposit.css";
import { Depot } from "./deposit/depot";
import type { Entry } from "./deposit/entry";
import { dropped, type Named, picked } from "./deposit/files";
import { DepositList } from "./deposit/list";
import { find } from "./deposit/parcels";
import { read, Speech, type Words } from "./deposit/words";

/** A slide of which only some has arrived, as the server remembers it. */
interface Unfinished {
  readonly file_name: string;
  readonly length: number | null;
  readonly accession: string | null;
  readonly stain: string | null;
  readonly block: string | null;
}

customElements.define("iain-deposit", DepositList);

function begin(page: Document): void {
  const place = page.querySelector<HTMLElement>("[data-drop]");
  const frame = page.querySelector("[data-deposit]");
  if (!place || !frame) return;
  const speech = new Speech(read<Words>(page, "deposit-words"));
  const depot = new Depot(speech.language);
  const list = new DepositList();
  list.depot = depot;
  list.speech = speech;
  list.reception = place.hasAttribute("data-reception");
  frame.append(list);

  // One after the other: the second drop may complete what the first one lacks.
  let taken = Promise.resolve();
  const take = (files: Promise<Named[]> | Named[]): void => {
    const take = async (): Promise<void> => {
      const found = await find([...depot.incomplete, ...(await files)]);
      const added = depot.add(found);
      list.left = found.left;
      list.problem = "";
      remember(page, added);
      await list.greet(added);
    };
    taken = taken.then(take).catch((error: Error) => {
      list.problem = speech.problem("unreadable-file", error.message);
    });
  };
  for (const field of place.querySelectorAll<HTMLInputElement>("input[type=file]")) {
    field.addEventListener("change", () => {
      take(picked(field));
      field.value = "";
    });
  }
  // The whole window takes a drop: a file beside the frame would replace the page, and all that is under way with it.
  page.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    place.dataset.drop = "over";
  });
  page.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) place.dataset.drop = "";
  });
  page.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    place.dataset.drop = "";
    take(dropped(event.dataTransfer));
  });
  window.addEventListener("beforeunload", (event) => {
    if (depot.entries.some(({ underway }) => underway)) event.preventDefault();
  });
}

/** Fills in what was said of a slide when it was begun, and takes it off the list of what is to be dropped again. */
function remember(page: Document, entries: readonly Entry[]): void {
  for (const row of page.querySelectorAll<HTMLElement>("[data-unfinished]")) {
    const begun = JSON.parse(row.dataset.unfinished ?? "{}") as Unfinished;
    const entry = entries.find(
      ({ parcel, size }) => parcel.name === begun.file_name && (begun.length === null || begun.length === size),
    );
    if (!entry) continue;
    entry.glass = { accession: begun.accession ?? "", stain: begun.stain ?? "", block: begun.block ?? "" };
    entry.source = begun.accession ? "typed" : "";
    row.hidden = true;
  }
  const rows = [...page.querySelectorAll<HTMLElement>("[data-unfinished]")];
  const section = rows[0]?.closest("section");
  if (section) section.hidden = rows.every(({ hidden }) => hidden);
}

begin(document);
