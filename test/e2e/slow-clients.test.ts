// Slow but honest clients are never cut off: an upload whose bytes trickle in, one whose length is
// known, and a download that is read at 10 kB/s, all at once. PLIMSOLL_SOAK_SECONDS=300 for the soak.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestOf, mediaTypes, randomBytesOf } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { runOk } from "../support/registry-process.ts";
import { describeWith } from "./clients.ts";
import { withSandbox } from "./sandbox.ts";

const seconds = Number(process.env["PLIMSOLL_SOAK_SECONDS"] ?? 15);
const bytesPerSecond = 10_000;
const portionMs = 100;
const portionBytes = (bytesPerSecond * portionMs) / 1000;
const repository = "slow/client";
/** More than all socket buffers between the server and the reader together. */
const downloadBytes = 64 * 1024 * 1024;

setDefaultTimeout((seconds * 2 + 60) * 1000);

describeWith(["curl", "dd", "sha256sum"], `clients at 10 kB/s for ${seconds} s`, () => {
  test(
    "finish what they began",
    withSandbox(async (sandbox) => {
      const server = await sandbox.start();
      const http = new PushClient(server.url);
      const files = join(sandbox.directory, "files");
      await mkdir(files);
      const results = await Promise.all([
        uploadInChunks(http),
        uploadWithLength(http, files),
        download(http),
      ]);
      expect(results).toEqual(["uploaded in chunks", "uploaded with a length", "downloaded"]);
    }),
  );
});

/** As docker does: one PATCH of unknown length. */
async function uploadInChunks(http: PushClient): Promise<string> {
  const bytes = randomBytesOf("slow/chunks", seconds * bytesPerSecond);
  const location = await http.beginUpload(repository);
  const startedAt = performance.now();
  async function* trickle(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < bytes.length; sent += portionBytes) {
      yield bytes.subarray(sent, sent + portionBytes);
      await Bun.sleep(portionMs);
    }
  }
  const patched = await http.send(location, {
    method: "PATCH",
    headers: { "Content-Type": "application/octet-stream" },
    body: trickle(),
    expect: [202],
  });
  await patched.arrayBuffer();
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(seconds * 1000 * 0.9);
  await http.finishUpload(patched.headers.get("Location") ?? "", digestOf(bytes));
  expect(await http.getBlob(repository, digestOf(bytes))).toEqual(new Uint8Array(bytes));
  return "uploaded in chunks";
}

/** One PUT with a Content-Length, by curl. */
async function uploadWithLength(http: PushClient, files: string): Promise<string> {
  const bytes = randomBytesOf("slow/length", seconds * bytesPerSecond);
  const path = join(files, "upload");
  await writeFile(path, bytes);
  const location = new URL(await http.beginUpload(repository), http.url);
  location.searchParams.set("digest", digestOf(bytes));
  const { stdout } = await runOk(
    [
      "curl",
      "-sS",
      "--limit-rate",
      String(bytesPerSecond),
      "-X",
      "PUT",
      "-T",
      path,
      "-H",
      "Content-Type: application/octet-stream",
      "-w",
      "%{http_code}",
      location.href,
    ],
    { timeoutMs: (seconds + 60) * 2000 },
  );
  expect(stdout).toBe("201");
  expect(await http.getBlob(repository, digestOf(bytes))).toEqual(new Uint8Array(bytes));
  return "uploaded with a length";
}

/** curl writes into a pipe that is read slowly, then, when the time is over, as fast as it comes. */
async function download(http: PushClient): Promise<string> {
  const bytes = randomBytesOf("slow/download", downloadBytes);
  const digest = digestOf(bytes);
  await http.pushBlob(repository, { mediaType: mediaTypes.layer, digest, bytes });
  const portions = (seconds * 1000) / portionMs;
  const slowReader =
    `for n in $(seq ${portions}); do ` +
    `dd bs=${portionBytes} count=1 iflag=fullblock status=none; sleep ${portionMs / 1000}; ` +
    "done; cat";
  const url = new URL(`/v2/${repository}/blobs/${digest}`, http.url).href;
  const { stdout } = await runOk(
    ["bash", "-o", "pipefail", "-c", `curl -sSfN '${url}' | { ${slowReader}; } | sha256sum`],
    { timeoutMs: (seconds + 60) * 2000 },
  );
  expect(stdout).toStartWith(digest.slice("sha256:".length));
  return "downloaded";
}
