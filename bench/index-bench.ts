// How fast the index takes manifests in and finds them: durable acceptances by 16 writers at once through
// the worker, how late the main loop gets meanwhile, and look-ups by tag in a registry of some size.
// Run: bun bench/index-bench.ts [seconds a part] [manifests to begin with]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Digest,
  digestOf,
  mediaTypes,
  type ParsedManifest,
  parseRepositoryName,
  parseTag,
} from "../src/oci/index.ts";
import { openIndex } from "../src/index/sqlite-index.ts";
import type { AcceptManifest, Difference, Index } from "../src/registry/ports/index.ts";
import { percentile } from "./measure.ts";

const seconds = Number(process.argv[2] ?? 3);
const startManifests = Number(process.argv[3] ?? 20_000);
const writers = 16;
const repositories = 200;
const referencesEach = 5;
/** So many blobs are shared by all; the first of them is in every manifest, as base layers are. */
const sharedBlobs = 1_000;

const digestNo = (text: string): Digest => digestOf(new TextEncoder().encode(text));
const shared = Array.from({ length: sharedBlobs }, (_, n) => digestNo(`shared ${n}`));
const repositoryNo = (n: number): AcceptManifest["repository"] =>
  parseRepositoryName(`team/app-${n % repositories}`);

function manifestNo(n: number): { digest: Digest; manifest: ParsedManifest } {
  const references = Array.from({ length: referencesEach }, (_, i) => ({
    digest: shared[i === 0 ? 0 : (n * 7 + i * 131) % sharedBlobs] ?? digestNo(""),
    kind: "blob" as const,
  }));
  const manifest = {
    mediaType: mediaTypes.ociManifest,
    artifactType: null,
    annotations: null,
    subject: null,
    references: [...new Map(references.map((reference) => [reference.digest, reference])).values()],
  };
  return { digest: digestNo(`manifest ${n}`), manifest };
}

async function fill(index: Index): Promise<void> {
  const options = { nowMs: Date.now(), recheck: false };
  const blobs = shared.map((digest): Difference => ({
    kind: "blob",
    digest,
    sizeBytes: 1_000,
    modifiedMs: 0,
  }));
  await index.absorb(blobs, options);
  for (let n = 0; n < repositories; n++) {
    const repository = repositoryNo(n);
    const layers = shared.map((digest): Difference => ({
      kind: "layer",
      repository,
      digest,
      there: true,
    }));
    await index.absorb(layers, options);
  }
  for (let start = 0; start < startManifests; start += 500) {
    const batch: Difference[] = [];
    for (let n = start; n < Math.min(start + 500, startManifests); n++) {
      const { digest, manifest } = manifestNo(n);
      const repository = repositoryNo(n);
      batch.push(
        { kind: "blob", digest, sizeBytes: 500, modifiedMs: 0 },
        { kind: "revision", repository, digest, there: true, manifest, sizeBytes: 500 },
        { kind: "tag", repository, tag: parseTag(`v${n}`), digest, modifiedMs: 0 },
      );
    }
    await index.absorb(batch, options);
  }
  await index.checkpoint();
}

let nextManifest = startManifests;

async function acceptUntil(index: Index, endMs: number): Promise<number> {
  let accepted = 0;
  while (performance.now() < endMs) {
    const n = nextManifest++;
    const { digest, manifest } = manifestNo(n);
    const outcome = await index.acceptManifest({
      repository: repositoryNo(n),
      digest,
      sizeBytes: 500,
      manifest,
      tags: [parseTag(`v${n}`)],
      leaseManifest: false,
      required: manifest.references,
      terms: { caller: "bench", nowMs: Date.now(), graceMs: 3_600_000 },
    });
    if (!outcome.accepted) throw new Error(`not accepted: ${outcome.missing.join(" ")}`);
    accepted++;
  }
  return accepted;
}

/** How late the loop gets to what is due, in milliseconds, until `stop` is called. */
function watchLoop(): { stop: () => number[] } {
  const everyMs = 1;
  const late: number[] = [];
  let last = performance.now();
  let stopped = false;
  const look = (): void => {
    const now = performance.now();
    late.push(now - last - everyMs);
    last = now;
    if (!stopped) setTimeout(look, everyMs);
  };
  setTimeout(look, everyMs);
  return {
    stop: () => {
      stopped = true;
      return late;
    },
  };
}

/** CPU time of all threads since then, a piece; says more than wall time on a busy machine. */
function cpuEach(since: NodeJS.CpuUsage, pieces: number): string {
  const { user, system } = process.cpuUsage(since);
  return `${((user + system) / pieces).toFixed(1)} µs CPU each`;
}

async function measureAccepts(index: Index): Promise<void> {
  const watch = watchLoop();
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1_000;
  const counts = await Promise.all(
    Array.from({ length: writers }, () => acceptUntil(index, endMs)),
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  const perSecond = total / ((performance.now() - startedMs) / 1_000);
  const late = watch.stop();
  const shown = [50, 99, 99.9, 100].map((p) => `p${p} ${percentile(late, p).toFixed(2)} ms`);
  console.log(
    `accepted durably, ${writers} at once: ${perSecond.toFixed(0)}/s, ${cpuEach(cpu, total)}; loop: ${shown.join(", ")}`,
  );
}

async function measureLookups(name: string, look: (n: number) => Promise<unknown>): Promise<void> {
  let done = 0;
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  while (performance.now() - startedMs < seconds * 1_000) {
    for (let i = 0; i < 100; i++) {
      const n = (done * 7_919) % startManifests;
      if ((await look(n)) === null) throw new Error(`${name}: ${n} was not found`);
      done++;
    }
  }
  const perSecond = done / ((performance.now() - startedMs) / 1_000);
  console.log(`${name}: ${perSecond.toFixed(0)}/s, ${cpuEach(cpu, done)}`);
}

const root = mkdtempSync(join(process.env["PLIMSOLL_BENCH_DIR"] ?? tmpdir(), "plimsoll-bench-"));
const index = await openIndex(join(root, "plimsoll", "index.db"), root);
try {
  const startedMs = performance.now();
  await fill(index);
  console.log(
    `${startManifests} manifests taken in, ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`,
  );
  const terms = { caller: "bench", nowMs: Date.now(), graceMs: 36_000_000 };
  await measureAccepts(index);
  await measureLookups("findTag", (n) => index.findTag(repositoryNo(n), parseTag(`v${n}`)));
  await measureLookups("findManifest", (n) =>
    index.findManifest(repositoryNo(n), manifestNo(n).digest),
  );
  await measureLookups("findBlob", (n) =>
    index.findBlob(repositoryNo(n), shared[n % sharedBlobs] as Digest),
  );
  await measureLookups("findAndLeaseBlob, most of them leased", (n) =>
    index.findAndLeaseBlob(repositoryNo(n % 5), shared[n % 100] as Digest, terms),
  );
} finally {
  await index.close();
  rmSync(root, { recursive: true });
}
