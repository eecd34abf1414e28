/**
 * The exact view in the fragment of the address: `#c=34120,12884&m=20&r=90`. Pure.
 *
 * `c` is the middle of the stage in level-0 pixels, `m` the magnification, `r` degrees clockwise. A slide that does not
 * say its magnification has `z`, screen pixels per level-0 pixel, instead of `m`. What somebody else wrote into a link
 * is hostile until shown otherwise: a part that is no plain number is left out, and a point outside the slide is moved
 * to its edge.
 */

import { magnificationOf, normalizeRotation, type Optics, type Size, type View, zoomOf } from "./space";

export type LinkedView = Partial<Pick<View, "x" | "y" | "zoom" | "rotation">>;

const PLAIN_NUMBER = /^-?\d{1,9}(\.\d{1,6})?$/;

export function parseView(fragment: string, slide: Size, optics: Optics): LinkedView | null {
  const parts = new URLSearchParams(fragment.replace(/^#/, "").slice(0, 200));
  const linked: { -readonly [K in keyof LinkedView]: LinkedView[K] } = {};

  const [x, y, ...rest] = (parts.get("c") ?? "").split(",").map(plainNumber);
  if (x != null && y != null && rest.length === 0) {
    linked.x = clamp(x, 0, slide.width);
    linked.y = clamp(y, 0, slide.height);
  }
  const magnification = plainNumber(parts.get("m"));
  const plainZoom = plainNumber(parts.get("z"));
  const zoom = magnification === null ? plainZoom : (zoomOf(magnification, optics) ?? plainZoom);
  if (zoom !== null && zoom > 0) linked.zoom = zoom;

  const rotation = plainNumber(parts.get("r"));
  if (rotation !== null) linked.rotation = normalizeRotation(rotation);

  return Object.keys(linked).length > 0 ? linked : null;
}

export function formatView(view: View, optics: Optics): string {
  const magnification = magnificationOf(view.zoom, optics);
  const scale = magnification === null ? `z=${short(view.zoom, 6)}` : `m=${short(magnification, 4)}`;
  return `#c=${short(view.x, 2)},${short(view.y, 2)}&${scale}&r=${short(view.rotation, 1)}`;
}

function plainNumber(text: string | null): number | null {
  return text !== null && PLAIN_NUMBER.test(text) ? Number(text) : null;
}

/** Decimals only where they are needed, so that a link read aloud stays short. */
function short(value: number, decimals: number): string {
  return String(Number(value.toFixed(decimals)));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
