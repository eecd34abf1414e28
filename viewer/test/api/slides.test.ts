import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkSlide, fetchSlide, refusalOf, SlideRefusedError } from "../../src/api/slides";

const SLIDE = {
  id: "a",
  version: "v",
  width: 100,
  height: 80,
  levels: [{ width: 100, height: 80, tile_width: 64, tile_height: 64 }],
  tile_url: "/tiles/a/v/{level}/{col}_{row}",
  slides_of_case: [],
};

describe("a description", () => {
  it("is taken when all that is computed with is sane", () => {
    expect(checkSlide(SLIDE)).toBe(SLIDE);
  });

  it.each([
    null,
    "slide",
    [],
    {},
    { ...SLIDE, width: 0 },
    { ...SLIDE, height: 1.5 },
    { ...SLIDE, width: "100" },
    { ...SLIDE, levels: [] },
    { ...SLIDE, levels: [{ width: 100, height: 80, tile_width: 0, tile_height: 64 }] },
    { ...SLIDE, tile_url: undefined },
    { ...SLIDE, slides_of_case: undefined },
  ])("is refused otherwise: %j", (value) => expect(() => checkSlide(value)).toThrow(TypeError));
});

describe("a refusal", () => {
  it.each([
    [200, null],
    [401, "ended"],
    [403, "revoked"],
    [404, "revoked"],
    [410, "revoked"],
    [429, "away"],
    [500, "away"],
    [503, "away"],
  ] as const)("%d is %s", (status, refusal) => expect(refusalOf(status)).toBe(refusal));
});

describe("asking the server", () => {
  let server: Server;
  let realFetch: typeof fetch;
  const asked: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(request.url ?? "");
      response.statusCode = request.url?.endsWith("/gone") ? 404 : 200;
      response.end(response.statusCode === 200 ? JSON.stringify(SLIDE) : "");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    // A browser resolves addresses against the page's; Node has no page.
    realFetch = globalThis.fetch;
    globalThis.fetch = (address, options) => realFetch(new URL(String(address), `http://127.0.0.1:${port}`), options);
  });

  afterAll(() => {
    globalThis.fetch = realFetch;
    server.close();
  });

  it("gives the description", async () => {
    expect(await fetchSlide("a")).toEqual(SLIDE);
  });

  it("says why not", async () => {
    await expect(fetchSlide("gone")).rejects.toMatchObject({ refusal: "revoked" });
    await expect(fetchSlide("gone")).rejects.toBeInstanceOf(SlideRefusedError);
  });

  it("cannot be made to ask elsewhere by an id", async () => {
    await fetchSlide("../../x?y#z");
    expect(asked.at(-1)).toBe("/api/slides/..%2F..%2Fx%3Fy%23z");
  });
});
