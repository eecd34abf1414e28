import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { SlideDescription } from "../../src/api/slides";
import { Shelf } from "../../src/components/shelf";

const LEVEL = { width: 10, height: 10, tile_width: 10, tile_height: 10 };

function slide(id: string): SlideDescription {
  const of = (other: string, state = "ready") => ({ id: other, stain: null, block: null, thumbnail_url: null, state });
  return {
    id,
    tile_url: `/tiles/${id}/v/{level}/{col}_{row}`,
    thumbnail_url: `/tiles/${id}/v/thumbnail`,
    width: 10,
    height: 10,
    levels: [LEVEL],
    slides_of_case: [of("one"), of("unread", "indexing"), of("two"), of("three")],
  } as unknown as SlideDescription;
}

let asked: string[];
let pictures: string[];
let status: number;
let shelf: Shelf;

beforeEach(() => {
  [asked, pictures, status, shelf] = [[], [], 200, new Shelf()];
  vi.stubGlobal("fetch", async (url: string, { signal }: RequestInit) => {
    asked.push(url);
    await Promise.resolve();
    signal?.throwIfAborted();
    return Response.json(slide(url.split("/").at(-1)!), { status });
  });
  vi.stubGlobal(
    "Image",
    class {
      set src(url: string) {
        pictures.push(url);
      }
    },
  );
});

afterEach(() => vi.unstubAllGlobals());

it("goes from one slide that can be shown to the next", () => {
  expect(shelf.neighbour(slide("one"), 1)).toBe("two");
  expect(shelf.neighbour(slide("two"), -1)).toBe("one");
  expect(shelf.neighbour(slide("three"), 1)).toBeNull();
  expect(shelf.neighbour(slide("one"), -1)).toBeNull();
});

it("warms the next slide once: what is said of it and its thumbnail, and no tile", async () => {
  await shelf.warm(slide("one"));
  await shelf.warm(slide("one"));
  expect(asked).toEqual(["/api/slides/two"]);
  expect(pictures).toEqual(["/tiles/two/v/thumbnail"]);
  expect(shelf.find("two")?.id).toBe("two");
  expect(shelf.find("three")).toBeNull();
});

it("does not insist on warming what cannot be had", async () => {
  status = 404;
  await shelf.warm(slide("one"));
  await shelf.warm(slide("one"));
  expect(asked).toHaveLength(1);
  expect(shelf.find("two")).toBeNull();
  await expect(shelf.fetch("two")).rejects.toThrow("revoked");
});

it("gives only what was asked for last", async () => {
  shelf.keep(slide("one"));
  const [two, three] = [shelf.fetch("two"), shelf.fetch("three")];
  expect([await two, (await three)?.id]).toEqual([null, "three"]);
  const late = shelf.fetch("two");
  expect(shelf.find("one")?.id).toBe("one");
  expect(await late).toBeNull();
});

it("keeps nothing of what may no longer be seen", async () => {
  await shelf.warm(slide("one"));
  const late = shelf.fetch("three");
  shelf.clear();
  expect([shelf.find("two"), await late, shelf.find("three")]).toEqual([null, null, null]);
});
