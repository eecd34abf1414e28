import { describe, expect, it } from "vitest";
import { overlaps, Pyramid } from "../../src/model/pyramid";
import { random } from "../random";

/** As an Aperio scanner writes it: levels 1, 4 and 16, sizes rounded down, 240-pixel tiles. */
const APERIO = new Pyramid({ width: 2220, height: 2967 }, [
  { width: 2220, height: 2967, tile_width: 240, tile_height: 240 },
  { width: 555, height: 741, tile_width: 240, tile_height: 240 },
  { width: 138, height: 185, tile_width: 256, tile_height: 128 },
]);

describe("a pyramid", () => {
  it("has a grid for each level, the last tile being a part of one", () => {
    expect(APERIO.grid(0)).toEqual({ cols: 10, rows: 13 });
    expect(APERIO.grid(1)).toEqual({ cols: 3, rows: 4 });
    expect(APERIO.grid(2)).toEqual({ cols: 1, rows: 2 });
    expect(APERIO.regionInLevel({ level: 0, col: 9, row: 12 })).toEqual({ x: 2160, y: 2880, width: 60, height: 87 });
    expect(APERIO.regionInLevel({ level: 2, col: 0, row: 0 })).toEqual({ x: 0, y: 0, width: 138, height: 128 });
  });

  it.each([0, 1, 2])("covers the slide once and whole at level %d", (level) => {
    const { cols, rows } = APERIO.grid(level);
    let area = 0;
    for (let col = 0; col < cols; col++) {
      for (let row = 0; row < rows; row++) {
        const region = APERIO.region({ level, col, row });
        area += region.width * region.height;
        const right = APERIO.region({ level, col: col + 1, row });
        if (col + 1 < cols) expect(right.x).toBeCloseTo(region.x + region.width, 9);
        else expect(region.x + region.width).toBeCloseTo(2220, 9);
        if (row + 1 === rows) expect(region.y + region.height).toBeCloseTo(2967, 9);
      }
    }
    expect(area).toBeCloseTo(2220 * 2967, 4);
  });

  it("finds the tile under any point, and the point in that tile", () => {
    const next = random(6);
    for (let i = 0; i < 500; i++) {
      const level = Math.floor(next() * 3);
      const [x, y] = [next() * 2220, next() * 2967];
      const address = APERIO.tileAt(level, x, y);
      const region = APERIO.region(address);
      expect(APERIO.has(address)).toBe(true);
      expect(x).toBeGreaterThanOrEqual(region.x - 1e-9);
      expect(x).toBeLessThanOrEqual(region.x + region.width + 1e-9);
      expect(y).toBeGreaterThanOrEqual(region.y - 1e-9);
      expect(y).toBeLessThanOrEqual(region.y + region.height + 1e-9);
    }
  });

  it("gives the far edge to the last tile, and what lies outside to the nearest", () => {
    expect(APERIO.tileAt(0, 2220, 2967)).toEqual({ level: 0, col: 9, row: 12 });
    expect(APERIO.tileAt(0, -5, 5000)).toEqual({ level: 0, col: 0, row: 12 });
  });

  it("knows what it has not", () => {
    for (const [level, col, row] of [
      [0, 10, 0],
      [0, 0, 13],
      [0, -1, 0],
      [3, 0, 0],
      [-1, 0, 0],
    ] as const) {
      expect(APERIO.has({ level, col, row })).toBe(false);
    }
    expect(() => APERIO.grid(3)).toThrow(RangeError);
    expect(() => new Pyramid({ width: 1, height: 1 }, [])).toThrow(RangeError);
  });

  it("asks for the finest level that is not finer than the screen", () => {
    expect(APERIO.finestFor(1, 0.55)).toBe(0);
    expect(APERIO.finestFor(0.56, 0.55)).toBe(0);
    expect(APERIO.finestFor(0.5, 0.55)).toBe(1);
    expect(APERIO.finestFor(0.25, 0.55)).toBe(1);
    expect(APERIO.finestFor(0.05, 0.55)).toBe(2);
    expect(APERIO.finestFor(0.0001, 0.55)).toBe(2);
  });

  it("writes addresses", () => {
    expect(APERIO.url("/tiles/a/v/{level}/{col}_{row}", { level: 1, col: 2, row: 3 })).toBe("/tiles/a/v/1/2_3");
  });
});

it("regions that only touch do not overlap", () => {
  const region = { x: 0, y: 0, width: 10, height: 10 };
  expect(overlaps(region, { x: 10, y: 0, width: 5, height: 5 })).toBe(false);
  expect(overlaps(region, { x: 9, y: 9, width: 5, height: 5 })).toBe(true);
});
