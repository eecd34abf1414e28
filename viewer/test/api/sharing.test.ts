import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RequestError } from "../../src/api/http";
import { fetchConsultation, fetchDraft, fetchGuestState, move, saveDraft } from "../../src/api/sharing";

const CONSULTATION = {
  id: "c",
  state: "opened",
  question: "?",
  requester: { name: "A", site: "Caen" },
  consultant: { name: null, site: "Rouen" },
  moves: [],
  thread: [],
  opinions: [],
};

let server: Server;
let realFetch: typeof fetch;
let guest: readonly [number, unknown] = [200, { state: "standing" }];
const drafts = new Map<string, string>();

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const reply = (status: number, value?: unknown, etag?: string): void => {
      if (etag) response.setHeader("etag", etag);
      response.writeHead(status).end(value === undefined ? undefined : JSON.stringify(value));
    };
    const url = request.url ?? "";
    if (url === "/api/guest") reply(...guest);
    else if (url.endsWith("/moves")) reply(409, { title: "Conflict", detail: "Cette demande est close." });
    else if (url.startsWith("/api/consultations/")) {
      if (request.headers["if-none-match"] === '"1"') reply(304);
      else reply(200, CONSULTATION, '"1"');
    } else if (request.method === "PUT") {
      drafts.set(url, (JSON.parse(body) as { body: string }).body);
      reply(200, {});
    } else if (drafts.get(url)) reply(200, { body: drafts.get(url) });
    else reply(204);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  realFetch = globalThis.fetch;
  globalThis.fetch = (address, options) => realFetch(new URL(String(address), `http://127.0.0.1:${port}`), options);
});

afterAll(() => {
  globalThis.fetch = realFetch;
  server.close();
});

describe("a consultation that is followed", () => {
  it("is sent again only when it has changed", async () => {
    const first = await fetchConsultation("c", null);
    expect(first?.consultation.state).toBe("opened");
    expect(await fetchConsultation("c", first!.etag)).toBeNull();
  });
});

it("fails in the words of the server", async () => {
  const failure = await move("c", "close").catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(RequestError);
  expect(failure).toMatchObject({ status: 409, words: "Cette demande est close." });
});

it("keeps a draft, and finds none where none is", async () => {
  expect(await fetchDraft("ask.k")).toBe("");
  await saveDraft("ask.k", "é");
  expect(await fetchDraft("ask.k")).toBe("é");
  await saveDraft("ask.k", "");
  expect(await fetchDraft("ask.k")).toBe("");
});

describe("the link of a guest", () => {
  it.each([
    [200, { state: "standing" }, "standing"],
    [200, { state: "revoked" }, "revoked"],
    [401, {}, "none"],
    [404, {}, "none"],
    [410, {}, "none"],
    [503, {}, "away"],
  ] as const)("%d %j: %s", async (status, body, state) => {
    guest = [status, body];
    expect(await fetchGuestState()).toBe(state);
  });
});
