/**
 * Gets tiles for OpenSeadragon.
 *
 * The library's own loader asks in the order in which it happened to look, gives a tile up when it failed, and cannot
 * tell a lost connection from a lost right. Here all that is wanted waits in one place: what goes out next is decided
 * when a request can go out, by where the reader looks then. Requests for a view left behind are cancelled, failures
 * are told apart by their status, and a tile that failed is asked for again for as long as it is in view.
 */

import type OpenSeadragon from "openseadragon";
import { overlaps, type TileAddress } from "../model/pyramid";
import { Outage, Patience, retryDelay } from "../model/retry";
import type { Sight } from "../model/sight";
import { Download, isBadPicture, TileError, TileLateError } from "./download";

export interface TileWatcher {
  /** What the view shows, or the one it is moving to; `null` when there is none. */
  sight(): Sight | null;
  /** Whether the view is on its way. */
  moving(): boolean;
  /** The server has not answered for several tiles in a row (`true`), or does again. */
  outage(lasts: boolean): void;
  /** A tile was refused (401, 403, 404, 410): the right to see the slide, or the session, may have ended. */
  refused(status: number): void;
  /** Tiles that had failed may be asked for again. */
  revived(): void;
  /** The number of {@link TileLoader.missing} tiles may have changed. */
  changed(): void;
}

/** Above the six connections a browser opens: the next request is there when one of them falls free. */
const REQUESTS_AT_ONCE = 12;
const REFUSALS = new Set([401, 403, 404, 410]);

interface Wanted {
  readonly url: string;
  readonly address: TileAddress;
  /** The library's; `null` when the tile is had before the library looks for it. */
  job: OpenSeadragon.ImageJob | null;
}

interface Running extends Wanted {
  readonly download: Download;
}

interface Early {
  readonly address: TileAddress;
  readonly picture: ImageBitmap;
}

interface Failed {
  readonly tile: OpenSeadragon.Tile | null;
  readonly address: TileAddress;
  readonly times: number;
  readonly timer: number;
}

export class TileLoader {
  readonly #waiting = new Map<string, Wanted>();
  readonly #running = new Map<string, Running>();
  readonly #failed = new Map<string, Failed>();
  /** Pictures that came before the library looked for them. */
  readonly #early = new Map<string, Early>();
  /** What the library wanted and seemed not worth a request: when it asks again, it has its reasons. */
  readonly #declined = new Set<string>();
  readonly #outage = new Outage();
  readonly #patience = new Patience();
  #some = false;
  #sending = false;

  constructor(private readonly watcher: TileWatcher) {}

  /** Whether anything came since the slide was opened. */
  get someArrived(): boolean {
    return this.#some;
  }

  /** How many tiles of the present picture failed and have not come since. */
  get missing(): number {
    const sight = this.watcher.sight();
    if (!sight) return 0;
    const lacks = ({ address }: Failed): boolean => sight.wants(address) && sight.partOf(address) === "picture";
    return [...this.#failed.values()].filter(lacks).length;
  }

  start(job: OpenSeadragon.ImageJob, address: TileAddress): void {
    const early = this.#early.get(job.src);
    if (early) {
      this.#early.delete(job.src);
      return job.finish(early.picture, null, "imageBitmap");
    }
    const running = this.#running.get(job.src);
    if (running) running.job = job;
    else if (this.watcher.moving() && !this.watcher.sight()?.wants(address)) refuse(job);
    else this.#want({ url: job.src, address, job });
  }

  stop(job: OpenSeadragon.ImageJob): void {
    for (const wanted of [...this.#waiting.values(), ...this.#running.values()]) {
      if (wanted.job === job) this.#drop(wanted);
    }
  }

  /** Asks for a tile that the library will look for in a moment. */
  expect(url: string, address: TileAddress): void {
    const known = [this.#early, this.#waiting, this.#running, this.#failed].some((tiles) => tiles.has(url));
    if (!known) this.#want({ url, address, job: null });
  }

  /** Cancels what the present view no longer needs; it is asked for anew when it is needed again. */
  dropStale(): void {
    const sight = this.watcher.sight();
    for (const wanted of [...this.#waiting.values(), ...this.#running.values()]) {
      if (!sight?.wants(wanted.address)) this.#drop(wanted);
    }
    for (const [url, { address, picture }] of this.#early) {
      if (sight?.wants(address)) continue;
      this.#early.delete(url);
      picture.close();
    }
    this.#declined.clear();
  }

  /** Asks at once for every tile that failed. */
  reviveAll(): void {
    for (const failed of this.#failed.values()) this.#revive(failed);
  }

  close(): void {
    for (const wanted of [...this.#waiting.values(), ...this.#running.values()]) this.#drop(wanted);
    for (const { timer } of this.#failed.values()) window.clearTimeout(timer);
    for (const { picture } of this.#early.values()) picture.close();
    this.#failed.clear();
    this.#early.clear();
    this.#declined.clear();
    this.#some = false;
  }

  #want(wanted: Wanted): void {
    const before = this.#waiting.get(wanted.url);
    if (before) before.job = wanted.job;
    else this.#waiting.set(wanted.url, wanted);
    if (this.#sending) return;
    // The library looks tile by tile: the choice is made among all that this look wants.
    this.#sending = true;
    queueMicrotask(() => {
      this.#sending = false;
      this.#send();
    });
  }

  #send(): void {
    const sight = this.watcher.sight();
    if (!sight) return;
    const open = [...this.#running.values()].filter(({ download }) => !download.whole);
    const late = open.filter(({ download }) => download.late).length;
    // Requests that hang must not keep the others back, nor pile up without end.
    let free = REQUESTS_AT_ONCE - open.length + Math.min(late, REQUESTS_AT_ONCE);
    const lacking = this.#lacking(sight);
    const useful = ({ url, address }: Wanted): boolean => {
      if (sight.partOf(address) !== "stopgap" || this.#declined.has(url)) return true;
      const region = sight.pyramid.region(address);
      return lacking.some((other) => overlaps(region, other));
    };
    for (; free > 0; free--) {
      const next = sight.first([...this.#waiting.values()].filter(useful));
      if (!next) break;
      this.#waiting.delete(next.url);
      this.#request(next);
    }
    if (this.#running.size > 0) return;
    for (const wanted of this.#waiting.values()) {
      this.#declined.add(wanted.url);
      this.#drop(wanted);
    }
  }

  /** Where in the picture a tile failed, or lets itself be waited for. */
  #lacking(sight: Sight): { x: number; y: number; width: number; height: number }[] {
    const late = [...this.#running.values()].filter(({ download }) => download.late);
    return [...late, ...this.#failed.values()]
      .filter(({ address }) => sight.wants(address))
      .map(({ address }) => sight.pyramid.region(address));
  }

  #request(wanted: Wanted): void {
    const download = new Download(wanted.url, this.#patience.ms, () => this.#send());
    const running = { ...wanted, download };
    this.#running.set(wanted.url, running);
    void this.#load(running);
  }

  async #load(running: Running): Promise<void> {
    const { url, download } = running;
    try {
      const picture = await download.picture();
      if (download.stopped) return picture.close();
      this.#running.delete(url);
      if (running.job) running.job.finish(picture, null, "imageBitmap");
      else this.#early.set(url, { address: running.address, picture });
      this.#arrived(url, download.tookMs);
    } catch (error) {
      if (download.stopped) return;
      this.#running.delete(url);
      this.#lost(running, error);
    }
    this.#send();
  }

  #drop(wanted: Wanted): void {
    this.#waiting.delete(wanted.url);
    const running = this.#running.get(wanted.url);
    this.#running.delete(wanted.url);
    running?.download.stop();
    if (wanted.job) refuse(wanted.job);
  }

  #arrived(url: string, tookMs: number): void {
    this.#some = true;
    this.#patience.arrived(tookMs);
    const failed = this.#failed.get(url);
    window.clearTimeout(failed?.timer);
    if (this.#failed.delete(url)) this.watcher.changed();
    if (!this.#outage.note(true)) return;
    this.watcher.outage(false);
    this.reviveAll();
  }

  #lost({ url, job, address }: Running, error: unknown): void {
    const before = this.#failed.get(url);
    window.clearTimeout(before?.timer);
    const times = (before?.times ?? 0) + 1;
    const timer = window.setTimeout(() => this.#revive(failed), retryDelay(times));
    const failed: Failed = { tile: job?.tile ?? null, address, times, timer };
    this.#failed.set(url, failed);
    job?.fail(error instanceof Error ? error.message : String(error), null);
    this.watcher.changed();
    if (error instanceof TileLateError) this.#patience.ranOut(error.afterMs);
    if (error instanceof TileError && REFUSALS.has(error.status)) this.watcher.refused(error.status);
    else if (!isBadPicture(error) && this.#outage.note(false)) this.watcher.outage(true);
  }

  #revive({ tile, timer }: Failed): void {
    window.clearTimeout(timer);
    if (tile) tile.exists = true;
    this.watcher.revived();
  }
}

/** The library forgets that it asked, and asks again when it wants the tile again. */
function refuse(job: OpenSeadragon.ImageJob): void {
  job.fail("The view went elsewhere", null);
  job.tile.exists = true;
}
