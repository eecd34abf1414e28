/** The requests of tus 1.0 as this server answers them, and the few words that it adds; see `ingest.protocol`. */

const UPLOADS = "/api/uploads";
/** No answer within so long: the line is dead, and the server is asked again. */
const SILENCE_MS = 60_000;
const OUT_OF_STEP = new Set(["wrong-offset", "upload-busy", "piece-damaged", "body-stalled"]);
const TRANSIENT_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);
const ID = /^[a-z2-7]{26}$/;

/** Waiting and asking again helps. */
export class TransientError extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

/** The server says no. `missing`: names of the files of a slide that have not arrived. */
export class RefusedError extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly missing: readonly string[] = [],
  ) {
    super(detail);
  }
}

/** What is known of the glass. */
export interface Glass {
  readonly accession: string;
  readonly stain: string;
  readonly block: string;
}

export interface Announcement extends Glass {
  readonly fileName: string;
  readonly length: number;
  readonly sha256: string;
  readonly ofSet: boolean;
}

export interface Held {
  readonly offset: number;
  readonly slide: string | null;
}

export interface SlideStatus {
  readonly slide: string;
  readonly state: string;
  readonly matched: boolean;
  readonly accession: string | null;
  /** It was sent under another number too, and nobody has decided yet which is right. */
  readonly claimed: boolean;
  readonly refusal_code: string | null;
  readonly refusal_reason: string | null;
}

export class Tus {
  readonly #signal: AbortSignal;
  readonly #language: string;

  constructor(signal: AbortSignal, language: string) {
    this.#signal = signal;
    this.#language = language;
  }

  /** The slide of one's own centre with these bytes. */
  known(sha256: string): Promise<SlideStatus | null> {
    return this.#status(`${UPLOADS}/known/${sha256}`);
  }

  slide(id: string): Promise<SlideStatus | null> {
    return this.#status(`${UPLOADS}/slides/${id}`);
  }

  /** The id of the upload of this file; the same one as long as an upload of the same bytes is open. */
  async create(file: Announcement): Promise<string> {
    const headers = { "Upload-Length": String(file.length), "Upload-Metadata": metadata(file) };
    const response = await this.#request("POST", UPLOADS, headers);
    const id = (response.headers.get("Location") ?? "").split("/").at(-1)!;
    if (!ID.test(id)) throw new TransientError("busy");
    return id;
  }

  async held(upload: string): Promise<Held> {
    return held(await this.#request("HEAD", `${UPLOADS}/${upload}`, {}));
  }

  async send(upload: string, offset: number, piece: Blob, digest: Uint8Array): Promise<Held> {
    const headers = {
      "Content-Type": "application/offset+octet-stream",
      "Upload-Offset": String(offset),
      "Upload-Checksum": `sha256 ${base64(digest)}`,
    };
    return held(await this.#request("PATCH", `${UPLOADS}/${upload}`, headers, piece));
  }

  /** Forgets the upload and what has arrived of it. */
  async end(upload: string): Promise<void> {
    await this.#request("DELETE", `${UPLOADS}/${upload}`, {});
  }

  /** The slide that these files have become. RefusedError with code `files-missing` names what has to be sent first. */
  async commit(manifest: string, sha256: string, glass: Announcement): Promise<{ slide: string; known: boolean }> {
    const headers = { "Content-Type": "application/json", "Upload-Metadata": metadata(glass) };
    const response = await this.#request("PUT", `${UPLOADS}/sets/${sha256}`, headers, manifest);
    const slide = response.headers.get("IAIN-Slide");
    if (!slide) throw new TransientError("busy");
    return { slide, known: response.status === 200 };
  }

  async #status(path: string): Promise<SlideStatus | null> {
    try {
      return (await (await this.#request("GET", path, { "Accept-Language": this.#language })).json()) as SlideStatus;
    } catch (error) {
      if (error instanceof RefusedError && error.code === "unknown-slide") return null;
      throw error;
    }
  }

  async #request(method: string, path: string, headers: Record<string, string>, body?: BodyInit): Promise<Response> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(SILENCE_MS)]);
    let response: Response;
    try {
      response = await fetch(path, {
        method,
        signal,
        headers: { "Tus-Resumable": "1.0.0", ...headers },
        cache: "no-store",
        redirect: "error",
        ...(body === undefined ? {} : { body }),
      });
    } catch {
      this.#signal.throwIfAborted();
      throw new TransientError("unreachable");
    }
    if (response.ok) return response;
    throw await failure(response);
  }
}

async function failure(response: Response): Promise<Error> {
  const code = response.headers.get("IAIN-Problem");
  if (response.status === 401) return new RefusedError("signed-out", "");
  if (TRANSIENT_STATUS.has(response.status) || (code && OUT_OF_STEP.has(code))) {
    return new TransientError(code ?? "busy");
  }
  const body = (await response.json().catch(() => ({}))) as { detail?: unknown; missing?: unknown };
  const missing = Array.isArray(body.missing) ? body.missing.map(String) : [];
  return new RefusedError(
    code ?? `http-${response.status}`,
    typeof body.detail === "string" ? body.detail : "",
    missing,
  );
}

function held(response: Response): Held {
  const offset = response.headers.get("Upload-Offset") ?? "";
  if (!/^\d{1,15}$/.test(offset)) throw new TransientError("busy");
  return { offset: Number(offset), slide: response.headers.get("IAIN-Slide") };
}

export function metadata(file: Announcement): string {
  const known = [
    ["filename", file.fileName],
    ["sha256", file.sha256],
    ["accession", file.accession.trim()],
    ["stain", file.stain.trim()],
    ["block", file.block.trim()],
  ] as const;
  const encoder = new TextEncoder();
  const pairs = known.filter(([, value]) => value).map(([key, value]) => `${key} ${base64(encoder.encode(value))}`);
  return [...pairs, ...(file.ofSet ? ["set"] : [])].join(",");
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
