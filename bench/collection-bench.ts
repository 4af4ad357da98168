// What collecting costs on a big tree: 100 images deleted out of many, the first index of the tree, the
// first answer after a start, and what pushes feel meanwhile. Both sides work on the same tree, one
// after the other, and delete by HTTP; the classic one is stopped while it collects, as it demands.
import { rm } from "node:fs/promises";
import { join } from "node:path";

import { makeImage } from "../test/support/images.ts";
import { PushClient } from "../test/support/push-client.ts";
import type { RunningRegistry } from "../test/support/registry-process.ts";
import { runOk } from "../test/support/registry-process.ts";
import { imageCountOf, imagesOfSet, ownDirectories, treeImage, writeImages } from "./make-tree.ts";
import { median, percentile, secondsOfCommand } from "./measure.ts";
import type { Row } from "./results.ts";
import type { Place } from "./sides.ts";
import { commandLine, placeFor, start } from "./sides.ts";

export interface CollectionBenchOptions {
  readonly directory: string;
  readonly runs: number;
  /** 200,000 is the design's tree. */
  readonly blobs: number;
  /** How long pushes are watched without a collection. */
  readonly seconds: number;
}

const deletedImages = 100;
/** Out of this many images, one goes in the collection that pushes are watched during. */
const bigDeletionShare = 10;
const pushers = 4;
const deleters = 8;

export interface CollectionNumbers {
  readonly blobs: number;
  readonly rows: readonly Row[];
  readonly collectSeconds: number;
}

interface Classic {
  readonly dryRunSeconds: number;
  readonly collectSeconds: number;
  readonly startMs: number;
}

interface Ours extends Classic {
  readonly nothingSeconds: number;
  readonly removeSeconds: number;
  readonly quietMs: readonly number[];
  readonly busyMs: readonly number[];
}

export async function benchCollection(options: CollectionBenchOptions): Promise<CollectionNumbers> {
  const root = join(options.directory, "tree");
  const images = imageCountOf(options.blobs);
  if (images <= deletedImages * options.runs * 2) {
    throw new Error(`${options.blobs} blobs are too few for ${options.runs} runs of each side`);
  }
  console.error(`collection bench: writing a tree of ${images} images`);
  writeImages(root, Array(images).keys());
  await runOk(["sync"]);
  const classic = await benchClassic(await placeFor("classic", options.directory, root), options);
  const ours = await benchOurs(await placeFor("plimsoll", options.directory, root), options);
  await rm(root, { recursive: true, force: true });
  return { blobs: options.blobs, rows: rowsOf(options, classic, ours), ...ours };
}

/** A set for each run of each side: nothing that was deleted is deleted again. */
function setOf(options: CollectionBenchOptions, run: number): number[] {
  return imagesOfSet(imageCountOf(options.blobs), deletedImages, run);
}

/** Of an image that is in none of the sets. */
function firstPath(options: CollectionBenchOptions): string {
  const stride = Math.floor(imageCountOf(options.blobs) / deletedImages);
  const image = treeImage(stride - 1);
  return `/v2/${image.repository}/manifests/${image.tag}`;
}

async function benchClassic(place: Place, options: CollectionBenchOptions): Promise<Classic> {
  const dryRuns: number[] = [];
  const collections: number[] = [];
  const starts: number[] = [];
  for (let run = 0; run < options.runs; run += 1) {
    console.error(`collection bench, classic, run ${run + 1} of ${options.runs}`);
    dryRuns.push(await secondsOfCommand(commandLine(place, "garbage-collect", "--dry-run")));
    const server = await start(place, firstPath(options));
    starts.push(server.startMs);
    await deleteImages(server, setOf(options, run));
    await server.stop();
    collections.push(await secondsOfCommand(commandLine(place, "garbage-collect")));
  }
  return {
    dryRunSeconds: median(dryRuns),
    collectSeconds: median(collections),
    startMs: median(starts),
  };
}

async function benchOurs(place: Place, options: CollectionBenchOptions): Promise<Ours> {
  const indexes: number[] = [];
  const starts: number[] = [];
  for (let run = 0; run < options.runs; run += 1) {
    console.error(`collection bench, first index, run ${run + 1} of ${options.runs}`);
    await rm(join(place.root, "plimsoll"), { recursive: true, force: true });
    indexes.push(await secondsOfCommand(commandLine(place, "reindex")));
  }
  for (let run = 0; run < options.runs; run += 1) {
    const once = await start(place, firstPath(options));
    starts.push(once.startMs);
    await once.stop();
  }
  const server = await start(place);
  const collect = (): Promise<number> => secondsOfCommand(commandLine(place, "garbage-collect"));
  // The first one waits for the comparison after the start: that is not what a collection costs.
  await collect();
  const collections: number[] = [];
  const nothings: number[] = [];
  const removals: number[] = [];
  for (let run = 0; run < options.runs; run += 1) {
    console.error(`collection bench, plimsoll, run ${run + 1} of ${options.runs}`);
    const set = setOf(options, options.runs + run);
    nothings.push(await collect());
    removals.push(await secondsOfRemoval(options, set));
    await deleteImages(server, set);
    collections.push(await collect());
  }
  const latencies = await pushLatencies(server, options, collect);
  await server.stop();
  return {
    dryRunSeconds: median(indexes),
    collectSeconds: median(collections),
    startMs: median(starts),
    nothingSeconds: median(nothings),
    removeSeconds: median(removals),
    ...latencies,
  };
}

async function deleteImages(server: RunningRegistry, numbers: readonly number[]): Promise<void> {
  const http = new PushClient(server.url);
  const queue = numbers.values();
  const deleter = async (): Promise<void> => {
    for (const n of queue) {
      const { repository, digest } = treeImage(n);
      await http.deleteManifest(repository, digest);
    }
  };
  await Promise.all(Array.from({ length: deleters }, deleter));
}

/** `rm` of the same files, on a copy of these images alone. */
async function secondsOfRemoval(
  options: CollectionBenchOptions,
  set: readonly number[],
): Promise<number> {
  const copy = join(options.directory, "removal");
  writeImages(copy, set);
  await runOk(["sync"]);
  const seconds = await secondsOfCommand(["rm", "-r", ...ownDirectories(copy, set)]);
  await rm(copy, { recursive: true, force: true });
  return seconds;
}

async function pushLatencies(
  server: RunningRegistry,
  options: CollectionBenchOptions,
  collect: () => Promise<number>,
): Promise<{ quietMs: number[]; busyMs: number[] }> {
  console.error("collection bench, pushes without and during a collection");
  const quietMs = await pushWhile(server, "quiet", Bun.sleep(options.seconds * 1000));
  const images = imageCountOf(options.blobs);
  const doomed = imagesOfSet(images, Math.floor(images / bigDeletionShare), bigDeletionShare - 1);
  const present: number[] = [];
  const http = new PushClient(server.url);
  for (const n of doomed) {
    const { repository, tag } = treeImage(n);
    const status = await http.statusOf(`/v2/${repository}/manifests/${tag}`);
    if (status === 200) present.push(n);
  }
  await deleteImages(server, present);
  const busyMs = await pushWhile(server, "busy", collect());
  return { quietMs, busyMs };
}

/** How long each push of a small image took, as long as something else is going on. */
async function pushWhile(
  server: RunningRegistry,
  name: string,
  meanwhile: Promise<unknown>,
): Promise<number[]> {
  const http = new PushClient(server.url);
  const tookMs: number[] = [];
  const over = new AbortController();
  const ended = meanwhile.finally(() => {
    over.abort();
  });
  let made = 0;
  const pusher = async (): Promise<void> => {
    while (!over.signal.aborted) {
      made += 1;
      const image = makeImage(`${name}/${made}`, [1024, 512]);
      const startedAt = performance.now();
      await http.push("bench/pushes", `${name}-${made}`, image);
      tookMs.push(performance.now() - startedAt);
    }
  };
  await Promise.all([ended, ...Array.from({ length: pushers }, pusher)]);
  return tookMs;
}

function rowsOf(options: CollectionBenchOptions, classic: Classic, ours: Ours): Row[] {
  const tree = `of ${options.blobs.toLocaleString("en-US")} blobs`;
  const removal = Math.max(ours.collectSeconds - ours.nothingSeconds, 0);
  const quietP99 = percentile(ours.quietMs, 99);
  const busyP99 = percentile(ours.busyMs, 99);
  const alone = (what: string, unit: string, plimsoll: number): Row => {
    return { what, unit, classic: null, plimsoll, reach: "", reached: null };
  };
  return [
    {
      what: `garbage-collect of ${deletedImages} images out ${tree}`,
      unit: "s",
      classic: classic.collectSeconds,
      plimsoll: ours.collectSeconds,
      reach: "at least 50 times faster",
      reached: ours.collectSeconds * 50 <= classic.collectSeconds,
    },
    alone(`garbage-collect with nothing to collect, ${tree}`, "s", ours.nothingSeconds),
    {
      ...alone("the difference: planning and removing them", "s", removal),
      reach: `within 1.5 times of rm (${ours.removeSeconds.toFixed(3)} s)`,
      reached: removal <= ours.removeSeconds * 1.5,
    },
    {
      what: `first index (reindex) / dry run, ${tree}`,
      unit: "s",
      classic: classic.dryRunSeconds,
      plimsoll: ours.dryRunSeconds,
      reach: "no slower",
      reached: ours.dryRunSeconds <= classic.dryRunSeconds,
    },
    {
      what: `start to first answer, ${tree}, with an index`,
      unit: "ms",
      classic: classic.startMs,
      plimsoll: ours.startMs,
      reach: "under 300",
      reached: ours.startMs < 300,
    },
    alone(`push, p50 of ${ours.quietMs.length}`, "ms", percentile(ours.quietMs, 50)),
    alone(`push, p99 of ${ours.quietMs.length}`, "ms", quietP99),
    alone(
      `push during a collection, p50 of ${ours.busyMs.length}`,
      "ms",
      percentile(ours.busyMs, 50),
    ),
    {
      ...alone(`push during a collection, p99 of ${ours.busyMs.length}`, "ms", busyP99),
      reach: "within 1.5 times of without",
      reached: busyP99 <= quietP99 * 1.5,
    },
  ];
}
