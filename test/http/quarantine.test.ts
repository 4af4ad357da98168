// INV-9 through HTTP: altered bytes answer as an error and never as what they are not, whatever is under way
// while they are taken out of service.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import { type Digest, digestOf, parseDigest } from "../../src/oci/index.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import { systemClock } from "../../src/registry/ports/clock.ts";
import { Quarantine } from "../../src/registry/quarantine.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { blobDataPath } from "../../src/storage/layout.ts";
import { type Harness, startHarness } from "./harness.ts";

setDefaultTimeout(60_000);

/** More than sockets and buffers on the way take in. */
const largeBytes = 16 * 1024 * 1024;

let root: string;
let harness: Harness;
let quarantine: Quarantine;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "http-quarantine-"));
  const index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
  await index.markComplete();
  const storage = new FilesystemStorage(root);
  const locks = new KeyedLocks<Digest>();
  quarantine = new Quarantine({ index, storage, locks });
  const registry = createRegistry({
    index,
    storage,
    locks,
    clock: systemClock,
    reports: { info: () => undefined, error: (_message, error) => console.error(error) },
    followTree: () => undefined,
    treeLookup: () => null,
    options: {
      graceMs: 3_600_000,
      readOnly: false,
      validation: { urlsAllow: null, urlsDeny: [], indexChildren: "all" },
    },
  });
  harness = await startHarness(() => registry);
});
afterEach(async () => {
  await harness[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

/** One byte becomes another. */
function alter(digest: Digest): void {
  const path = root + blobDataPath(digest);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

async function expectUnknown(path: string, code: string): Promise<void> {
  const answer = await harness.ask(path);
  expect(answer.status).toBe(404);
  expect(await answer.text()).toContain(`"${code}"`);
  expect((await harness.ask(path, { method: "HEAD" })).status).toBe(404);
}

describe("a blob in quarantine", () => {
  test("answers BLOB_UNKNOWN to GET and HEAD, and a push brings it back", async () => {
    const content = new Uint8Array(1_000_000).fill(7);
    const digest = await harness.pushBlob("team/app", content);
    alter(digest);
    expect(await quarantine.check(digest)).toMatchObject({ kind: "moved" });
    await expectUnknown(`/v2/team/app/blobs/${digest}`, "BLOB_UNKNOWN");
    expect(await harness.pushBlob("team/app", content)).toBe(digest);
    const answer = await harness.ask(`/v2/team/app/blobs/${digest}`);
    expect(digestOf(await answer.bytes())).toBe(digest);
  });

  test("a GET under way goes on to its end; the next one is 404", async () => {
    const digest = await harness.pushBlob("team/app", new Uint8Array(largeBytes).fill(7));
    alter(digest);
    const answer = await harness.ask(`/v2/team/app/blobs/${digest}`);
    expect(answer.status).toBe(200);
    const body: ReadableStream<Uint8Array> | null = answer.body;
    if (body === null) throw new Error("there is a body");
    let received = 0;
    for await (const chunk of body) {
      if (received === 0) {
        expect(await quarantine.check(digest)).toMatchObject({ kind: "moved" });
      }
      received += chunk.byteLength;
    }
    expect(received).toBe(largeBytes);
    await expectUnknown(`/v2/team/app/blobs/${digest}`, "BLOB_UNKNOWN");
  });

  test("GETs at the same time are answered whole or with 404, never with a fault", async () => {
    for (let round = 0; round < 10; round++) {
      const digest = await harness.pushBlob("team/app", new Uint8Array(100_000 + round).fill(7));
      alter(digest);
      const asking = Array.from({ length: 20 }, async (_, n) => {
        for (let turn = 0; turn < n; turn++) await new Promise(setImmediate);
        const answer = await harness.ask(`/v2/team/app/blobs/${digest}`);
        const { byteLength } = await answer.bytes();
        return answer.status === 200 ? byteLength : answer.status;
      });
      expect(await quarantine.check(digest)).toMatchObject({ kind: "moved" });
      const answers = new Set(await Promise.all(asking));
      answers.delete(404);
      answers.delete(100_000 + round);
      expect(answers).toEqual(new Set());
    }
  });
});

describe("a manifest in quarantine", () => {
  test("answers MANIFEST_UNKNOWN by tag and digest, however often it was asked for before", async () => {
    const digest = await harness.pushImage("team/app", "v1");
    // Now it is in memory.
    expect((await harness.ask("/v2/team/app/manifests/v1")).status).toBe(200);
    alter(digest);
    expect(await quarantine.check(digest)).toMatchObject({ kind: "moved" });
    for (const reference of ["v1", digest]) {
      await expectUnknown(`/v2/team/app/manifests/${reference}`, "MANIFEST_UNKNOWN");
    }
    expect(await harness.pushImage("team/app", "v1")).toBe(digest);
    const answer = await harness.ask(`/v2/team/app/manifests/v1`);
    expect(parseDigest(digestOf(await answer.bytes()))).toBe(digest);
  });
});
