/** The slides of the page, and the programs that read and send them: a few at once, what was asked for first. */

import { Entry, idOf } from "./entry";
import type { Named } from "./files";
import type { Found } from "./parcels";
import type { Job, News } from "./porter";
import { TransientError, Tus } from "./tus";

const AT_ONCE = 2;
const FORGETTING = { tries: 10, pauseMs: 500 };

export class Depot extends EventTarget {
  readonly #workers = new Map<Entry, Worker>();
  entries: readonly Entry[] = [];

  constructor(private readonly language: string) {
    super();
  }

  /** The files of slides that lack some: with what is dropped next they may be whole. */
  get incomplete(): Named[] {
    return this.entries.filter(({ phase }) => phase === "incomplete").flatMap(({ parcel }) => [...parcel.from]);
  }

  /** Puts slides in the place of those that lacked files; those that are there already are left. */
  add(found: Found): Entry[] {
    const kept = this.entries.filter(({ phase }) => phase !== "incomplete");
    const there = new Set(kept.map(({ id }) => id));
    const fresh = found.parcels.filter((parcel) => !there.has(idOf(parcel)) && there.add(idOf(parcel)));
    const added = fresh.map((parcel) => new Entry(parcel));
    this.entries = [...kept, ...added];
    this.#go();
    return added;
  }

  send(entries: readonly Entry[]): void {
    for (const entry of entries) {
      entry.wanted = true;
      entry.problem = null;
      if (entry.phase === "stopped" || entry.phase === "failed") entry.phase = entry.digests ? "read" : "waiting";
    }
    this.#go();
  }

  /** Keeps what has arrived; `send` goes on from there. */
  stop(entry: Entry): void {
    this.#end(entry);
    entry.wanted = false;
    entry.hindrance = null;
    entry.phase = "stopped";
    this.#go();
  }

  /** Takes it off the list; what has arrived of it and is no slide yet is forgotten by the server. */
  remove(entry: Entry): void {
    this.#end(entry);
    this.entries = this.entries.filter((other) => other !== entry);
    if (entry.upload && !entry.slide) void this.#forget(entry.upload);
    this.#go();
  }

  /** Asks a few times: the piece that was under way may still be written. When nobody answers, it goes after its time. */
  async #forget(upload: string): Promise<void> {
    const tus = new Tus(new AbortController().signal, this.language);
    for (let tries = 0; tries < FORGETTING.tries; tries++) {
      try {
        return await tus.end(upload);
      } catch (error) {
        if (!(error instanceof TransientError)) return;
        await new Promise((resolve) => setTimeout(resolve, FORGETTING.pauseMs));
      }
    }
  }

  #go(): void {
    const busy = () => this.entries.filter(({ phase }) => phase === "reading" || phase === "sending").length;
    for (const entry of this.entries) {
      if (busy() >= AT_ONCE) break;
      if (entry.wanted && entry.phase === "read") this.#run(entry, "send");
    }
    const waiting = this.entries.filter(({ phase }) => phase === "waiting");
    for (const entry of [...waiting.filter(({ wanted }) => wanted), ...waiting.filter(({ wanted }) => !wanted)]) {
      if (busy() >= AT_ONCE) break;
      this.#run(entry, "read");
    }
    this.dispatchEvent(new Event("change"));
  }

  #run(entry: Entry, act: Job["act"]): void {
    const worker = new Worker(new URL("./porter.ts", import.meta.url), { type: "module" });
    this.#workers.set(entry, worker);
    const { parcel, digests, glass } = entry;
    entry.phase = act === "read" ? "reading" : "sending";
    entry.done = 0;
    worker.addEventListener("message", (event: MessageEvent<News>) => this.#hear(entry, event.data));
    worker.addEventListener("error", (event) => this.#hear(entry, { kind: "failed", code: "", detail: event.message }));
    const job: Job =
      act === "read" ? { act, parcel } : { act, parcel, digests: digests ?? [], glass, language: this.language };
    worker.postMessage(job);
  }

  #hear(entry: Entry, news: News): void {
    switch (news.kind) {
      case "hashing":
        entry.done = news.done;
        break;
      case "read":
        entry.digests = news.digests;
        entry.phase = "read";
        this.#end(entry);
        break;
      case "announced":
        entry.upload = news.upload;
        break;
      case "sending":
        entry.done = news.done;
        entry.held = news.held;
        entry.hindrance = null;
        entry.pace.note(news.done, performance.now());
        break;
      case "preparing":
        entry.phase = "preparing";
        entry.slide = news.slide;
        entry.hindrance = null;
        break;
      case "retrying":
        entry.hindrance = news.code;
        break;
      case "delivered":
        entry.phase = "settled";
        entry.status = news.status;
        entry.known = news.known;
        entry.hindrance = null;
        this.#end(entry);
        break;
      case "failed":
        entry.hindrance = null;
        entry.fail(news.code, news.detail);
        this.#end(entry);
        break;
    }
    this.#go();
  }

  #end(entry: Entry): void {
    this.#workers.get(entry)?.terminate();
    this.#workers.delete(entry);
  }
}
