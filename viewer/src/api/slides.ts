/** What the server says about a slide, and how it is asked. Sizes are in pixels, `mpp` in µm per level-0 pixel. */

import type { Rect } from "../model/space";

export interface LevelDescription {
  readonly width: number;
  readonly height: number;
  readonly tile_width: number;
  readonly tile_height: number;
}

export interface SlideOfCase {
  readonly id: string;
  readonly stain: string | null;
  readonly block: string | null;
  readonly thumbnail_url: string | null;
  readonly state: string;
}

/** On what ground the reader sees the slide, and what he may do with it. */
export interface SlideContext {
  readonly kind: "own" | "consultation" | "guest";
  readonly role: "requester" | "consultant" | "guest" | null;
  /** The newest consultation about this slide in which the reader takes part. */
  readonly consultation_id: string | null;
  readonly may_ask: boolean;
  readonly may_link: boolean;
  readonly may_answer: boolean;
  /** µs since the epoch. */
  readonly expires_us: number | null;
  /** To a guest: the version to whose bytes the link is pinned. */
  readonly pinned?: string | null;
  /** At home: the purposes to which the patient objects. */
  readonly objections?: readonly string[];
}

const OWN: SlideContext = {
  kind: "own",
  role: null,
  consultation_id: null,
  may_ask: false,
  may_link: false,
  may_answer: false,
  expires_us: null,
};

export interface SlideFile {
  readonly url: string;
  readonly length: number;
}

export interface SlideDescription {
  readonly id: string;
  readonly version: string;
  readonly case: {
    /** `null` for who sees the slide from elsewhere; `accession` is then the number of the request. */
    readonly id: string | null;
    readonly accession: string;
    readonly site: string;
    readonly patient: { readonly name: string; readonly sex: string | null; readonly birth_year: number | null };
    readonly organ: string | null;
  } | null;
  readonly stain: string | null;
  readonly block: string | null;
  readonly width: number;
  readonly height: number;
  readonly mpp_x: number | null;
  readonly mpp_y: number | null;
  readonly objective_power: number | null;
  /** Where there is anything to see, which is what the thumbnail shows; absent: everywhere. */
  readonly bounds?: Rect;
  /** How the slide is shown, where that is a choice: which values run from black to white, which plane of how many. */
  readonly display_window?: string | null;
  readonly focal_plane?: string | null;
  /** Finest first: level 0 is full resolution. */
  readonly levels: readonly LevelDescription[];
  /** Holds `{level}`, `{col}` and `{row}`. */
  readonly tile_url: string;
  readonly thumbnail_url: string | null;
  readonly label_url: string | null;
  readonly macro_url: string | null;
  /** To who may take the file away: where it is, and how many bytes it has. */
  readonly file?: SlideFile | null;
  readonly slides_of_case: readonly SlideOfCase[];
  readonly context?: SlideContext;
}

export function contextOf(slide: Pick<SlideDescription, "context">): SlideContext {
  return slide.context ?? OWN;
}

/**
 * Why a slide cannot be shown: no session any more, no right to it (or no such slide), the time of a guest is over, or
 * nobody answers.
 */
export type Refusal = "ended" | "revoked" | "expired" | "away";

export class SlideRefusedError extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal);
  }
}

/** The description that the page carries in `<script type="application/json" id="slide">`. */
export function slideOfPage(page: Document): SlideDescription {
  const text = page.getElementById("slide")?.textContent;
  if (!text) throw new TypeError("The page carries no slide description");
  return checkSlide(JSON.parse(text));
}

export async function fetchSlide(id: string, signal?: AbortSignal): Promise<SlideDescription> {
  const response = await answerOf(id, signal);
  const refusal = refusalOf(response.status);
  if (refusal) throw new SlideRefusedError(refusal);
  return checkSlide(await response.json());
}

/** Whether the slide may still be looked at; `null` when it may. */
export async function whyRefused(id: string): Promise<Refusal | null> {
  try {
    return refusalOf((await answerOf(id)).status);
  } catch (error) {
    if (error instanceof SlideRefusedError) return error.refusal;
    throw error;
  }
}

/** A refusal says nothing about what exists, so "not found" and "not yours" are one. */
export function refusalOf(status: number): Refusal | null {
  if (status === 401) return "ended";
  if (status === 403 || status === 404 || status === 410) return "revoked";
  return status >= 200 && status < 300 ? null : "away";
}

async function answerOf(id: string, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(`/api/slides/${encodeURIComponent(id)}`, {
      headers: { accept: "application/json" },
      cache: "no-store",
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new SlideRefusedError("away");
  }
}

/** The description, once everything that the stage computes with is known to be sane. */
export function checkSlide(value: unknown): SlideDescription {
  const slide = value as SlideDescription;
  const sane =
    typeof slide === "object" &&
    slide !== null &&
    typeof slide.id === "string" &&
    typeof slide.tile_url === "string" &&
    isSize(slide.width) &&
    isSize(slide.height) &&
    Array.isArray(slide.levels) &&
    slide.levels.length > 0 &&
    slide.levels.every(
      (level) => isSize(level.width) && isSize(level.height) && isSize(level.tile_width) && isSize(level.tile_height),
    ) &&
    Array.isArray(slide.slides_of_case);
  if (!sane) throw new TypeError("The slide description is not one this viewer understands");
  return slide;
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
