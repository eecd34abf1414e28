/** One slide on its way: how far it is, and what is known of its glass. */

import { Pace } from "./pace";
import type { Parcel } from "./parcels";
import type { Glass, SlideStatus } from "./tus";

/** `incomplete`: files are missing. `read`: hashed, and to be sent once it is wanted. `settled`: the server decided. */
export type Phase =
  | "incomplete"
  | "waiting"
  | "reading"
  | "read"
  | "sending"
  | "preparing"
  | "settled"
  | "stopped"
  | "failed";

export interface Problem {
  readonly code: string;
  readonly detail: string;
}

let made = 0;

export class Entry {
  readonly key = `slide-${++made}`;
  phase: Phase;
  /** Whether somebody has said that it is to be sent. */
  wanted = false;
  glass: Glass = { accession: "", stain: "", block: "" };
  /** Where the number comes from: typed for this slide, or found in the name of its file. */
  source: "" | "typed" | "name" = "";
  digests: readonly string[] | null = null;
  /** Bytes read or arrived, and how many of these had arrived an earlier time. */
  done = 0;
  held = 0;
  readonly pace = new Pace();
  upload: string | null = null;
  slide: string | null = null;
  status: SlideStatus | null = null;
  known = false;
  problem: Problem | null = null;
  /** Why it waits, and is tried again by itself. */
  hindrance: string | null = null;

  constructor(readonly parcel: Parcel) {
    this.phase = parcel.missing.length > 0 ? "incomplete" : "waiting";
    if (this.phase === "waiting" && this.size === 0) this.fail("empty-file", "");
  }

  get size(): number {
    return this.parcel.parts.reduce((sum, { file }) => sum + file.size, 0);
  }

  /** Whether leaving the page would interrupt it. */
  get underway(): boolean {
    return this.phase === "sending" || (this.wanted && ["waiting", "reading", "read"].includes(this.phase));
  }

  /** Whether what is known of its glass can still be changed. */
  get open(): boolean {
    return !this.wanted && !["incomplete", "settled", "preparing"].includes(this.phase);
  }

  get id(): string {
    return idOf(this.parcel);
  }

  fail(code: string, detail: string): void {
    this.phase = "failed";
    this.problem = { code, detail };
    this.wanted = false;
  }
}

/** The same files, dropped once more, have the same, from whatever folder they were dropped. */
export function idOf(parcel: Parcel): string {
  const files = parcel.from.map(({ file }) => [file.name, file.size, file.lastModified].join("\n"));
  return files.sort().join("\n\n");
}
