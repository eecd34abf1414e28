/** A slide as OpenSeadragon sees it: its levels count from the coarsest, its coordinates from 0 to 1 over the width. */

import OpenSeadragon from "openseadragon";
import type { SlideDescription } from "../api/slides";
import { Pyramid, type TileAddress } from "../model/pyramid";
import type { TileLoader } from "./tiles";

export class SlideTileSource extends OpenSeadragon.TileSource {
  readonly pyramid: Pyramid;
  readonly #template: string;
  readonly #loader: TileLoader;

  constructor(slide: SlideDescription, loader: TileLoader) {
    const [finest] = slide.levels;
    super({
      width: slide.width,
      height: slide.height,
      tileWidth: finest!.tile_width,
      tileHeight: finest!.tile_height,
      tileOverlap: 0,
      minLevel: 0,
      maxLevel: slide.levels.length - 1,
    });
    this.pyramid = new Pyramid(slide, slide.levels);
    this.#template = slide.tile_url;
    this.#loader = loader;
  }

  override getLevelScale(osdLevel: number): number {
    return this.pyramid.scale(this.#ours(osdLevel));
  }

  override getTileWidth(osdLevel: number): number {
    return this.pyramid.level(this.#ours(osdLevel)).tile_width;
  }

  override getTileHeight(osdLevel: number): number {
    return this.pyramid.level(this.#ours(osdLevel)).tile_height;
  }

  override getNumTiles(osdLevel: number): OpenSeadragon.Point {
    const { cols, rows } = this.pyramid.grid(this.#ours(osdLevel));
    return new OpenSeadragon.Point(cols, rows);
  }

  /** The library's own declaration says Tile; what it takes and gives everywhere is the tile's column and row. */
  override getTileAtPoint(osdLevel: number, point: OpenSeadragon.Point): OpenSeadragon.Tile {
    const { width } = this.pyramid.size;
    const { col, row } = this.pyramid.tileAt(this.#ours(osdLevel), point.x * width, point.y * width);
    return new OpenSeadragon.Point(col, row) as unknown as OpenSeadragon.Tile;
  }

  override getTileBounds(osdLevel: number, col: number, row: number, isSource?: boolean): OpenSeadragon.Rect {
    const address = { level: this.#ours(osdLevel), col, row };
    if (isSource) {
      const { width, height } = this.pyramid.regionInLevel(address);
      return new OpenSeadragon.Rect(0, 0, width, height);
    }
    const { x, y, width, height } = this.pyramid.region(address);
    const whole = this.pyramid.size.width;
    return new OpenSeadragon.Rect(x / whole, y / whole, width / whole, height / whole);
  }

  override getTileUrl(osdLevel: number, col: number, row: number): string {
    return this.urlOf({ level: this.#ours(osdLevel), col, row });
  }

  urlOf(address: TileAddress): string {
    return this.pyramid.url(this.#template, address);
  }

  override tileExists(osdLevel: number, col: number, row: number): boolean {
    return this.pyramid.has({ level: this.#ours(osdLevel), col, row });
  }

  override hasTransparency(): boolean {
    return false;
  }

  override downloadTileStart(job: OpenSeadragon.ImageJob): void {
    this.#loader.start(job, this.#addressOf(job.tile));
  }

  override downloadTileAbort(job: OpenSeadragon.ImageJob): void {
    this.#loader.stop(job);
  }

  #addressOf(tile: OpenSeadragon.Tile): TileAddress {
    return { level: this.#ours(tile.level), col: tile.x, row: tile.y };
  }

  #ours(osdLevel: number): number {
    return this.maxLevel - osdLevel;
  }
}
