// What a collection costs as the registry grows: 100 images (1,000 blobs) out of an index of 20,000,
// 200,000 and 2,000,000 blobs. It must be the same. Only what goes has files.
// Run: bun bench/scale-bench.ts [--blobs 20000,200000,2000000] [--runs 3] [--results bench/RESULTS.md]
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { Collector, type CollectionReport, pauseFor } from "../src/gc/index.ts";
import { openIndex } from "../src/index/sqlite-index.ts";
import { KeyedLocks } from "../src/registry/keyed-locks.ts";
import { systemClock } from "../src/registry/ports/clock.ts";
import { TreeFollower } from "../src/registry/tree-follower.ts";
import { FilesystemStorage } from "../src/storage/filesystem/filesystem-storage.ts";
import { fillIndex, imagesWithFiles, indexPathOf } from "./fill-index.ts";
import { median } from "./measure.ts";
import { appendResults } from "./results.ts";

const deletedImages = 100;

const { values } = parseArgs({
  options: {
    blobs: { type: "string", default: "20000,200000,2000000" },
    runs: { type: "string", default: "3" },
    results: { type: "string" },
  },
});

interface Measured {
  readonly blobs: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly idleMs: number;
}

async function measure(directory: string, blobs: number, runs: number): Promise<Measured> {
  const root = join(directory, `of-${blobs}`);
  mkdirSync(root, { recursive: true });
  console.error(`scale bench: filling an index of ${blobs} blobs`);
  await fillIndex(root, blobs);
  const stride = Math.floor(blobs / 10 / deletedImages);
  const sets = Array.from({ length: runs }, (_, run) =>
    imagesWithFiles(
      root,
      Array.from({ length: deletedImages }, (__, n) => n * stride + run),
    ),
  );
  const index = await openIndex(indexPathOf(root), root);
  const storage = new FilesystemStorage(root);
  const failed: unknown[] = [];
  const reports = {
    info: () => undefined,
    error: (_: string, error: unknown) => failed.push(error),
  };
  const follower = new TreeFollower({ index, storage, reports });
  const clock = systemClock;
  const locks = new KeyedLocks<never>();
  const collector = new Collector({
    index,
    storage,
    locks,
    clock,
    tree: follower,
    pause: pauseFor,
  });
  const collect = (): Promise<CollectionReport> =>
    collector.collect(
      { dryRun: false, untagged: false, full: false, foreignGraceMs: 0, listing: "nothing" },
      () => undefined,
    );
  await collect();
  const walls: number[] = [];
  const cpus: number[] = [];
  const idles: number[] = [];
  for (const set of sets) {
    for (const { repository, digest } of set) {
      await index.deleteManifest(repository, digest, clock.now());
    }
    const { wallMs, cpuMs, result } = await costOf(collect);
    if (result.blobs !== deletedImages * 10 || !result.ok) {
      throw new Error(`${result.blobs} blobs went: ${result.errors.join("; ")}`);
    }
    walls.push(wallMs);
    cpus.push(cpuMs);
    idles.push((await costOf(collect)).wallMs);
  }
  await follower.stop();
  await index.close();
  rmSync(root, { recursive: true });
  if (failed.length > 0) throw new Error("the tree could not follow", { cause: failed[0] });
  return { blobs, wallMs: median(walls), cpuMs: median(cpus), idleMs: median(idles) };
}

async function costOf<Result>(
  work: () => Promise<Result>,
): Promise<{ wallMs: number; cpuMs: number; result: Result }> {
  const cpu = process.cpuUsage();
  const begunMs = performance.now();
  const result = await work();
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs: performance.now() - begunMs, cpuMs: (user + system) / 1000, result };
}

function tableOf(measured: readonly Measured[]): string {
  const smallest = measured[0]?.cpuMs ?? 1;
  const lines = measured.map(({ blobs, wallMs, cpuMs, idleMs }) =>
    [
      blobs.toLocaleString("en-US"),
      wallMs.toFixed(0),
      cpuMs.toFixed(0),
      (cpuMs / smallest).toFixed(2),
      idleMs.toFixed(1),
    ].join(" | "),
  );
  return [
    "| blobs in the index | 1,000 blobs, ms | CPU ms | CPU, times the first | nothing to do, ms |",
    "|--:|--:|--:|--:|--:|",
    ...lines.map((line) => `| ${line} |`),
  ].join("\n");
}

const directory = join(tmpdir(), `plimsoll-scale-${process.pid}`);
try {
  const measured: Measured[] = [];
  for (const size of values.blobs.split(",")) {
    measured.push(await measure(directory, Number(size), Number(values.runs)));
  }
  console.log(tableOf(measured));
  if (values.results !== undefined) {
    await appendResults(values.results, {
      title: "The cost of a collection as the registry grows",
      conditions: [
        "written by `bun bench/scale-bench.ts`: 100 deleted images, 1,000 blobs with their files",
        `medians of ${values.runs} runs; CPU of all threads`,
      ],
      table: tableOf(measured),
    });
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
