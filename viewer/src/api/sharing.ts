/** Asking for an opinion, answering, making a link, and keeping what is being written. */

import {
  type Agreement,
  type Consultation,
  checkConsultation,
  type Purpose,
  type Urgency,
} from "../model/consultation";
import type { Recipient } from "../model/draft";
import { RequestError, send } from "./http";

export async function fetchColleagues(): Promise<readonly Recipient[]> {
  const { colleagues } = (await (await send("GET", "/api/colleagues")).json()) as { colleagues: Recipient[] };
  return colleagues;
}

export interface NewConsultation {
  /** Drawn here: the same request may be sent again under it when no answer came. */
  readonly id: string;
  readonly case_id: string;
  readonly to_site: string | null;
  readonly to_member: string | null;
  readonly question: string;
  readonly urgency: Urgency;
  readonly purpose: Purpose;
  readonly slide_id: string;
  /** The fragment of the pinned view, without its "#". */
  readonly view: string;
  /** `null` = every slide of the case that is ready. */
  readonly slides: readonly string[] | null;
}

export async function requestOpinion(request: NewConsultation): Promise<Consultation> {
  return consultationOf(await send("POST", "/api/consultations", { body: request }));
}

/** The consultation and its mark; `null` when it is what the mark stands for. */
export async function fetchConsultation(
  id: string,
  etag: string | null,
): Promise<{ readonly consultation: Consultation; readonly etag: string | null } | null> {
  const response = await send("GET", address(id), { etag });
  if (response.status === 304) return null;
  return { consultation: await consultationOf(response), etag: response.headers.get("etag") };
}

export async function move(id: string, name: string, note = ""): Promise<Consultation> {
  return consultationOf(await send("POST", `${address(id)}/moves`, { body: { move: name, note } }));
}

export async function answer(id: string, agreement: Agreement, text: string): Promise<Consultation> {
  return consultationOf(await send("POST", `${address(id)}/answer`, { body: { agreement, text, amends: null } }));
}

export interface NewLink {
  readonly case_id: string;
  readonly slides: readonly string[];
  readonly slide_id: string;
  readonly view: string;
  readonly purpose: Purpose;
  readonly reason: string;
  readonly expires_in_s: number;
  readonly max_uses: number | null;
  /** The mail address that a code goes to before the slides are shown; `null`: whoever has the link comes in. */
  readonly recipient: string | null;
}

export interface MadeLink {
  readonly id: string;
  /** With the secret in its fragment. The server forgets it: it is shown once. */
  readonly url: string;
  readonly expires_us: number;
}

export async function makeLink(link: NewLink): Promise<MadeLink> {
  return (await (await send("POST", "/api/links", { body: link })).json()) as MadeLink;
}

export async function revokeLink(id: string): Promise<void> {
  await send("POST", `/api/links/${encodeURIComponent(id)}/revoke`);
}

export async function fetchDraft(key: string): Promise<string> {
  const response = await send("GET", draftAddress(key));
  if (response.status === 204) return "";
  const { body } = (await response.json()) as { body: unknown };
  return typeof body === "string" ? body : "";
}

export async function saveDraft(key: string, body: string, keepalive = false): Promise<void> {
  await send("PUT", draftAddress(key), { body: { body }, keepalive });
}

export type GuestState = "standing" | "expired" | "revoked" | "used_up" | "maker" | "objected" | "none";

/** How the link stands that this guest came by; "away" when nobody answers. */
export async function fetchGuestState(): Promise<GuestState | "away"> {
  try {
    const { state } = (await (await send("GET", "/api/guest")).json()) as { state: GuestState };
    return state;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return error.status === 401 || error.status === 404 || error.status === 410 ? "none" : "away";
  }
}

async function consultationOf(response: Response): Promise<Consultation> {
  return checkConsultation(await response.json());
}

function address(id: string): string {
  return `/api/consultations/${encodeURIComponent(id)}`;
}

function draftAddress(key: string): string {
  return `/api/drafts/${encodeURIComponent(key)}`;
}
