/** Runs beside the page: reads and sends one slide, so that neither hashing nor a page in the background stops the other.
 *
 * It is given one job, tells how far it is, and ends with `read`, `delivered` or `failed`.
 */

import type { Parcel } from "./parcels";
import { type Delivery, hash, Push, type Report } from "./push";
import { type Glass, RefusedError } from "./tus";

export type Job =
  | { readonly act: "read"; readonly parcel: Parcel }
  | {
      readonly act: "send";
      readonly parcel: Parcel;
      readonly digests: readonly string[];
      readonly glass: Glass;
      readonly language: string;
    };

export type News =
  | { readonly kind: "hashing"; readonly done: number; readonly total: number }
  | { readonly kind: "read"; readonly digests: readonly string[] }
  | { readonly kind: "announced"; readonly upload: string }
  | { readonly kind: "sending"; readonly done: number; readonly total: number; readonly held: number }
  | { readonly kind: "preparing"; readonly slide: string }
  | { readonly kind: "retrying"; readonly code: string; readonly pauseMs: number }
  | ({ readonly kind: "delivered" } & Delivery)
  | { readonly kind: "failed"; readonly code: string; readonly detail: string };

const tell = (news: News): void => postMessage(news);
const report: Report = {
  hashing: (done, total) => tell({ kind: "hashing", done, total }),
  announced: (upload) => tell({ kind: "announced", upload }),
  sending: (done, total, held) => tell({ kind: "sending", done, total, held }),
  preparing: (slide) => tell({ kind: "preparing", slide }),
  retrying: (code, pauseMs) => tell({ kind: "retrying", code, pauseMs }),
};

async function work(job: Job): Promise<void> {
  // Who stops a slide ends this whole program; nothing within needs to be told.
  const { signal } = new AbortController();
  try {
    if (job.act === "read") tell({ kind: "read", digests: await hash(job.parcel.parts, report, signal) });
    else {
      const push = new Push(job.parcel, job.digests, job.glass, report, signal, job.language);
      tell({ kind: "delivered", ...(await push.run()) });
    }
  } catch (error) {
    if (error instanceof RefusedError) tell({ kind: "failed", code: error.code, detail: error.detail });
    else if (error instanceof DOMException) tell({ kind: "failed", code: "unreadable-file", detail: error.message });
    else throw error;
  }
}

addEventListener("message", (event: MessageEvent<Job>) => void work(event.data));
