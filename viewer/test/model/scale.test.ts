import { describe, expect, it } from "vitest";
import { scaleBar } from "../../src/model/scale";

describe("the scale bar", () => {
  it.each([
    [0.5, 1, { value: 50, unit: "µm", pixels: 100 }],
    [0.25, 1, { value: 20, unit: "µm", pixels: 80 }],
    [0.5, 0.05, { value: 1, unit: "mm", pixels: 100 }],
    [0.5, 0.01, { value: 5, unit: "mm", pixels: 100 }],
    [0.1, 40, { value: 200, unit: "nm", pixels: 80 }],
  ] as const)("at %f µm per pixel and zoom %f", (mpp, zoom, expected) => {
    const bar = scaleBar(mpp, zoom, 160)!;
    expect(bar.unit).toBe(expected.unit);
    expect(bar.value).toBe(expected.value);
    expect(bar.pixels).toBeCloseTo(expected.pixels, 6);
  });

  it("is round, never too long, never shorter than 2/5 of its room, and true to scale at any zoom", () => {
    for (let zoom = 0.001; zoom < 20; zoom *= 1.07) {
      const bar = scaleBar(0.499, zoom, 160)!;
      expect(bar.pixels).toBeLessThanOrEqual(160 + 1e-6);
      expect(bar.pixels).toBeGreaterThanOrEqual(160 * 0.4 - 1e-6);
      expect([1, 2, 5]).toContain(Number(bar.value.toExponential()[0]));
      expect(Number(bar.value.toPrecision(1))).toBe(bar.value);
      const um = bar.value * { nm: 0.001, µm: 1, mm: 1000 }[bar.unit];
      expect((bar.pixels * 0.499) / zoom).toBeCloseTo(um, 6);
    }
  });

  it("is not drawn for a slide that is not calibrated", () => {
    expect(scaleBar(null, 1, 160)).toBeNull();
    expect(scaleBar(0, 1, 160)).toBeNull();
    expect(scaleBar(Number.NaN, 1, 160)).toBeNull();
  });
});
