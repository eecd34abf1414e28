/** Requests that carry JSON, and how they fail: in the server's own words when it has any. */

export class RequestError extends Error {
  /** `status` is 0 when nobody answered; `words` are the server's, in the reader's language. */
  constructor(
    readonly status: number,
    readonly words: string | null,
  ) {
    super(words ?? `HTTP ${status}`);
  }
}

export interface RequestOptions {
  readonly body?: unknown;
  /** The page is going away: the browser is to finish the request without it. */
  readonly keepalive?: boolean;
  /** What the answer was when it was last asked for: 304 when it still is. */
  readonly etag?: string | null;
}

const GIVE_UP_MS = 15_000;

/** The answer, of any status below 400. Raises {@link RequestError}. */
export async function send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
  const { body, keepalive = false, etag } = options;
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (etag) headers["if-none-match"] = etag;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      keepalive,
      cache: "no-store",
      signal: AbortSignal.timeout(GIVE_UP_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new RequestError(0, null);
  }
  if (response.status >= 400) throw new RequestError(response.status, await wordsOf(response));
  return response;
}

/** The sentence of a problem document (RFC 9457). */
async function wordsOf(response: Response): Promise<string | null> {
  try {
    const { detail, title } = (await response.json()) as { detail?: unknown; title?: unknown };
    return [detail, title].find((text): text is string => typeof text === "string" && text !== "") ?? null;
  } catch {
    return null;
  }
}
