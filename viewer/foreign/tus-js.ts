// How one sends a file by tus-js-client, in node and in a browser alike.

import type { HttpResponse, UploadOptions } from "tus-js-client";

export interface Job {
  endpoint: string;
  headers: Record<string, string>;
  metadata: Record<string, string>;
  chunk: number;
}

// Many tries, as the network is made to be bad.
export const RETRY_DELAYS = Array<number>(40).fill(60);

export interface Sent {
  url: string | null;
  error: string | null;
}

export function optionsOf(job: Job, done: (sent: Sent) => void, url: () => string | null): UploadOptions {
  return {
    endpoint: job.endpoint,
    headers: job.headers,
    metadata: job.metadata,
    chunkSize: job.chunk || Number.POSITIVE_INFINITY,
    retryDelays: RETRY_DELAYS,
    onSuccess: () => done({ url: url(), error: null }),
    onError: (error) => done({ url: url(), error: wordsOf(error) }),
  };
}

function wordsOf(error: Error & { originalResponse?: HttpResponse | null }): string {
  return `${error.message} ${error.originalResponse?.getBody() ?? ""}`;
}
