/** A request for an opinion, as the viewer shows it: whose turn it is, and what may be done. Pure. */

export const AGREEMENTS = ["agree", "minor", "major", "undecided"] as const;
export type Agreement = (typeof AGREEMENTS)[number];

export const URGENCIES = ["routine", "urgent"] as const;
export type Urgency = (typeof URGENCIES)[number];

export const PURPOSES = ["care", "tumour_board", "teaching", "research"] as const;
export type Purpose = (typeof PURPOSES)[number];

export const STATES = [
  "requested",
  "opened",
  "accepted",
  "declined",
  "more_information",
  "answered",
  "closed",
  "cancelled",
] as const;
export type ConsultationState = (typeof STATES)[number];

export type Side = "requester" | "consultant";
export type Role = Side | "watcher";

export interface Party {
  readonly name: string | null;
  readonly site: string;
}

export interface Step {
  readonly when_us: number;
  readonly who: string;
  readonly site: string;
  readonly move: string;
  readonly note: string;
}

export interface Opinion {
  readonly id: string;
  readonly author: string;
  readonly site: string;
  readonly agreement: Agreement;
  readonly text: string;
  readonly signed_us: number;
  readonly amends: string | null;
}

/** All times are µs since the epoch, by the server's clock. */
export interface Consultation {
  readonly id: string;
  readonly reference: string;
  readonly state: ConsultationState;
  /** Who has to act; `null` when it is over. */
  readonly ball: Side | null;
  readonly role: Role;
  readonly urgency: Urgency;
  readonly purpose: string;
  readonly question: string;
  readonly requester: Party;
  readonly consultant: Party;
  readonly asked_us: number;
  readonly changed_us: number;
  readonly slide_id: string;
  readonly view: string;
  readonly undo_until_us: number | null;
  readonly moves: readonly string[];
  readonly may_answer: boolean;
  readonly thread: readonly Step[];
  readonly opinions: readonly Opinion[];
}

/** Raises TypeError for an answer that is no consultation. */
export function checkConsultation(value: unknown): Consultation {
  const found = value as Consultation;
  const sane =
    typeof found === "object" &&
    found !== null &&
    typeof found.id === "string" &&
    (STATES as readonly string[]).includes(found.state) &&
    typeof found.question === "string" &&
    typeof found.requester?.site === "string" &&
    typeof found.consultant?.site === "string" &&
    [found.moves, found.thread, found.opinions].every(Array.isArray);
  if (!sane) throw new TypeError("The consultation is not one this viewer understands");
  return found;
}

/** Nothing changes any more, so there is nothing left to follow. */
export function isOver({ state }: Pick<Consultation, "state">): boolean {
  return state === "declined" || state === "closed" || state === "cancelled";
}

export type Turn = "yours" | "theirs" | "nobody";

export function turnOf({ ball, role }: Pick<Consultation, "ball" | "role">): Turn {
  if (ball === null) return "nobody";
  return ball === role ? "yours" : "theirs";
}

/** The site that has to act. */
export function siteOfBall({ ball, requester, consultant }: Consultation): string {
  return ball === "requester" ? requester.site : consultant.site;
}

/** The other side of the reader: who receives what he sends. */
export function otherSide({ role, requester, consultant }: Consultation): Party {
  return role === "consultant" ? requester : consultant;
}

const LONGEST_UNDO_MS = 10_000;

/** How long a request just sent may be taken back, by no clock but the server's. */
export function undoMs({ undo_until_us, changed_us }: Pick<Consultation, "undo_until_us" | "changed_us">): number {
  if (undo_until_us === null) return 0;
  return Math.min(LONGEST_UNDO_MS, Math.max(0, (undo_until_us - changed_us) / 1000));
}

/** Moves that say nothing without a sentence beside them. */
export function asksForNote(move: string): boolean {
  return move === "decline" || move === "ask" || move === "reply";
}
