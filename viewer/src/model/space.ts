/**
 * The two spaces of the viewer and the way between them. Pure.
 *
 * - slide space: level-0 pixels, x to the right, y down, origin at the upper left corner of the scan;
 * - screen space: CSS pixels of the stage, origin at its upper left corner.
 *
 * A {@link View} says which slide point is in the middle of the stage, how many screen pixels a level-0 pixel takes,
 * and by how many degrees the slide is turned clockwise.
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Rect extends Point, Size {}

export interface Insets {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface View {
  readonly x: number;
  readonly y: number;
  /** Screen pixels for one level-0 pixel: 1 shows every scanned pixel once. */
  readonly zoom: number;
  /** Degrees clockwise, 0 ≤ rotation < 360. */
  readonly rotation: number;
}

/** Magnifications on the keys 1 to 6. */
export const PRESETS = [1, 2.5, 5, 10, 20, 40] as const;

/** An eyepiece-free 10×/µm: a 20× objective is scanned at about 0.5 µm per pixel, a 40× one at 0.25. */
const UM_PER_PIXEL_AT_1X = 10;

const OBJECTIVES = [1.25, 2.5, 5, 10, 20, 40, 60, 80, 100] as const;

export interface Optics {
  /** Magnification at which one scanned pixel takes one screen pixel; `null` when the slide does not say. */
  readonly native: number | null;
  /** µm per level-0 pixel, the mean of both axes; `null` when the slide is not calibrated. */
  readonly mpp: number | null;
}

export function opticsOf(slide: {
  readonly mpp_x: number | null;
  readonly mpp_y: number | null;
  readonly objective_power: number | null;
}): Optics {
  const known = [slide.mpp_x, slide.mpp_y].filter(isPositive);
  const mpp = known.length > 0 ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
  const power = isPositive(slide.objective_power) ? slide.objective_power : null;
  return { native: power ?? (mpp === null ? null : nominal(UM_PER_PIXEL_AT_1X / mpp)), mpp };
}

/** The objective a scanner of this pixel size is sold with: 0.499 µm is called 20×, not 20.04×. */
function nominal(magnification: number): number {
  return OBJECTIVES.find((one) => Math.abs(magnification / one - 1) < 0.1) ?? magnification;
}

export function magnificationOf(zoom: number, optics: Optics): number | null {
  return optics.native === null ? null : zoom * optics.native;
}

export function zoomOf(magnification: number, optics: Optics): number | null {
  return optics.native === null ? null : magnification / optics.native;
}

/** How far one may zoom: out until the slide floats in the stage or reaches 1×, in to 40× or twice the scan. */
export function zoomLimits(slide: Size, stage: Size, optics: Optics): { readonly min: number; readonly max: number } {
  const fits = fitZoom(slide, stage);
  const least = optics.native === null ? fits : 1 / optics.native;
  const most = optics.native === null ? 2 : Math.min(8, Math.max(2, 40 / optics.native));
  return { min: Math.min(0.8 * fits, least), max: Math.max(most, fits) };
}

export function fitZoom(slide: Size, stage: Size): number {
  return Math.min(stage.width / slide.width, stage.height / slide.height);
}

/** Where there is anything to see on the slide. */
export function shownOf(slide: Size & { readonly bounds?: Rect | undefined }): Rect {
  return slide.bounds ?? { x: 0, y: 0, width: slide.width, height: slide.height };
}

/** All there is to see in the part of the stage that the insets leave free. */
export function fitView(shown: Rect, stage: Size, insets: Insets, rotation: number): View {
  const free = {
    width: Math.max(1, stage.width - insets.left - insets.right),
    height: Math.max(1, stage.height - insets.top - insets.bottom),
  };
  const [sin, cos] = sinCos(rotation);
  const turned = {
    width: Math.abs(shown.width * cos) + Math.abs(shown.height * sin),
    height: Math.abs(shown.width * sin) + Math.abs(shown.height * cos),
  };
  const zoom = fitZoom(turned, free);
  const middle = { x: (insets.left - insets.right) / 2, y: (insets.top - insets.bottom) / 2 };
  const shift = turn({ x: middle.x / zoom, y: middle.y / zoom }, -rotation);
  return { x: shown.x + shown.width / 2 - shift.x, y: shown.y + shown.height / 2 - shift.y, zoom, rotation };
}

export function slideToScreen(point: Point, view: View, stage: Size): Point {
  const turned = turn({ x: point.x - view.x, y: point.y - view.y }, view.rotation);
  return { x: stage.width / 2 + turned.x * view.zoom, y: stage.height / 2 + turned.y * view.zoom };
}

export function screenToSlide(point: Point, view: View, stage: Size): Point {
  const offset = { x: (point.x - stage.width / 2) / view.zoom, y: (point.y - stage.height / 2) / view.zoom };
  const turned = turn(offset, -view.rotation);
  return { x: view.x + turned.x, y: view.y + turned.y };
}

/** The corners of the stage in slide space, clockwise from the upper left one. */
export function cornersOf(view: View, stage: Size): readonly [Point, Point, Point, Point] {
  const { width, height } = stage;
  return [
    screenToSlide({ x: 0, y: 0 }, view, stage),
    screenToSlide({ x: width, y: 0 }, view, stage),
    screenToSlide({ x: width, y: height }, view, stage),
    screenToSlide({ x: 0, y: height }, view, stage),
  ];
}

/** The smallest upright rectangle of slide space that holds everything on the stage. */
export function boundsOf(view: View, stage: Size): Rect {
  const corners = cornersOf(view, stage);
  const xs = corners.map((corner) => corner.x);
  const ys = corners.map((corner) => corner.y);
  const x = Math.min(...xs);
  const y = Math.min(...ys);
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

/**
 * The view moved by less than a device pixel so that the slide's pixel grid falls on the screen's. Between two grids
 * every pixel is a blend of four neighbours, and fine chromatin looks softer than it was scanned.
 */
export function onPixelGrid(view: View, stage: Size, pixelRatio: number): View {
  if (view.rotation % 90 !== 0) return view;
  const scale = view.zoom * pixelRatio;
  const turned = view.rotation % 180 !== 0;
  const halfX = ((turned ? stage.height : stage.width) / 2) * pixelRatio;
  const halfY = ((turned ? stage.width : stage.height) / 2) * pixelRatio;
  return {
    ...view,
    x: (roundSteadily(view.x * scale - halfX) + halfX) / scale,
    y: (roundSteadily(view.y * scale - halfY) + halfY) / scale,
  };
}

/** The view after the slide was pushed by so many screen pixels. */
export function pushed(view: View, dx: number, dy: number): View {
  const shift = turn({ x: dx / view.zoom, y: dy / view.zoom }, -view.rotation);
  return { ...view, x: view.x - shift.x, y: view.y - shift.y };
}

/** The view at another zoom, with the slide point under the given screen point left where it is. */
export function zoomedAt(view: View, stage: Size, at: Point, zoom: number): View {
  const fixed = screenToSlide(at, view, stage);
  const share = view.zoom / zoom;
  return { ...view, zoom, x: fixed.x + (view.x - fixed.x) * share, y: fixed.y + (view.y - fixed.y) * share };
}

/** The nearest view whose zoom is within its limits and whose middle lies on the slide. */
export function within(view: View, slide: Size, limits: { readonly min: number; readonly max: number }): View {
  return {
    x: clamp(view.x, 0, slide.width),
    y: clamp(view.y, 0, slide.height),
    zoom: clamp(view.zoom, limits.min, limits.max),
    rotation: normalizeRotation(view.rotation),
  };
}

/** A view on the way from one to another, 0 ≤ share ≤ 1: the point that both show at the same place stays there. */
export function between(from: View, to: View, share: number): View {
  if (share >= 1) return to;
  const zoom = from.zoom * (to.zoom / from.zoom) ** share;
  const way =
    Math.abs(to.zoom / from.zoom - 1) < 1e-6 ? share : (1 / from.zoom - 1 / zoom) / (1 / from.zoom - 1 / to.zoom);
  const quarter = normalizeRotation(to.rotation - from.rotation + 180) - 180;
  return {
    x: from.x + (to.x - from.x) * way,
    y: from.y + (to.y - from.y) * way,
    zoom,
    rotation: normalizeRotation(from.rotation + quarter * share),
  };
}

export function normalizeRotation(degrees: number): number {
  return degrees >= 0 && degrees < 360 ? degrees : ((degrees % 360) + 360) % 360;
}

function turn(point: Point, degrees: number): Point {
  const [sin, cos] = sinCos(degrees);
  return { x: point.x * cos - point.y * sin, y: point.x * sin + point.y * cos };
}

/** Exact for quarter turns, where the floating-point sine is not. */
function sinCos(degrees: number): readonly [number, number] {
  switch (normalizeRotation(degrees)) {
    case 0:
      return [0, 1];
    case 90:
      return [1, 0];
    case 180:
      return [0, -1];
    case 270:
      return [-1, 0];
    default: {
      const radians = (degrees * Math.PI) / 180;
      return [Math.sin(radians), Math.cos(radians)];
    }
  }
}

function isPositive(value: number | null): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

/** Rounds so that a half, give or take the noise of a computation, always goes the same way. */
function roundSteadily(value: number): number {
  return Math.round(value - 1e-4);
}
