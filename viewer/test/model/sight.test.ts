import { describe, expect, it } from "vitest";
import { type Level, Pyramid } from "../../src/model/pyramid";
import { LEAST_PIXEL, Sight } from "../../src/model/sight";
import type { View } from "../../src/model/space";
import { random } from "../random";

const SLIDE = { width: 30_000, height: 22_000 };
const STAGE = { width: 1440, height: 900 };
const SCREEN = STAGE.width * STAGE.height;

/** Halves down to one tile, as every slide is offered. */
const PYRAMID = new Pyramid(SLIDE, halves());

function halves(): Level[] {
  const levels: Level[] = [];
  let { width, height } = SLIDE;
  for (;;) {
    levels.push({ width, height, tile_width: 240, tile_height: 240 });
    if (width <= 240 && height <= 240) return levels;
    [width, height] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  }
}

function sightOf(view: Omit<View, "rotation">, point: { x: number; y: number } | null = null): Sight {
  return Sight.of(PYRAMID, { ...view, rotation: 0 }, STAGE, 1, point);
}

/** The tiles of the level after the picture's that make up the ground. */
function ground(sight: Sight): number {
  const level = sight.level + 2;
  if (level >= PYRAMID.levels.length) return 0;
  const { cols, rows } = PYRAMID.grid(level);
  let tiles = 0;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) if (sight.wants({ level, col, row })) tiles++;
  }
  return tiles;
}

describe("a sight", () => {
  it("asks for about four tile areas for the area of the screen at most, at every zoom and anywhere", () => {
    const next = random(11);
    let most = 0;
    for (let i = 0; i < 400; i++) {
      const zoom = 2 ** (-5 + 6 * next());
      const sight = sightOf({ x: next() * SLIDE.width, y: next() * SLIDE.height, zoom });
      const tiles = sight.picture();
      const shown = tiles.reduce((sum, tile) => sum + onScreen(sight, tile), 0);
      expect(shown / SCREEN).toBeLessThan(1.02 / LEAST_PIXEL ** 2);
      most = Math.max(most, ((tiles.length + ground(sight)) * 240 * 240) / SCREEN);
    }
    // Tiles that the edge of the screen cuts through count whole here, and so does the ground.
    expect(most).toBeGreaterThan(3);
    expect(most).toBeLessThan(5);
  });

  it("asks for every tile on the stage and for none beside it", () => {
    const next = random(12);
    for (let i = 0; i < 100; i++) {
      const sight = sightOf({ x: next() * SLIDE.width, y: next() * SLIDE.height, zoom: 2 ** (-5 + 6 * next()) });
      const { level } = sight;
      const { cols, rows } = PYRAMID.grid(level);
      const shown: string[] = [];
      for (let row = 0; row < rows; row++) {
        for (let col = 0; col < cols; col++) if (sight.shows({ level, col, row })) shown.push(`${col}_${row}`);
      }
      expect(sight.picture().map(({ col, row }) => `${col}_${row}`)).toEqual(shown);
    }
  });

  it("begins where the reader looks and goes outwards", () => {
    const point = { x: 10_400, y: 7_300 };
    const sight = sightOf({ x: 10_000, y: 7_000, zoom: 1 }, point);
    const waiting = new Set(sight.picture().map((address) => ({ address })));
    const distances: number[] = [];
    for (let tile = sight.first(waiting); tile; tile = sight.first(waiting)) {
      waiting.delete(tile);
      const { x, y, width, height } = PYRAMID.region(tile.address);
      distances.push(Math.hypot(x + width / 2 - point.x, y + height / 2 - point.y));
    }
    expect(distances.length).toBeGreaterThan(24);
    expect(distances[0]).toBeLessThanOrEqual(Math.hypot(120, 120));
    expect(distances).toEqual([...distances].sort((a, b) => a - b));
  });

  it("lays the ground first, and takes what lies between only as a stopgap", () => {
    const sight = sightOf({ x: 10_000, y: 7_000, zoom: 1 });
    const tiles = [1, 0, 3, 2].map((level) => ({ address: PYRAMID.tileAt(level, 10_000, 7_000) }));
    expect(tiles.map(({ address }) => sight.partOf(address))).toEqual(["stopgap", "picture", "stopgap", "ground"]);
    expect(sight.first(tiles)?.address.level).toBe(2);
    expect(sight.first(tiles.slice(0, 3))?.address.level).toBe(0);
    expect(sight.first([])).toBeNull();
  });

  it("wants nothing finer than the screen shows", () => {
    const sight = sightOf({ x: 10_000, y: 7_000, zoom: 0.2 });
    expect(sight.level).toBe(2);
    expect(sight.wants(PYRAMID.tileAt(1, 10_000, 7_000))).toBe(false);
    expect(sight.wants(PYRAMID.tileAt(2, 10_000, 7_000))).toBe(true);
    expect(sight.wants(PYRAMID.tileAt(4, 10_000, 7_000))).toBe(true);
    expect(sight.wants(PYRAMID.tileAt(2, 29_000, 7_000))).toBe(false);
  });

  it("counts the pixels of the device, not those of the style sheet", () => {
    const view = { x: 10_000, y: 7_000, zoom: 0.5, rotation: 0 };
    expect(Sight.of(PYRAMID, view, STAGE, 1, null).level).toBe(1);
    expect(Sight.of(PYRAMID, view, STAGE, 2, null).level).toBe(0);
  });
});

/** Pixels of the tile that fall on the stage. */
function onScreen(sight: Sight, tile: { level: number; col: number; row: number }): number {
  const { x, y, width, height } = PYRAMID.region(tile);
  const { shown } = sight;
  const across = Math.min(x + width, shown.x + shown.width) - Math.max(x, shown.x);
  const down = Math.min(y + height, shown.y + shown.height) - Math.max(y, shown.y);
  const scale = PYRAMID.scale(tile.level);
  return across * scale * down * scale;
}
