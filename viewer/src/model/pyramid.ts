/**
 * The tiles of a slide. Pure.
 *
 * Levels count from 0 = full resolution, and need not be halves of each other: their sizes are those of the file.
 * Stored tiles at the right and lower edge are padded to the full tile, cut ones are not; the clipped size given here
 * is right for both.
 */

import type { Size } from "./space";

export interface Level extends Size {
  readonly tile_width: number;
  readonly tile_height: number;
}

export interface TileAddress {
  readonly level: number;
  readonly col: number;
  readonly row: number;
}

export interface Region extends Size {
  readonly x: number;
  readonly y: number;
}

export class Pyramid {
  constructor(
    readonly size: Size,
    readonly levels: readonly Level[],
  ) {
    if (levels.length === 0) throw new RangeError("A pyramid has at least one level");
  }

  level(level: number): Level {
    const found = this.levels[level];
    if (!found) throw new RangeError(`No level ${level}`);
    return found;
  }

  /** Columns and rows of tiles. */
  grid(level: number): { readonly cols: number; readonly rows: number } {
    const { width, height, tile_width, tile_height } = this.level(level);
    return { cols: Math.ceil(width / tile_width), rows: Math.ceil(height / tile_height) };
  }

  /** Pixels of this level for one level-0 pixel, ≤ 1. */
  scale(level: number): number {
    return this.level(level).width / this.size.width;
  }

  has({ level, col, row }: TileAddress): boolean {
    if (!this.levels[level]) return false;
    const { cols, rows } = this.grid(level);
    return col >= 0 && row >= 0 && col < cols && row < rows;
  }

  /** What the tile shows, in pixels of its level, without padding. */
  regionInLevel({ level, col, row }: TileAddress): Region {
    const { width, height, tile_width, tile_height } = this.level(level);
    const x = col * tile_width;
    const y = row * tile_height;
    return { x, y, width: Math.min(tile_width, width - x), height: Math.min(tile_height, height - y) };
  }

  /** What the tile shows, in level-0 pixels (fractions of a pixel where the level is no whole divisor). */
  region(address: TileAddress): Region {
    const { width, height } = this.level(address.level);
    const region = this.regionInLevel(address);
    const right = this.size.width / width;
    const down = this.size.height / height;
    return { x: region.x * right, y: region.y * down, width: region.width * right, height: region.height * down };
  }

  /** The tile under a level-0 point; a point on the far edge belongs to the last tile. */
  tileAt(level: number, x: number, y: number): TileAddress {
    const { width, height, tile_width, tile_height } = this.level(level);
    const { cols, rows } = this.grid(level);
    const col = Math.floor(((x / this.size.width) * width) / tile_width);
    const row = Math.floor(((y / this.size.height) * height) / tile_height);
    return { level, col: clamp(col, cols - 1), row: clamp(row, rows - 1) };
  }

  /**
   * The finest level worth asking for: the first whose pixels take at least `least` screen pixels each.
   * `zoom` is in device pixels per level-0 pixel.
   */
  finestFor(zoom: number, least: number): number {
    const found = this.levels.findIndex((_, level) => zoom / this.scale(level) >= least);
    return found < 0 ? this.levels.length - 1 : found;
  }

  url(template: string, { level, col, row }: TileAddress): string {
    return template.replace("{level}", `${level}`).replace("{col}", `${col}`).replace("{row}", `${row}`);
  }
}

export function overlaps(a: Region, b: Region): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most);
}
