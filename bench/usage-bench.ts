// What the reports on space cost at 2,000,000 blobs: how long each takes, and how long others wait for it at
// most; what counting an index costs that an older program wrote; and what a push pays for sums that are
// always right: the same manifests accepted with the triggers that keep them, and without.
// Run: bun bench/usage-bench.ts [--blobs 2000000] [--runs 5] [--results bench/RESULTS.md]
import { Database } from "bun:sqlite";
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { pauseFor } from "../src/gc/index.ts";
import { openIndex } from "../src/index/sqlite-index.ts";
import { type Digest, digestOf, mediaTypes, parseManifest } from "../src/oci/index.ts";
import { parseTag, type RepositoryName } from "../src/oci/index.ts";
import { systemClock } from "../src/registry/ports/clock.ts";
import type { AcceptManifest, Index } from "../src/registry/ports/index.ts";
import { FilesystemStorage } from "../src/storage/filesystem/filesystem-storage.ts";
import { UsageReports } from "../src/usage/usage-reports.ts";
import { fillIndex, indexPathOf } from "./fill-index.ts";
import { median } from "./measure.ts";
import { appendResults } from "./results.ts";

const { values } = parseArgs({
  options: {
    blobs: { type: "string", default: "2000000" },
    runs: { type: "string", default: "5" },
    results: { type: "string" },
  },
});
const blobs = Number(values.blobs);
const runs = Number(values.runs);

const baseLayers = 200;
const untaggedImages = 1_000;

/** Sizes as they may be, base layers that images of all repositories share, and some untagged images. */
function makeLifelike(root: string): void {
  const database = new Database(indexPathOf(root));
  database.run("PRAGMA synchronous = OFF; BEGIN");
  database.run("UPDATE blobs SET size = 500 + abs(random()) % 50000000");
  database.run(
    "UPDATE blobs SET size = 500 + size % 2000 WHERE id IN (SELECT blob_id FROM manifests)",
  );
  const base = `(SELECT id FROM blobs WHERE id % 10 = 2 ORDER BY id LIMIT ${baseLayers})`;
  database.run(`CREATE TEMP TABLE base AS SELECT row_number() OVER () - 1 AS n, id FROM ${base}`);
  database.run("CREATE INDEX temp.base_by_n ON base (n)");
  for (const step of [1, 7, 31]) {
    const shared = `(m.blob_id / 10 / 50 * ${step}) % ${baseLayers}`;
    database.run(
      `INSERT OR IGNORE INTO named SELECT m.blob_id, b.id, 1 FROM manifests m, base b WHERE b.n = ${shared}`,
    );
    database.run(
      `INSERT OR IGNORE INTO layers SELECT m.repository_id, b.id FROM manifests m, base b WHERE b.n = ${shared}`,
    );
  }
  const step = Math.max(1, Math.floor(blobs / 10 / untaggedImages));
  const untagged = `SELECT repository_id, blob_id FROM manifests WHERE blob_id / 10 % ${step} = 0`;
  database.run(`DELETE FROM tags WHERE (repository_id, blob_id) IN (${untagged})`);
  database.run(`INSERT INTO manifest_candidates (repository_id, blob_id, untagged_since, due_at)
    SELECT repository_id, blob_id, 0, 0 FROM (${untagged})`);
  database.run("COMMIT");
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

interface Measured {
  readonly what: string;
  readonly wallMs: number;
  /** The longest time between two turns of the loop. */
  readonly stallMs: number;
}

/** Looks how late the loop's turns are. */
async function stallOf(work: () => Promise<unknown>): Promise<{ wallMs: number; stallMs: number }> {
  let stallMs = 0;
  let lastMs = performance.now();
  let isOver = false;
  const turn = (): void => {
    const nowMs = performance.now();
    stallMs = Math.max(stallMs, nowMs - lastMs);
    lastMs = nowMs;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const begunMs = performance.now();
  await work();
  const wallMs = performance.now() - begunMs;
  isOver = true;
  return { wallMs, stallMs };
}

async function measure(what: string, work: () => Promise<unknown>): Promise<Measured> {
  const all: { wallMs: number; stallMs: number }[] = [];
  for (let run = 0; run < runs; run++) all.push(await stallOf(work));
  console.error(`usage bench: ${what}`, all.map(({ wallMs }) => wallMs.toFixed(0)).join(" "));
  return {
    what,
    wallMs: median(all.map(({ wallMs }) => wallMs)),
    stallMs: median(all.map(({ stallMs }) => stallMs)),
  };
}

async function measureReports(index: Index, root: string): Promise<Measured[]> {
  const reports = new UsageReports({
    index,
    storage: new FilesystemStorage(root),
    clock: systemClock,
    pause: pauseFor,
  });
  const all = { limit: 20, globs: null };
  const repository = "r/7" as RepositoryName;
  const repositories = { ...all, by: "exclusiveBytes" } as const;
  return [
    await measure(`summary (${untaggedImages} untagged images)`, () => reports.summary()),
    await measure("20 repositories", () => reports.topRepositories(repositories)),
    await measure("20 tags, with what each alone frees", () => reports.topTags(all)),
    await measure("20 blobs, with their holders", () => reports.topBlobs(all)),
    await measure("ages", () => reports.byAge(all)),
    await measure("one repository of 100 images", () => reports.repository(repository, 20)),
    await measure("what deleting that repository frees", () =>
      reports.deletePreview([{ repository, reference: null }]),
    ),
    await measure("what deleting one tag frees", () =>
      reports.deletePreview([{ repository, reference: parseTag("t705") }]),
    ),
  ];
}

const pushes = 2_000;
const pushersAtOnce = 16;

/** Images of nine blobs each that nobody has yet, as acceptManifest is given them. */
function imagesToPush(round: number): AcceptManifest[] {
  return Array.from({ length: pushes }, (_, n) => {
    const layers = Array.from({ length: 9 }, (__, layer) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      digest: digestOf(new TextEncoder().encode(`${round} ${n} ${layer}`)),
      size: 1,
    }));
    const [config, ...others] = layers;
    const mediaType = mediaTypes.ociManifest;
    const bytes = new TextEncoder().encode(
      JSON.stringify({ schemaVersion: 2, mediaType, config, layers: others }),
    );
    return {
      repository: `r/${n % 200}` as RepositoryName,
      digest: digestOf(bytes),
      sizeBytes: bytes.length,
      manifest: parseManifest(bytes, mediaType),
      tags: [parseTag(`p${round}-${n}`)],
      leaseManifest: false,
      required: [],
      terms: { caller: "bench", nowMs: Date.now(), graceMs: 1 },
    };
  });
}

async function inTurns<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: pushersAtOnce }, worker));
}

/** Microseconds for one manifest accepted, its blobs having been uploaded before. */
async function measurePushes(index: Index, round: number): Promise<number> {
  const images = imagesToPush(round);
  const { terms } = images[0] ?? { terms: { caller: "bench", nowMs: 0, graceMs: 1 } };
  const uploads = images.flatMap(({ repository, manifest }) =>
    manifest.references.map(({ digest }): { repository: RepositoryName; digest: Digest } => ({
      repository,
      digest,
    })),
  );
  await inTurns(uploads, (upload) =>
    index.finishUpload({ id: null, ...upload, sizeBytes: 1_000, terms }),
  );
  const begunMs = performance.now();
  await inTurns(images, (image) => index.acceptManifest(image));
  return ((performance.now() - begunMs) * 1_000) / pushes;
}

/** Only for the comparison: the sums are wrong from the first push without them on. */
class SumTriggers {
  readonly #database: Database;
  readonly #triggers: readonly { readonly name: string; readonly sql: string }[];

  constructor(root: string) {
    this.#database = new Database(indexPathOf(root));
    this.#triggers = this.#database
      .query<{ name: string; sql: string }, []>(
        `SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name NOT IN
           ('blob_comes', 'blob_changes', 'blob_goes', 'manifest_comes', 'manifest_goes')`,
      )
      .all();
  }

  drop(): void {
    for (const { name } of this.#triggers) this.#database.run(`DROP TRIGGER ${name}`);
  }

  create(): void {
    for (const { sql } of this.#triggers) this.#database.run(sql);
  }
}

const directory = join(tmpdir(), `plimsoll-usage-${process.pid}`);
try {
  mkdirSync(directory, { recursive: true });
  console.error(`usage bench: filling an index of ${blobs} blobs`);
  await fillIndex(directory, blobs);
  makeLifelike(directory);
  const begunMs = performance.now();
  const index = await openIndex(indexPathOf(directory), directory);
  const countedMs = performance.now() - begunMs;
  console.error(`usage bench: counted in ${countedMs.toFixed(0)} ms`);
  const measured = await measureReports(index, directory);
  const withSums: number[] = [];
  const withoutSums: number[] = [];
  const triggers = new SumTriggers(directory);
  await measurePushes(index, 0);
  for (let round = 1; round <= runs; round++) {
    withSums.push(await measurePushes(index, 2 * round));
    triggers.drop();
    withoutSums.push(await measurePushes(index, 2 * round + 1));
    triggers.create();
  }
  await index.close();
  console.error("usage bench: pushes", withSums, withoutSums);
  const table = [
    "| what | ms | others wait at most, ms |",
    "|---|--:|--:|",
    ...measured.map(
      ({ what, wallMs, stallMs }) => `| ${what} | ${wallMs.toFixed(1)} | ${stallMs.toFixed(1)} |`,
    ),
    `| counting an index of an older program, once, at its start | ${countedMs.toFixed(0)} | |`,
    `| a manifest of nine blobs accepted, ${pushersAtOnce} at once | ${(median(withSums) / 1_000).toFixed(3)} | |`,
    `| the same without the sums | ${(median(withoutSums) / 1_000).toFixed(3)} | |`,
  ].join("\n");
  console.log(table);
  if (values.results !== undefined) {
    await appendResults(values.results, {
      title: "Who uses the disk",
      conditions: [
        `written by \`bun bench/usage-bench.ts\`: ${blobs.toLocaleString("en-US")} blobs, images of ten and of three base layers out of ${baseLayers} that all repositories share, a tag on each but ${untaggedImages}`,
        `medians of ${runs} runs; the longest time between two turns of the loop while a report is made`,
      ],
      table,
    });
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
