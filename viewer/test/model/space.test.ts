import { describe, expect, it } from "vitest";
import * as space from "../../src/model/space";
import { random } from "../random";

const STAGE = { width: 1441, height: 857 };
const SLIDE = { width: 24_000, height: 18_000 };

function someView(next: () => number): space.View {
  return {
    x: next() * SLIDE.width,
    y: next() * SLIDE.height,
    zoom: 2 ** (next() * 10 - 7),
    rotation: next() < 0.5 ? Math.floor(next() * 4) * 90 : next() * 360,
  };
}

describe("screen and slide", () => {
  it("are inverse to each other in any view", () => {
    const next = random(1);
    for (let i = 0; i < 500; i++) {
      const view = someView(next);
      const point = { x: next() * SLIDE.width, y: next() * SLIDE.height };
      const back = space.screenToSlide(space.slideToScreen(point, view, STAGE), view, STAGE);
      expect(back.x).toBeCloseTo(point.x, 5);
      expect(back.y).toBeCloseTo(point.y, 5);
    }
  });

  it("have the view's point in the middle of the stage", () => {
    const view = { x: 12, y: 34, zoom: 3, rotation: 123 };
    expect(space.slideToScreen(view, view, STAGE)).toEqual({ x: 720.5, y: 428.5 });
  });

  it("turn clockwise: what was to the right comes below", () => {
    const view = { x: 100, y: 100, zoom: 1, rotation: 90 };
    expect(space.slideToScreen({ x: 110, y: 100 }, view, STAGE)).toEqual({ x: 720.5, y: 438.5 });
  });
});

describe("magnification", () => {
  it("is the objective's at one scanned pixel for one on the screen", () => {
    const optics = space.opticsOf({ mpp_x: 0.25, mpp_y: 0.25, objective_power: 40 });
    expect(space.magnificationOf(1, optics)).toBe(40);
    expect(space.zoomOf(20, optics)).toBe(0.5);
  });

  it("comes from the pixel size when no objective is given, 0.5 µm being 20×", () => {
    expect(space.opticsOf({ mpp_x: 0.5, mpp_y: 0.5, objective_power: null })).toEqual({ native: 20, mpp: 0.5 });
    expect(space.opticsOf({ mpp_x: 0.5, mpp_y: null, objective_power: null }).mpp).toBe(0.5);
  });

  it.each([
    [0.499, 20],
    [0.2525, 40],
    [0.2278, 40],
    [1.01, 10],
    [0.35, 10 / 0.35],
  ])("has the round number of the objective where %f µm is near one", (mpp, native) => {
    expect(space.opticsOf({ mpp_x: mpp, mpp_y: mpp, objective_power: null }).native).toBe(native);
  });

  it("is unknown, not invented, when the slide says nothing or nonsense", () => {
    for (const nothing of [null, 0, -1, Number.NaN]) {
      const optics = space.opticsOf({ mpp_x: nothing, mpp_y: nothing, objective_power: nothing });
      expect(optics).toEqual({ native: null, mpp: null });
      expect(space.magnificationOf(1, optics)).toBeNull();
      expect(space.zoomOf(20, optics)).toBeNull();
    }
  });
});

describe("limits of the zoom", () => {
  it("let one reach 40× and 1× on a 20× scan", () => {
    const limits = space.zoomLimits(SLIDE, STAGE, { native: 20, mpp: 0.5 });
    expect(limits.max).toBe(2);
    expect(limits.min).toBeLessThanOrEqual(1 / 20);
    expect(limits.min).toBeLessThan(space.fitZoom(SLIDE, STAGE));
  });

  it("always hold the whole slide, however small it is", () => {
    const tiny = { width: 50, height: 40 };
    const limits = space.zoomLimits(tiny, STAGE, { native: null, mpp: null });
    expect(limits.max).toBeGreaterThanOrEqual(space.fitZoom(tiny, STAGE));
  });
});

describe("a slide with something to see only in a part of it", () => {
  const bounds = { x: 4000, y: 9000, width: 3000, height: 2000 };

  it("shows that part", () => {
    expect(space.shownOf({ ...SLIDE, bounds })).toEqual(bounds);
    expect(space.shownOf(SLIDE)).toEqual({ x: 0, y: 0, width: SLIDE.width, height: SLIDE.height });
  });

  it("begins with that part in the middle", () => {
    const view = space.fitView(bounds, STAGE, { left: 0, top: 0, right: 0, bottom: 0 }, 0);
    expect([view.x, view.y]).toEqual([5500, 10000]);
    expect(view.zoom).toBeCloseTo(Math.min(STAGE.width / 3000, STAGE.height / 2000));
  });
});

describe("the whole slide", () => {
  const insets = { left: 116, top: 16, right: 232, bottom: 92 };

  it.each([0, 90, 180, 270, 37])("lies inside the free part of the stage, turned by %d°", (rotation) => {
    const view = space.fitView(space.shownOf(SLIDE), STAGE, insets, rotation);
    const corners = [
      { x: 0, y: 0 },
      { x: SLIDE.width, y: 0 },
      { x: SLIDE.width, y: SLIDE.height },
      { x: 0, y: SLIDE.height },
    ].map((corner) => space.slideToScreen(corner, view, STAGE));
    const xs = corners.map(({ x }) => x);
    const ys = corners.map(({ y }) => y);
    expect(Math.min(...xs)).toBeGreaterThanOrEqual(insets.left - 1e-6);
    expect(Math.max(...xs)).toBeLessThanOrEqual(STAGE.width - insets.right + 1e-6);
    expect(Math.min(...ys)).toBeGreaterThanOrEqual(insets.top - 1e-6);
    expect(Math.max(...ys)).toBeLessThanOrEqual(STAGE.height - insets.bottom + 1e-6);
    const tight = [
      Math.min(...xs) - insets.left,
      STAGE.width - insets.right - Math.max(...xs),
      Math.min(...ys) - insets.top,
      STAGE.height - insets.bottom - Math.max(...ys),
    ];
    expect(Math.min(...tight)).toBeCloseTo(0, 5);
  });
});

describe("moving", () => {
  it("zooms with the point under the pointer left in its place", () => {
    const next = random(2);
    for (let i = 0; i < 200; i++) {
      const view = someView(next);
      const at = { x: next() * STAGE.width, y: next() * STAGE.height };
      const fixed = space.screenToSlide(at, view, STAGE);
      const zoomed = space.zoomedAt(view, STAGE, at, view.zoom * (0.2 + 3 * next()));
      const after = space.slideToScreen(fixed, zoomed, STAGE);
      expect(after.x).toBeCloseTo(at.x, 5);
      expect(after.y).toBeCloseTo(at.y, 5);
    }
  });

  it("pushes by what the hand moved, whichever way the slide is turned", () => {
    const next = random(3);
    for (let i = 0; i < 200; i++) {
      const view = someView(next);
      const grabbed = { x: 300, y: 200 };
      const point = space.screenToSlide(grabbed, view, STAGE);
      const after = space.slideToScreen(point, space.pushed(view, 17, -9), STAGE);
      expect(after.x).toBeCloseTo(317, 5);
      expect(after.y).toBeCloseTo(191, 5);
    }
  });

  it("keeps the pointer's point in its place on every frame of a zoom", () => {
    const from = { x: 5000, y: 4000, zoom: 0.1, rotation: 30 };
    const at = { x: 200, y: 700 };
    const fixed = space.screenToSlide(at, from, STAGE);
    const to = space.zoomedAt(from, STAGE, at, 0.8);
    for (let share = 0; share <= 1; share += 0.1) {
      const seen = space.slideToScreen(fixed, space.between(from, to, share), STAGE);
      expect(seen.x).toBeCloseTo(at.x, 4);
      expect(seen.y).toBeCloseTo(at.y, 4);
    }
  });

  it("ends exactly where it was going, and turns the short way", () => {
    const from = { x: 1, y: 2, zoom: 1, rotation: 350 };
    const to = { x: 3, y: 4, zoom: 2, rotation: 10 };
    expect(space.between(from, to, 1)).toBe(to);
    expect(space.between(from, to, 0.5).rotation).toBeCloseTo(0, 9);
  });

  it("never leaves the slide, nor the limits of the zoom", () => {
    const view = space.within({ x: -5, y: 99_999, zoom: 100, rotation: -90 }, SLIDE, { min: 0.1, max: 2 });
    expect(view).toEqual({ x: 0, y: 18_000, zoom: 2, rotation: 270 });
  });
});

describe("the pixel grid", () => {
  it.each([0, 90, 180, 270])("falls on the screen's at 1:1, turned by %d°", (rotation) => {
    const next = random(4);
    for (const stage of [STAGE, { width: 1440, height: 856 }, { width: 1440, height: 857 }]) {
      for (let i = 0; i < 50; i++) {
        const view = { x: next() * 1000, y: next() * 1000, zoom: 1, rotation };
        const aligned = space.onPixelGrid(view, stage, 1);
        const origin = space.slideToScreen({ x: 0, y: 0 }, aligned, stage);
        expect(Math.abs(origin.x - Math.round(origin.x))).toBeLessThan(1e-6);
        expect(Math.abs(origin.y - Math.round(origin.y))).toBeLessThan(1e-6);
        expect(Math.hypot(aligned.x - view.x, aligned.y - view.y)).toBeLessThan(0.72);
      }
    }
  });

  it("is left alone at odd angles, and once reached", () => {
    const odd = { x: 10.3, y: 4.7, zoom: 1, rotation: 12 };
    expect(space.onPixelGrid(odd, STAGE, 1)).toBe(odd);
    const once = space.onPixelGrid({ x: 10.3, y: 4.7, zoom: 0.5, rotation: 0 }, STAGE, 1.5);
    const twice = space.onPixelGrid(once, STAGE, 1.5);
    expect(twice.x).toBeCloseTo(once.x, 9);
    expect(twice.y).toBeCloseTo(once.y, 9);
  });

  it("does not flicker between two pixels when a middle falls between them", () => {
    const steady = [0, 1e-9, -1e-9].map((noise) =>
      space.onPixelGrid({ x: 100 + noise, y: 50 + noise, zoom: 1, rotation: 0 }, STAGE, 1),
    );
    for (const { x, y } of steady) expect([x, y]).toEqual([steady[0]!.x, steady[0]!.y]);
  });
});
