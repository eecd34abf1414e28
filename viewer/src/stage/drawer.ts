/**
 * Draws tiles on a plain canvas, each edge on a whole device pixel.
 *
 * The library's canvas drawer stretches every tile by a pixel to hide seams, which softens a slide shown at its own
 * resolution; its WebGL drawer is many times slower on the machines without a graphics card that hospitals reach their
 * desktops through. Here neighbours share their rounded edge: no seam, and at 1:1 a screen pixel is a scanned pixel.
 */

import OpenSeadragon from "openseadragon";
import { normalizeRotation } from "../model/space";

// The library frees canvases it forgets, but not bitmaps.
OpenSeadragon.converter.learnDestroy("imageBitmap", (bitmap: ImageBitmap) => bitmap.close());

interface Extent {
  readonly width: number;
  readonly height: number;
}

/** Where a picture goes, and how much of it. */
interface Placed {
  readonly position: OpenSeadragon.Point;
  readonly size: OpenSeadragon.Point;
  readonly sourceBounds: OpenSeadragon.Rect;
}

interface DrawableImage {
  getTilesToDraw(): readonly { readonly tile: OpenSeadragon.Tile & Placed }[];
}

export class ExactDrawer extends OpenSeadragon.DrawerBase {
  /** What there is on the slide, small: stands where tiles are still on their way, so that tissue never gives way to grey. */
  backing: HTMLImageElement | null = null;
  /** Where that lies, in widths of the slide. */
  place = new OpenSeadragon.Rect();
  readonly #context: CanvasRenderingContext2D;

  constructor(options: ConstructorParameters<typeof OpenSeadragon.DrawerBase>[0]) {
    super(options);
    this.#context = this.canvas.getContext("2d")!;
  }

  static override isSupported(): boolean {
    return true;
  }

  override getType(): string {
    return "exact";
  }

  override getSupportedDataFormats(): string[] {
    return ["imageBitmap"];
  }

  override canRotate(): boolean {
    return true;
  }

  override setImageSmoothingEnabled(): void {
    // Always smooth: a pathologist compares shades, not pixels.
  }

  override destroy(): void {
    super.destroy();
    this.canvas.remove();
  }

  _createDrawingElement(): HTMLCanvasElement {
    return document.createElement("canvas");
  }

  draw(images: readonly DrawableImage[]): void {
    const context = this.#context;
    const ratio = this.#fitCanvas();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const rotation = normalizeRotation(this.viewport.getRotation(true));
    if (rotation % 90 !== 0) this.#turn(rotation);
    const put = (picture: CanvasImageSource & Extent, place: Placed): void => {
      if (rotation % 90 === 0) this.#drawUpright(picture, place, ratio, rotation / 90);
      else this.#drawTurned(picture, place, ratio);
    };
    for (const image of images) {
      if (this.backing) put(this.backing, this.#placeOfBacking(this.backing));
      for (const { tile } of image.getTilesToDraw()) {
        const bitmap: ImageBitmap | undefined = this.getDataToDraw(tile);
        if (bitmap) put(bitmap, tile);
      }
    }
  }

  #placeOfBacking({ naturalWidth, naturalHeight }: HTMLImageElement): Placed {
    return {
      position: this.viewport.pixelFromPointNoRotate(this.place.getTopLeft(), true),
      size: this.viewport.deltaPixelsFromPointsNoRotate(this.place.getSize(), true),
      sourceBounds: new OpenSeadragon.Rect(0, 0, naturalWidth, naturalHeight),
    };
  }

  /** Resizing a canvas empties it, so it happens only here, right before the drawing. */
  #fitCanvas(): number {
    const ratio = OpenSeadragon.pixelDensityRatio;
    const { x, y } = this.viewport.getContainerSize();
    const [width, height] = [Math.round(x * ratio), Math.round(y * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    return ratio;
  }

  /** At quarter turns: the tile's place on the screen is found first, and rounded there. */
  #drawUpright(picture: CanvasImageSource & Extent, place: Placed, ratio: number, quarters: number): void {
    const [cos, sin] = [
      [1, 0],
      [0, 1],
      [-1, 0],
      [0, -1],
    ][quarters] as [number, number];
    const [middleX, middleY] = [this.canvas.width / 2, this.canvas.height / 2];
    const [left, top] = [place.position.x * ratio - middleX, place.position.y * ratio - middleY];
    const [right, bottom] = [left + place.size.x * ratio, top + place.size.y * ratio];
    const xs = [left * cos - top * sin, right * cos - bottom * sin].map((x) => Math.round(x + middleX));
    const ys = [left * sin + top * cos, right * sin + bottom * cos].map((y) => Math.round(y + middleY));
    const [width, height] = [Math.abs(xs[1]! - xs[0]!), Math.abs(ys[1]! - ys[0]!)];
    const [across, along] = quarters % 2 === 0 ? [width, height] : [height, width];
    this.#context.setTransform(cos, sin, -sin, cos, (xs[0]! + xs[1]!) / 2, (ys[0]! + ys[1]!) / 2);
    this.#paint(picture, place, -across / 2, -along / 2, across, along);
  }

  /** At any other angle edges cannot fall on pixels: a pixel of overlap hides the seams. */
  #drawTurned(picture: CanvasImageSource & Extent, place: Placed, ratio: number): void {
    const { position, size } = place;
    this.#paint(picture, place, position.x * ratio, position.y * ratio, size.x * ratio + 1, size.y * ratio + 1);
  }

  #turn(degrees: number): void {
    const [middleX, middleY] = [this.canvas.width / 2, this.canvas.height / 2];
    this.#context.translate(middleX, middleY);
    this.#context.rotate((degrees * Math.PI) / 180);
    this.#context.translate(-middleX, -middleY);
  }

  #paint(
    picture: CanvasImageSource & Extent,
    place: Placed,
    x: number,
    y: number,
    width: number,
    height: number,
  ): void {
    const across = Math.min(place.sourceBounds.width, picture.width);
    const down = Math.min(place.sourceBounds.height, picture.height);
    this.#context.drawImage(picture, 0, 0, across, down, x, y, width, height);
  }
}
