// tus-js-client in node: one job a line on the standard input, one answer a line on the standard output.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Upload } from "tus-js-client";
import { type Job, optionsOf, type Sent } from "./tus-js";

function send(job: Job & { file: string }): Promise<Sent> {
  return new Promise((resolve) => {
    const upload: Upload = new Upload(
      readFileSync(job.file),
      optionsOf(job, resolve, () => upload.url),
    );
    upload.start();
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await send(JSON.parse(line))));
}
