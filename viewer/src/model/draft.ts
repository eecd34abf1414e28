/** What is being written and not yet sent, as the server keeps it: one JSON text. Pure. */

import { AGREEMENTS, type Agreement, PURPOSES, type Purpose, URGENCIES, type Urgency } from "./consultation";

export const SCOPES = ["case", "slide"] as const;
export type Scope = (typeof SCOPES)[number];

/** Days that a guest link may live. */
export const DAYS = [1, 7, 30] as const;
export type Days = (typeof DAYS)[number];

/** How often it may be opened; 0 = as often as one likes. */
export const USES = [1, 5, 0] as const;
export type Uses = (typeof USES)[number];

export interface RequestDraft {
  /** {@link recipientKey} of the colleague or the site chosen. */
  readonly to: string;
  readonly question: string;
  readonly urgency: Urgency;
  readonly purpose: Purpose;
  readonly scope: Scope;
  /** Of a guest link. */
  readonly reason: string;
  readonly days: Days;
  readonly uses: Uses;
  /** The mail address to which the link is bound; empty = to none. */
  readonly mail: string;
}

export interface AnswerDraft {
  readonly agreement: Agreement | null;
  readonly text: string;
}

export const EMPTY_REQUEST: RequestDraft = {
  to: "",
  question: "",
  urgency: "routine",
  purpose: "care",
  scope: "case",
  reason: "",
  days: 7,
  uses: 1,
  mail: "",
};

export const EMPTY_ANSWER: AnswerDraft = { agreement: null, text: "" };

/** Longer than any question; short enough to be kept at every pause. */
export const LONGEST_TEXT = 4000;

export interface Recipient {
  readonly to_site: string;
  readonly to_member: string | null;
  readonly name: string | null;
  readonly site: string;
  readonly asked_us: number | null;
}

export function recipientKey({ to_site, to_member }: Pick<Recipient, "to_site" | "to_member">): string {
  return to_member === null ? `site:${to_site}` : `member:${to_member}`;
}

/** A draft that an older viewer wrote, or that was damaged, gives what it still can. */
export function parseRequest(text: string): RequestDraft {
  const found = parts(text);
  return {
    to: words(found.to),
    question: words(found.question),
    urgency: one(URGENCIES, found.urgency) ?? EMPTY_REQUEST.urgency,
    purpose: one(PURPOSES, found.purpose) ?? EMPTY_REQUEST.purpose,
    scope: one(SCOPES, found.scope) ?? EMPTY_REQUEST.scope,
    reason: words(found.reason),
    days: one(DAYS, found.days) ?? EMPTY_REQUEST.days,
    uses: one(USES, found.uses) ?? EMPTY_REQUEST.uses,
    mail: words(found.mail),
  };
}

export function parseAnswer(text: string): AnswerDraft {
  const found = parts(text);
  return { agreement: one(AGREEMENTS, found.agreement), text: words(found.text) };
}

/** The text to keep; empty when nothing has been written that would be missed. */
export function formatRequest(draft: RequestDraft): string {
  return draft.question.trim() || draft.reason.trim() || draft.to ? JSON.stringify(draft) : "";
}

export function formatAnswer(draft: AnswerDraft): string {
  return draft.agreement !== null || draft.text.trim() ? JSON.stringify(draft) : "";
}

/** What a request cannot go without, in the order of the form. */
export function missingInRequest(draft: RequestDraft, recipients: readonly Recipient[]): "to" | "question" | null {
  if (!recipients.some((recipient) => recipientKey(recipient) === draft.to)) return "to";
  return draft.question.trim() === "" ? "question" : null;
}

/** A class alone is no opinion: the other side is owed a sentence. */
export function missingInAnswer({ agreement, text }: AnswerDraft): "agreement" | "text" | null {
  if (agreement === null) return "agreement";
  return text.trim() === "" ? "text" : null;
}

function parts(text: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function words(value: unknown): string {
  return typeof value === "string" ? value.slice(0, LONGEST_TEXT) : "";
}

function one<T>(allowed: readonly T[], value: unknown): T | null {
  return allowed.find((each) => each === value) ?? null;
}
