import type OpenSeadragon from "openseadragon";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Pyramid, type TileAddress } from "../../src/model/pyramid";
import { Sight } from "../../src/model/sight";
import type { Point } from "../../src/model/space";
import { TileLoader } from "../../src/stage/tiles";

const SLIDE = { width: 8192, height: 8192 };
const PYRAMID = new Pyramid(
  SLIDE,
  [8192, 4096, 2048, 1024].map((size) => ({ width: size, height: size, tile_width: 256, tile_height: 256 })),
);
const STAGE = { width: 1024, height: 1024 };

interface Request {
  readonly url: string;
  readonly signal: AbortSignal;
  answer(status?: number): Promise<void>;
}

/** A job of the library, and what became of it. */
interface Job {
  readonly job: OpenSeadragon.ImageJob;
  readonly tile: { exists: boolean };
  readonly finished: () => boolean;
  readonly failed: () => boolean;
}

let requests: Request[];
let pointer: Point;
let middle: Point;
let moving: boolean;
let refused: number[];
let loader: TileLoader;

beforeEach(() => {
  vi.useFakeTimers();
  requests = [];
  [pointer, middle, moving, refused] = [{ x: 2000, y: 2000 }, { x: 2048, y: 2048 }, false, []];
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("fetch", (url: string, { signal }: { signal: AbortSignal }) => {
    let resolve!: (response: Response) => void;
    const promise = new Promise<Response>((came, failed) => {
      resolve = came;
      signal.addEventListener("abort", () => failed(signal.reason));
    });
    const answer = async (status = 200): Promise<void> => {
      resolve(new Response("tile", { status }));
      await settled();
    };
    requests.push({ url, signal, answer });
    return promise;
  });
  vi.stubGlobal("createImageBitmap", async () => ({ close: () => {} }));
  loader = new TileLoader({
    sight: () => Sight.of(PYRAMID, { ...middle, zoom: 1, rotation: 0 }, STAGE, 1, pointer),
    moving: () => moving,
    outage: () => {},
    refused: (status) => refused.push(status),
    revived: () => {},
    changed: () => {},
  });
});

afterEach(() => {
  loader.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Everything that follows from what happened, timers apart. */
async function settled(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
  await vi.advanceTimersByTimeAsync(0);
}

function urlOf({ level, col, row }: TileAddress): string {
  return `/${level}/${col}_${row}`;
}

function want(address: TileAddress): Job {
  let state = "";
  const tile = { exists: true };
  const job = {
    src: urlOf(address),
    tile,
    finish: () => {
      state = "finished";
    },
    fail: () => {
      state = "failed";
      tile.exists = false;
    },
  };
  loader.start(job as unknown as OpenSeadragon.ImageJob, address);
  return {
    job: job as unknown as OpenSeadragon.ImageJob,
    tile,
    finished: () => state === "finished",
    failed: () => state === "failed",
  };
}

/** The sixteen and more tiles of level 0 on the stage, and those of every other level under them, as the library asks. */
function wantAll(): Map<string, Job> {
  const jobs = new Map<string, Job>();
  const sight = Sight.of(PYRAMID, { ...middle, zoom: 1, rotation: 0 }, STAGE, 1, pointer);
  for (let level = 0; level < 4; level++) {
    const { cols, rows } = PYRAMID.grid(level);
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        const address = { level, col, row };
        if (sight.shows(address)) jobs.set(urlOf(address), want(address));
      }
    }
  }
  return jobs;
}

function asked(): string[] {
  return requests.map(({ url }) => url);
}

describe("a loader", () => {
  it("has twelve requests under way: the ground, then the picture from the pointer outwards", async () => {
    wantAll();
    await settled();
    expect(requests).toHaveLength(12);
    expect(new Set(asked().slice(0, 4))).toEqual(new Set(["/2/1_1", "/2/2_1", "/2/1_2", "/2/2_2"]));
    const picture = asked().filter((url) => url.startsWith("/0/"));
    expect(picture[0]).toBe("/0/7_7");
    expect(asked().some((url) => url.startsWith("/1/") || url.startsWith("/3/"))).toBe(false);
  });

  it("decides what is next when a request can go out, not before", async () => {
    wantAll();
    await settled();
    pointer = { x: 2550, y: 2550 };
    await requests[0]!.answer();
    expect(asked().at(-1)).toBe("/0/9_9");
  });

  it("asks for no level in between while the picture comes", async () => {
    const jobs = wantAll();
    await settled();
    for (let i = 0; i < requests.length; i++) await requests[i]!.answer();
    expect(asked().every((url) => url.startsWith("/0/") || url.startsWith("/2/"))).toBe(true);
    expect([...jobs.values()].every((job) => job.finished() || job.failed())).toBe(true);
    const between = jobs.get("/1/3_3")!;
    expect([between.failed(), between.tile.exists]).toEqual([true, true]);
    // The library knows better: it still has nothing to show there.
    want({ level: 1, col: 3, row: 3 });
    await settled();
    expect(asked().at(-1)).toBe("/1/3_3");
  });

  it("fills the place of a tile that failed with a coarser one, and asks again until it comes", async () => {
    const jobs = wantAll();
    await settled();
    const lost = requests.findIndex(({ url }) => url === "/0/7_7");
    await requests[lost]!.answer(503);
    expect([jobs.get("/0/7_7")!.failed(), jobs.get("/0/7_7")!.tile.exists]).toEqual([true, false]);
    expect(loader.missing).toBe(1);
    for (let i = 0; i < requests.length; i++) await requests[i]!.answer();
    expect(asked()).toContain("/1/3_3");
    expect(asked()).not.toContain("/1/4_4");
    await vi.advanceTimersByTimeAsync(600);
    expect(jobs.get("/0/7_7")!.tile.exists).toBe(true);
    const again = want({ level: 0, col: 7, row: 7 });
    await settled();
    await requests.at(-1)!.answer();
    expect(again.finished()).toBe(true);
    expect(loader.missing).toBe(0);
  });

  it("does not wait for requests that hang, gives them up, and makes them anew", async () => {
    const jobs = wantAll();
    await settled();
    expect(requests).toHaveLength(12);
    await vi.advanceTimersByTimeAsync(1500);
    await settled();
    expect(requests.length).toBeGreaterThan(20);
    expect(requests.length).toBeLessThanOrEqual(24);
    await vi.advanceTimersByTimeAsync(1500);
    expect(requests.slice(0, 12).every(({ signal }) => signal.aborted)).toBe(true);
    expect(loader.missing).toBeGreaterThan(0);
    await vi.advanceTimersByTimeAsync(600);
    expect(jobs.get("/0/7_7")!.tile.exists).toBe(true);
  });

  it("cancels what the view has left, and lets it be asked for again", async () => {
    const jobs = wantAll();
    await settled();
    middle = { x: 6000, y: 6000 };
    loader.dropStale();
    await settled();
    const left = requests.filter(({ url }) => url.startsWith("/0/"));
    expect(left.length).toBeGreaterThan(0);
    expect(left.every(({ signal }) => signal.aborted)).toBe(true);
    expect(jobs.get("/0/7_7")!.tile.exists).toBe(true);
    expect(loader.missing).toBe(0);
  });

  it("asks for nothing that a movement only passes", async () => {
    moving = true;
    const passed = want({ level: 0, col: 20, row: 20 });
    const ahead = want({ level: 0, col: 7, row: 7 });
    await settled();
    expect([passed.failed(), passed.tile.exists, ahead.failed()]).toEqual([true, true, false]);
    expect(asked()).toEqual(["/0/7_7"]);
  });

  it("has a tile once, whether the library looks for it before or after it came", async () => {
    for (const col of [7, 8]) loader.expect(urlOf({ level: 0, col, row: 7 }), { level: 0, col, row: 7 });
    await settled();
    const meanwhile = want({ level: 0, col: 7, row: 7 });
    for (const request of requests) await request.answer();
    const afterwards = want({ level: 0, col: 8, row: 7 });
    expect([meanwhile.finished(), afterwards.finished()]).toEqual([true, true]);
    expect(requests).toHaveLength(2);
  });

  it("tells that a tile was refused", async () => {
    want({ level: 0, col: 7, row: 7 });
    await settled();
    await requests[0]!.answer(404);
    expect(refused).toEqual([404]);
  });
});
