/** The scale bar: a round length (1, 2 or 5 times a power of ten) that takes at most so many screen pixels. Pure. */

export interface ScaleBar {
  readonly pixels: number;
  readonly value: number;
  readonly unit: "nm" | "µm" | "mm";
}

/** `null` when there is no calibration to draw it from. */
export function scaleBar(mpp: number | null, zoom: number, maxPixels: number): ScaleBar | null {
  if (mpp === null || !(mpp > 0) || !(zoom > 0)) return null;
  const umPerPixel = mpp / zoom;
  const longest = umPerPixel * maxPixels;
  const power = 10 ** Math.floor(Math.log10(longest));
  const step = [5, 2, 1].find((one) => one * power <= longest * (1 + 1e-9)) ?? 1;
  const um = step * power;
  return { pixels: um / umPerPixel, ...inUnit(um) };
}

function inUnit(um: number): Pick<ScaleBar, "value" | "unit"> {
  if (um >= 1000) return { value: round(um / 1000), unit: "mm" };
  if (um >= 1) return { value: round(um), unit: "µm" };
  return { value: round(um * 1000), unit: "nm" };
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
