/** One slide, pushed until the server has proved all of it: hash, ask, announce, send pieces, wait for the slide.
 *
 * Whatever goes wrong in between is met in one way: wait, ask the server how many bytes it holds, go on from there.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { encode } from "./manifest";
import type { Parcel, Part } from "./parcels";
import { type Announcement, type Glass, RefusedError, type SlideStatus, TransientError, Tus } from "./tus";

const HASH_BYTES = 4 * 1024 * 1024;
/** A piece takes about a second, so that progress is seen on a slow line and none is slowed down by asking. */
const PIECE_BYTES = { least: 512 * 1024, first: 2 * 1024 * 1024, most: 16 * 1024 * 1024 };
const PIECE_MS = 1_000;
const BACKOFF_MS = { first: 500, most: 15_000 };
const POLL_MS = { first: 250, most: 2_000 };
/** A slide that is not decided by then is looked at later: it is safe on the server. */
const PREPARING_MS = 10 * 60_000;
const FRESH_STARTS = 3;
const NAME_MAX_CHARS = 200;
// The upload is gone or useless on the server, and announcing the file anew is the remedy.
const START_AGAIN = new Set(["unknown-upload", "file-damaged"]);

/** Who hears how far a slide is; sizes in bytes. */
export interface Report {
  hashing(done: number, total: number): void;
  announced(upload: string): void;
  /** `held`: how much the server had before this time. */
  sending(done: number, total: number, held: number): void;
  preparing(slide: string): void;
  retrying(code: string, pauseMs: number): void;
}

/** `sha256`, in hexadecimal, of each file of a parcel in the order of its parts. */
export async function hash(parts: readonly Part[], report: Report, signal: AbortSignal): Promise<string[]> {
  const total = size(parts);
  let done = 0;
  const digests = [];
  for (const { file } of parts) {
    const digest = sha256.create();
    for (let at = 0; at < file.size; at += HASH_BYTES) {
      digest.update(await bytesOf(file, at, HASH_BYTES));
      signal.throwIfAborted();
      done += Math.min(HASH_BYTES, file.size - at);
      report.hashing(done, total);
    }
    digests.push(bytesToHex(digest.digest()));
  }
  return digests;
}

/** How it ended: the slide, and whether the server had it before. */
export interface Delivery {
  readonly status: SlideStatus;
  readonly known: boolean;
}

export class Push {
  readonly #tus: Tus;
  #pieceBytes = PIECE_BYTES.first;
  #failures = 0;

  constructor(
    private readonly parcel: Parcel,
    private readonly digests: readonly string[],
    private readonly glass: Glass,
    private readonly report: Report,
    private readonly signal: AbortSignal,
    language: string,
  ) {
    this.#tus = new Tus(signal, language);
  }

  async run(): Promise<Delivery> {
    for (let start = 1; ; start++) {
      try {
        return await (this.parcel.parts.length > 1 ? this.#several() : this.#one());
      } catch (error) {
        if (!(error instanceof RefusedError) || !START_AGAIN.has(error.code) || start === FRESH_STARTS) throw error;
      }
    }
  }

  async #one(): Promise<Delivery> {
    const [{ file }, digest] = [this.parcel.parts[0]!, this.digests[0]!];
    const known = await this.#insist(() => this.#tus.known(digest));
    // Bytes that are there under another number are announced all the same: a person decides which is right.
    if (known && this.#agrees(known)) return { status: await this.#settled(known.slide), known: true };
    const held = await this.#deliver(file, this.#announcement(file.size, digest, false), 0, file.size);
    return { status: await this.#settled(held.slide), known: held.known };
  }

  async #several(): Promise<Delivery> {
    const parts = this.parcel.parts.map((part, at) => ({ ...part, sha256: this.digests[at]! }));
    const manifest = encode(parts.map(({ name, file, sha256 }) => ({ name, length: file.size, sha256 })));
    const digest = bytesToHex(sha256(new TextEncoder().encode(manifest)));
    const glass = this.#announcement(size(parts), digest, false);
    let sent = false;
    for (let round = 1; ; round++) {
      try {
        const { slide, known } = await this.#insist(() => this.#tus.commit(manifest, digest, glass));
        return { status: await this.#settled(slide), known: known && !sent };
      } catch (error) {
        if (!(error instanceof RefusedError) || error.code !== "files-missing" || round === FRESH_STARTS) throw error;
        const wanted = new Set(error.missing);
        const missing = new Map(parts.filter(({ name }) => wanted.has(name)).map((part) => [part.sha256, part]));
        const total = size(parts);
        let done = total - size([...missing.values()]);
        for (const { file, sha256 } of missing.values()) {
          await this.#deliver(file, this.#announcement(file.size, sha256, true), done, total);
          done += file.size;
          sent = true;
        }
      }
    }
  }

  /** One file, until the server has proved it; `before` bytes of the slide's `total` are there already. */
  async #deliver(
    file: File,
    announcement: Announcement,
    before: number,
    total: number,
  ): Promise<{ slide: string; known: boolean }> {
    const upload = await this.#insist(() => this.#tus.create(announcement));
    this.report.announced(upload);
    let held = await this.#insist(() => this.#tus.held(upload));
    const first = held.offset;
    const complete = () => (announcement.ofSet ? held.offset >= file.size : held.slide !== null);
    if (complete()) return { slide: held.slide ?? "", known: true };
    this.report.sending(before + held.offset, total, before + first);
    while (!complete()) {
      const offset = held.offset;
      const piece = file.slice(offset, offset + this.#pieceBytes);
      const digest = await digestOf(new Uint8Array(await piece.arrayBuffer()));
      const began = performance.now();
      try {
        held = await this.#tus.send(upload, offset, piece, digest);
        this.#failures = 0;
        this.#tune(piece.size, performance.now() - began);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        this.#pieceBytes = Math.max(PIECE_BYTES.least, this.#pieceBytes / 4);
        await this.#wait(error);
        // That the server answers is no progress yet: it may take no piece for a reason of its own.
        held = await this.#insist(() => this.#tus.held(upload), false);
        if (held.offset > offset) this.#failures = 0;
      }
      this.report.sending(before + held.offset, total, before + first);
    }
    return { slide: held.slide ?? "", known: false };
  }

  #tune(bytes: number, tookMs: number): void {
    if (bytes < this.#pieceBytes) return;
    const fitting = this.#pieceBytes * Math.min(2, Math.max(0.5, PIECE_MS / Math.max(1, tookMs)));
    this.#pieceBytes = Math.round(Math.min(PIECE_BYTES.most, Math.max(PIECE_BYTES.least, fitting)));
  }

  /** The slide's state once the server has made up its mind, or when it takes long. */
  async #settled(slide: string): Promise<SlideStatus> {
    this.report.preparing(slide);
    const until = performance.now() + PREPARING_MS;
    for (let pauseMs = POLL_MS.first; ; pauseMs = Math.min(pauseMs * 1.5, POLL_MS.most)) {
      const status = await this.#insist(() => this.#tus.slide(slide));
      if (status && (status.state === "ready" || status.state === "refused" || performance.now() > until))
        return status;
      await this.#pause(pauseMs);
    }
  }

  async #insist<T>(ask: () => Promise<T>, progress = true): Promise<T> {
    for (;;) {
      try {
        const answer = await ask();
        if (progress) this.#failures = 0;
        return answer;
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        await this.#wait(error);
      }
    }
  }

  /** A pause that doubles with each failure in a row; it ends when the slide is stopped, never by itself. */
  async #wait(error: TransientError): Promise<void> {
    const longest = Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** Math.min(this.#failures++, 10));
    const pauseMs = longest * (0.5 + Math.random() / 2);
    if (this.#failures > 1) this.report.retrying(error.code, pauseMs);
    await this.#pause(pauseMs);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      this.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(this.signal.reason);
      });
    });
  }

  #agrees(known: SlideStatus): boolean {
    const accession = this.glass.accession.trim().toUpperCase();
    return accession === "" || accession === (known.accession ?? "").toUpperCase();
  }

  #announcement(length: number, digest: string, ofSet: boolean): Announcement {
    return { ...this.glass, fileName: plain(this.parcel.name), length, sha256: digest, ofSet };
  }
}

/** A file name that can be told to the server: the end of it, without what cannot be printed. */
function plain(name: string): string {
  return [...name.replace(/\p{C}/gu, "_")].slice(-NAME_MAX_CHARS).join("");
}

function size(parts: readonly Part[]): number {
  return parts.reduce((sum, { file }) => sum + file.size, 0);
}

/** By the browser's own means, several times as fast, where it offers them: over TLS, or on this machine. */
async function digestOf(piece: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return crypto.subtle ? new Uint8Array(await crypto.subtle.digest("SHA-256", piece)) : sha256(piece);
}

/** Throws NotReadableError when the file is gone, or is another than it was. */
async function bytesOf(file: File, at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await file.slice(at, Math.min(file.size, at + length)).arrayBuffer());
}
