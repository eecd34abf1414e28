// tus-js-client and uppy in a browser, each sending one file that the page is given an address for.

import Uppy from "@uppy/core";
import Tus from "@uppy/tus";
import { Upload } from "tus-js-client";
import { type Job, optionsOf, RETRY_DELAYS, type Sent } from "./tus-js";

type Send = (job: Job & { data: string }) => Promise<Sent>;

async function blobOf(address: string): Promise<Blob> {
  return (await fetch(address)).blob();
}

const tusJs: Send = async (job) => {
  const data = await blobOf(job.data);
  return new Promise((resolve) => {
    const upload: Upload = new Upload(
      data,
      optionsOf(job, resolve, () => upload.url),
    );
    upload.start();
  });
};

const uppy: Send = async (job) => {
  const sender = new Uppy({ autoProceed: false, meta: job.metadata });
  sender.use(Tus, {
    endpoint: job.endpoint,
    headers: job.headers,
    chunkSize: job.chunk || Number.POSITIVE_INFINITY,
    retryDelays: RETRY_DELAYS,
    allowedMetaFields: true,
  });
  sender.addFile({ name: job.metadata.filename ?? "lame", data: await blobOf(job.data) });
  const result = await sender.upload();
  const [sent] = result?.successful ?? [];
  const [failed] = result?.failed ?? [];
  return { url: sent?.uploadURL ?? null, error: failed ? String(failed.error) : null };
};

Object.assign(globalThis, { clients: { "tus-js": tusJs, uppy } });
