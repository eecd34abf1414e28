/**
 * The stage: one slide, one view of it, moved by hand. The only door to OpenSeadragon.
 *
 * The library draws and fetches; where the view is and how it moves is decided here, in slide space, so that a drag
 * sticks to the pointer, a zoom keeps what is under it, and nothing moves for longer than {@link MOVE_MS}.
 */

import OpenSeadragon from "openseadragon";
import type { SlideDescription } from "../api/slides";
import { LEAST_PIXEL, Sight } from "../model/sight";
import type { Insets, Point, Size, View } from "../model/space";
import * as space from "../model/space";
import { ExactDrawer } from "./drawer";
import { SlideTileSource } from "./source";
import { TileLoader } from "./tiles";

const MOVE_MS = 110;
/** Once a movement is meant for so long, what it leads to is asked for; a wheel that spins on is waited for. */
const MEANT_MS = 30;
const TILE_MEMORY_BYTES = 256 * 2 ** 20;
/** Enough for any screen: the library is to tell all that it wants at once; the order of requests is ours. */
const TILES_PER_FRAME = 2000;
/** How long the library waits for a tile, the longest that browsers can. It shall not give up on its own. */
const FOR_EVER_MS = 2 ** 31 - 1;

export interface StageEvents {
  view(view: View): void;
  /** How much of the view is drawn: all at full sharpness, all but so many tiles that failed, or not yet. */
  drawn(settled: boolean, missing: number): void;
  outage(lasts: boolean): void;
  refused(status: number): void;
  /** Slide point under the pointer; `null` when the pointer has left. */
  pointer(point: Point | null): void;
}

export class Stage {
  readonly #osd: OpenSeadragon.Viewer;
  readonly #loader: TileLoader;
  readonly #stillness = window.matchMedia("(prefers-reduced-motion: reduce)");
  #slide: SlideDescription | null = null;
  #source: SlideTileSource | null = null;
  #limits = { min: 0, max: 1 };
  #view: View = { x: 0, y: 0, zoom: 1, rotation: 0 };
  #target: View = this.#view;
  #frame = 0;
  #meant = 0;
  #moving = false;
  #pointer: Point | null = null;
  #backing: HTMLImageElement | null = null;

  constructor(
    private readonly element: HTMLElement,
    private readonly events: StageEvents,
  ) {
    quietConsole();
    this.#loader = new TileLoader({
      sight: () => this.#sight(),
      moving: () => this.#moving,
      outage: (lasts) => events.outage(lasts),
      refused: (status) => events.refused(status),
      revived: () => this.#image?.setClip(null as unknown as OpenSeadragon.Rect),
      changed: () => this.#tellDrawn(),
    });
    this.#osd = new OpenSeadragon.Viewer({
      element,
      drawer: ExactDrawer,
      showNavigationControl: false,
      keyboardNavEnabled: false,
      animationTime: 0,
      minScrollDeltaTime: -1,
      preserveImageSizeOnResize: true,
      minPixelRatio: LEAST_PIXEL,
      minZoomLevel: 1e-9,
      maxZoomLevel: 1e9,
      imageLoaderLimit: 0,
      maxTilesPerFrame: TILES_PER_FRAME,
      timeout: FOR_EVER_MS,
    });
    this.#listen();
  }

  get size(): Size {
    const { x, y } = this.#osd.viewport?.getContainerSize() ?? { x: 0, y: 0 };
    return x > 0 ? { width: x, height: y } : { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  /** Where the view is going: what it shows when it rests. */
  get view(): View {
    return this.#target;
  }

  /** Shows a slide. `firstView` is asked for when the size of the stage is known. */
  open(slide: SlideDescription, firstView: (stage: Size) => View): void {
    this.close();
    this.#slide = slide;
    this.#source = new SlideTileSource(slide, this.#loader);
    this.#remember(slide);
    void this.#layBacking(slide);
    this.#osd.addOnceHandler("open", () => {
      this.#limits = space.zoomLimits(slide, this.size, space.opticsOf(slide));
      this.moveTo(firstView(this.size), { jump: true });
      this.#image?.addHandler("fully-loaded-change", () => this.#tellDrawn());
    });
    this.#osd.open({ tileSource: this.#source });
  }

  /** Takes the slide off the stage: no pixel of it stays. */
  close(): void {
    cancelAnimationFrame(this.#frame);
    window.clearTimeout(this.#meant);
    this.#loader.close();
    this.#slide = null;
    this.#source = null;
    this.#backing = null;
    this.#drawBacking(false);
    this.#osd.close();
  }

  /** Asks at once for every tile that failed. */
  askAgain(): void {
    this.#loader.reviveAll();
  }

  destroy(): void {
    this.close();
    this.#osd.destroy();
  }

  moveTo(view: View, { jump = false }: { jump?: boolean } = {}): void {
    if (!this.#slide) return;
    const from = this.#view;
    this.#target = space.within(view, this.#slide, this.#limits);
    cancelAnimationFrame(this.#frame);
    window.clearTimeout(this.#meant);
    this.#moving = false;
    if (jump || this.#stillness.matches) return this.#show(1, this.#target);
    const start = performance.now();
    const step = (now: number): void => {
      const share = Math.min(1, Math.max(0, now - start) / MOVE_MS);
      this.#moving = share < 1;
      this.#show(share, from);
      if (share < 1) this.#frame = requestAnimationFrame(step);
    };
    this.#moving = true;
    this.#frame = requestAnimationFrame(step);
    this.#meant = window.setTimeout(() => this.#expect(), MEANT_MS);
  }

  fit(insets: Insets): void {
    if (this.#slide) this.moveTo(space.fitView(space.shownOf(this.#slide), this.size, insets, this.#target.rotation));
  }

  /** Pushes the slide by screen pixels. */
  push(dx: number, dy: number, how: { jump?: boolean } = {}): void {
    this.moveTo(space.pushed(this.#target, dx, dy), how);
  }

  /** Zooms about a screen point: by default the pointer when it is over the stage, else the middle. */
  zoomTo(zoom: number, at: Point = this.#pointer ?? this.#middle, how: { jump?: boolean } = {}): void {
    const allowed = Math.min(Math.max(zoom, this.#limits.min), this.#limits.max);
    this.moveTo(space.zoomedAt(this.#target, this.size, at, allowed), how);
  }

  zoomBy(factor: number, at?: Point): void {
    this.zoomTo(this.#target.zoom * factor, at);
  }

  turnTo(rotation: number, how: { jump?: boolean } = {}): void {
    this.moveTo({ ...this.#target, rotation }, how);
  }

  focus(): void {
    this.#osd.canvas.focus({ preventScroll: true });
  }

  /** What somebody hears who cannot see the stage. */
  describe(label: string): void {
    this.#osd.canvas.setAttribute("role", "application");
    this.#osd.canvas.setAttribute("aria-label", label);
  }

  get #middle(): Point {
    return { x: this.size.width / 2, y: this.size.height / 2 };
  }

  get #image(): OpenSeadragon.TiledImage | undefined {
    return this.#osd.world.getItemAt(0);
  }

  /** Shows the view that lies this share of the way from one to the target. */
  #show(share: number, from: View): void {
    if (!this.#slide || !this.#osd.isOpen()) return;
    this.#view = space.between(from, this.#target, 1 - (1 - share) ** 3);
    const drawn = share < 1 ? this.#view : space.onPixelGrid(this.#view, this.size, OpenSeadragon.pixelDensityRatio);
    const { viewport } = this.#osd;
    const whole = this.#slide.width;
    const before = viewportState(viewport);
    viewport.setRotation(drawn.rotation, true);
    viewport.zoomTo((drawn.zoom * whole) / this.size.width, undefined, true);
    viewport.panTo(new OpenSeadragon.Point(drawn.x / whole, drawn.y / whole), true);
    this.#loader.dropStale();
    this.events.view(this.#view);
    this.#tellPointer();
    // The library finds out at its next frame what is missing; "viewport-change" tells that it has.
    if (before === viewportState(viewport)) return;
    this.#drawBacking(true);
    this.events.drawn(false, this.#loader.missing);
  }

  /** Judged by where the view is going, so that a long zoom does not fetch what it only passes. */
  #sight(): Sight | null {
    if (!this.#source || !this.#slide) return null;
    const looked = this.#pointer && space.screenToSlide(this.#pointer, this.#target, this.size);
    return Sight.of(this.#source.pyramid, this.#target, this.size, OpenSeadragon.pixelDensityRatio, looked);
  }

  /** Asks for what the movement leads to while it is under way; the library looks only at where it is. */
  #expect(): void {
    const source = this.#source;
    if (!source || this.#target.rotation % 90 !== 0) return;
    for (const address of this.#sight()?.picture() ?? []) {
      const url = source.urlOf(address);
      if (!this.#osd.tileCache.getCacheRecord(url)) this.#loader.expect(url, address);
    }
  }

  #tellDrawn(): void {
    // A tile that failed counts as settled for the library, until it is asked for again.
    const settled = this.#image?.getFullyLoaded() === true && this.#loader.someArrived;
    const { missing } = this.#loader;
    this.#drawBacking(!settled || missing > 0);
    this.events.drawn(settled, missing);
  }

  /** The thumbnail, which the page mostly has already: it is on the stage before the first tile. */
  async #layBacking(slide: SlideDescription): Promise<void> {
    if (!slide.thumbnail_url) return;
    const picture = new Image();
    picture.src = slide.thumbnail_url;
    try {
      await picture.decode();
    } catch {
      return;
    }
    if (this.#slide !== slide) return;
    this.#backing = picture;
    const { x, y, width, height } = space.shownOf(slide);
    const place = new OpenSeadragon.Rect(x, y, width, height).times(1 / slide.width);
    Object.assign(this.#osd.drawer, { place });
    this.#tellDrawn();
  }

  #drawBacking(needed: boolean): void {
    const drawer = this.#osd.drawer as ExactDrawer;
    const backing = needed ? this.#backing : null;
    if (drawer.backing === backing) return;
    drawer.backing = backing;
    this.#osd.forceRedraw();
  }

  #tellPointer(): void {
    this.events.pointer(this.#pointer && space.screenToSlide(this.#pointer, this.#view, this.size));
  }

  /** Keeps as many decoded tiles as fit the memory; the library counts tiles, whatever their size. */
  #remember({ levels }: SlideDescription): void {
    const largest = Math.max(...levels.map((level) => level.tile_width * level.tile_height));
    const tiles = Math.min(2000, Math.max(200, Math.round(TILE_MEMORY_BYTES / (4 * largest))));
    Object.assign(this.#osd.tileCache, { _maxCacheItemCount: tiles });
  }

  #listen(): void {
    const osd = this.#osd;
    osd.addHandler("viewport-change", () => this.#tellDrawn());
    osd.addHandler("resize", () => {
      if (!this.#slide) return;
      this.#limits = space.zoomLimits(this.#slide, this.size, space.opticsOf(this.#slide));
      // The library moves its own view after this event; ours has the last word.
      queueMicrotask(() => this.moveTo(this.#target, { jump: true }));
    });
    osd.addHandler("canvas-drag", (event) => {
      event.preventDefaultAction = true;
      if (event.shift) this.#turnAlong(event.position, event.delta);
      else this.push(event.delta.x, event.delta.y, { jump: true });
    });
    for (const ours of ["canvas-drag-end", "canvas-click"] as const) {
      osd.addHandler(ours, (event) => {
        event.preventDefaultAction = true;
      });
    }
    osd.addHandler("canvas-double-click", (event) => {
      event.preventDefaultAction = true;
      this.zoomBy(event.shift ? 0.5 : 2, event.position);
    });
    osd.addHandler("canvas-pinch", (event) => {
      event.preventDefaultPanAction = true;
      event.preventDefaultZoomAction = true;
      event.preventDefaultRotateAction = true;
      const moved = event.center.minus(event.lastCenter);
      this.push(moved.x, moved.y, { jump: true });
      this.zoomTo(this.#target.zoom * (event.distance / event.lastDistance), event.center, { jump: true });
    });
    osd.addHandler("canvas-scroll", (event) => {
      event.preventDefaultAction = true;
      this.zoomBy(wheelFactor(event.originalEvent as WheelEvent), event.position);
    });
    this.element.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse") return;
      const box = this.element.getBoundingClientRect();
      this.#pointer = { x: event.clientX - box.left, y: event.clientY - box.top };
      this.#tellPointer();
    });
    this.element.addEventListener("pointerleave", () => {
      this.#pointer = null;
      this.#tellPointer();
    });
  }

  /** A drag with the shift key turns the slide about the middle of the stage. */
  #turnAlong(position: Point, delta: Point): void {
    const middle = this.#middle;
    const angle = (x: number, y: number): number => (Math.atan2(y - middle.y, x - middle.x) * 180) / Math.PI;
    const turned = angle(position.x, position.y) - angle(position.x - delta.x, position.y - delta.y);
    this.turnTo(this.#target.rotation + turned, { jump: true });
  }
}

function viewportState(viewport: OpenSeadragon.Viewport): string {
  const { x, y } = viewport.getCenter();
  return `${x} ${y} ${viewport.getZoom()} ${viewport.getRotation()}`;
}

const PIXELS_PER_LINE = 40;
const PIXELS_PER_PAGE = 400;
const PIXELS_PER_DOUBLING = 250;

/** A notch of a mouse wheel (100 or 120 pixels) zooms by about a third. */
function wheelFactor(event: WheelEvent): number {
  const unit = [1, PIXELS_PER_LINE, PIXELS_PER_PAGE][event.deltaMode] ?? 1;
  // A pinch on a trackpad arrives as a wheel with the control key, in much smaller steps.
  const pixels = event.deltaY * unit * (event.ctrlKey ? 4 : 1);
  return 2 ** (-Math.min(Math.max(pixels, -500), 500) / PIXELS_PER_DOUBLING);
}

/** The library writes to the console for every tile that fails or is cancelled: everyday here, and handled. */
function quietConsole(): void {
  const quiet = (): void => {};
  const silent = { log: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, assert: quiet };
  Object.assign(OpenSeadragon, { console: silent });
}
