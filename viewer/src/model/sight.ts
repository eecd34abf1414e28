/** Which tiles a view needs, what for, and in which order. Pure. */

import { overlaps, type Pyramid, type Region, type TileAddress } from "./pyramid";
import { boundsOf, type Point, type Size, type View } from "./space";

/** Least screen pixels for a pixel of the level shown: below, the next coarser level is as sharp and four times less. */
export const LEAST_PIXEL = 0.55;
/** Screen pixels. The drawing library also asks for tiles that only touch the edge of the stage. */
const MARGIN = 4;
/** Of a computation: the library comes to the same level by another one. */
const NOISE = 1e-6;
/** At a quarter of the resolution the ground costs a sixteenth of the picture. */
const GROUND_SCALE = 1 / 4;
/** Sizes of levels are rounded to whole pixels. */
const ROUNDING = 1.05;

/**
 * What a tile is for: `ground` is a rough picture of the whole stage, had for little, until the `picture` itself is
 * there; a `stopgap` is worth its bytes only where a tile of the picture does not come.
 */
export type Part = "ground" | "picture" | "stopgap";

const TURN: Readonly<Record<Part, number>> = { ground: 0, picture: 1, stopgap: 2 };

export class Sight {
  readonly #ground: number;

  /**
   * @param level as fine as the screen shows
   * @param shown level-0 pixels on the stage
   * @param point what the reader looks at, in slide space
   */
  constructor(
    readonly pyramid: Pyramid,
    readonly level: number,
    readonly shown: Region,
    readonly point: Point,
  ) {
    const most = pyramid.scale(level) * GROUND_SCALE * ROUNDING;
    this.#ground = pyramid.levels.findIndex((_, other) => other > level && pyramid.scale(other) <= most);
  }

  /** `pixelRatio`: device pixels for one screen pixel. `point`: null for the middle of the stage. */
  static of(pyramid: Pyramid, view: View, stage: Size, pixelRatio: number, point: Point | null): Sight {
    const level = pyramid.finestFor(view.zoom * pixelRatio, LEAST_PIXEL - NOISE);
    const margin = MARGIN / view.zoom;
    const { x, y, width, height } = boundsOf(view, stage);
    const shown = { x: x - margin, y: y - margin, width: width + 2 * margin, height: height + 2 * margin };
    return new Sight(pyramid, level, shown, point ?? view);
  }

  /** Whether the tile is of any use to this view. */
  wants(address: TileAddress): boolean {
    return address.level >= this.level && this.shows(address);
  }

  shows(address: TileAddress): boolean {
    return overlaps(this.pyramid.region(address), this.shown);
  }

  partOf({ level }: TileAddress): Part {
    if (level <= this.level) return "picture";
    return level === this.#ground ? "ground" : "stopgap";
  }

  /** The one of these to ask for first; of the picture, the tile nearest to what the reader looks at. */
  first<T extends { readonly address: TileAddress }>(tiles: Iterable<T>): T | null {
    let best: T | null = null;
    let [least, nearest] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const tile of tiles) {
      const turn = TURN[this.partOf(tile.address)];
      if (turn > least) continue;
      const distance = this.#distanceTo(tile.address);
      if (turn === least && distance >= nearest) continue;
      [best, least, nearest] = [tile, turn, distance];
    }
    return best;
  }

  /** The tiles of the picture. */
  picture(): TileAddress[] {
    const { pyramid, level, shown } = this;
    const from = pyramid.tileAt(level, shown.x, shown.y);
    const to = pyramid.tileAt(level, shown.x + shown.width, shown.y + shown.height);
    const tiles: TileAddress[] = [];
    for (let row = from.row; row <= to.row; row++) {
      for (let col = from.col; col <= to.col; col++) tiles.push({ level, col, row });
    }
    return tiles.filter((tile) => this.shows(tile));
  }

  /** Level-0 pixels to the middle of a tile. */
  #distanceTo(address: TileAddress): number {
    const { x, y, width, height } = this.pyramid.region(address);
    return Math.hypot(x + width / 2 - this.point.x, y + height / 2 - this.point.y);
  }
}
