/**
 * Fetches and decodes tiles for OpenSeadragon.
 *
 * The library's own loader gives a tile up when it failed, and cannot tell a lost connection from a lost right. Here
 * failures are told apart by their status, a tile that failed is asked for again for as long as it is in view, and
 * requests for a view left behind are cancelled.
 */

import type OpenSeadragon from "openseadragon";
import type { TileAddress } from "../model/pyramid";
import { Outage, retryDelay } from "../model/retry";

export interface TileWatcher {
  /** Whether the view, or the one it is moving to, shows this tile. */
  wanted(address: TileAddress): boolean;
  /** Whether this tile is only passed by on the way to another view. Never so when the view rests. */
  passing(address: TileAddress): boolean;
  /** The server has not answered for several tiles in a row (`true`), or does again. */
  outage(lasts: boolean): void;
  /** A tile was refused (401, 403, 404, 410): the right to see the slide, or the session, may have ended. */
  refused(status: number): void;
  /** Tiles that had failed may be asked for again. */
  revived(): void;
  /** The number of {@link TileLoader.missing} tiles may have changed. */
  changed(): void;
}

const GIVE_UP_MS = 20_000;
const REFUSALS = new Set([401, 403, 404, 410]);

interface Running {
  readonly job: OpenSeadragon.ImageJob;
  readonly address: TileAddress;
  readonly abort: AbortController;
}

interface Failed {
  readonly tile: OpenSeadragon.Tile;
  readonly address: TileAddress;
  readonly times: number;
  readonly timer: number;
}

class TileError extends Error {
  constructor(readonly status: number) {
    super(`HTTP ${status}`);
  }
}

export class TileLoader {
  readonly #running = new Set<Running>();
  readonly #failed = new Map<string, Failed>();
  readonly #outage = new Outage();
  #some = false;

  constructor(private readonly watcher: TileWatcher) {}

  /** Whether anything came since the slide was opened. */
  get someArrived(): boolean {
    return this.#some;
  }

  /** How many tiles of the present view failed and have not come since. */
  get missing(): number {
    return [...this.#failed.values()].filter(({ address }) => this.watcher.wanted(address)).length;
  }

  start(job: OpenSeadragon.ImageJob, address: TileAddress): void {
    const running = { job, address, abort: new AbortController() };
    if (this.watcher.passing(address)) running.abort.abort();
    this.#running.add(running);
    void this.#load(running);
  }

  stop(job: OpenSeadragon.ImageJob): void {
    for (const running of this.#running) if (running.job === job) running.abort.abort();
  }

  /** Cancels what the present view no longer needs; it is asked for anew when it is needed again. */
  dropStale(): void {
    for (const running of this.#running) if (!this.watcher.wanted(running.address)) running.abort.abort();
  }

  /** Asks at once for every tile that failed. */
  reviveAll(): void {
    for (const failed of this.#failed.values()) this.#revive(failed);
  }

  close(): void {
    for (const running of this.#running) running.abort.abort();
    for (const { timer } of this.#failed.values()) window.clearTimeout(timer);
    this.#failed.clear();
    this.#some = false;
  }

  async #load(running: Running): Promise<void> {
    const { job, abort } = running;
    try {
      // Decodes off the main thread; an embedded colour profile is honoured as it is for any picture.
      const picture = await createImageBitmap(await fetchTile(job.src, abort.signal));
      this.#arrived(job.src);
      job.finish(picture, null, "imageBitmap");
    } catch (error) {
      job.fail(error instanceof Error ? error.message : String(error), null);
      if (abort.signal.aborted) job.tile.exists = true;
      else this.#lost(running, error);
    } finally {
      this.#running.delete(running);
    }
  }

  #arrived(url: string): void {
    this.#some = true;
    if (this.#failed.delete(url)) this.watcher.changed();
    if (!this.#outage.note(true)) return;
    this.watcher.outage(false);
    this.reviveAll();
  }

  #lost({ job, address }: Running, error: unknown): void {
    const times = (this.#failed.get(job.src)?.times ?? 0) + 1;
    const timer = window.setTimeout(() => this.#revive(failed), retryDelay(times));
    const failed: Failed = { tile: job.tile, address, times, timer };
    this.#failed.set(job.src, failed);
    this.watcher.changed();
    if (error instanceof TileError && REFUSALS.has(error.status)) this.watcher.refused(error.status);
    else if (!isBadPicture(error) && this.#outage.note(false)) this.watcher.outage(true);
  }

  #revive({ tile, timer }: Failed): void {
    window.clearTimeout(timer);
    tile.exists = true;
    this.watcher.revived();
  }
}

async function fetchTile(url: string, signal: AbortSignal): Promise<Blob> {
  const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(GIVE_UP_MS)]) });
  if (!response.ok) throw new TileError(response.status);
  return response.blob();
}

/** Bytes came, but are no picture: the tile is damaged, the server is not away. */
function isBadPicture(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "InvalidStateError" || error.name === "EncodingError");
}
