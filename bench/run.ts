// Runs the benches and writes bench/RESULTS.md. Needs docker-registry, wrk and curl; not part of the
// tests. `bun bench/run.ts --help` shows the options.
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { classicCommand, productCommand, runOk } from "../test/support/registry-process.ts";
import type { CollectionNumbers } from "./collection-bench.ts";
import { benchCollection } from "./collection-bench.ts";
import { benchRegistry } from "./registry-bench.ts";
import type { Row } from "./results.ts";
import { tableOf, writeResults } from "./results.ts";

const help = `Usage: bun bench/run.ts [options]

  --only registry|collection  one half of it (default: both)
  --runs <n>                  how often each thing is measured (default: 3)
  --blobs <n[,n...]>          sizes of the trees to collect in (default: 20000,200000)
  --seconds <n>               length of each wrk load and of the quiet pushes (default: 5)
  --images <n>                small images pushed in a run (default: 300)
  --large-mib <n>             the big blob (default: 1024)
  --parallel-mib <n>          each of the 32 parallel uploads (default: 128)
  --directory <path>          where data is kept meanwhile (default: the system's temporary one)
  --results <path>            what to write (default: bench/RESULTS.md)

PLIMSOLL_COMMAND='["./dist/registry"]' measures the executable instead of the sources.
A quick look: bun bench/run.ts --runs 1 --blobs 5000 --seconds 1 --images 20 --large-mib 64 \\
  --parallel-mib 4 --results /dev/stdout`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    only: { type: "string" },
    runs: { type: "string", default: "3" },
    blobs: { type: "string", default: "20000,200000" },
    seconds: { type: "string", default: "5" },
    images: { type: "string", default: "300" },
    "large-mib": { type: "string", default: "1024" },
    "parallel-mib": { type: "string", default: "128" },
    directory: { type: "string", default: tmpdir() },
    results: { type: "string", default: resolve(import.meta.dir, "RESULTS.md") },
  },
});

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0) {
    throw new Error(`--${name} must be a positive whole number, not ${text}`);
  }
  return value;
}

async function main(): Promise<void> {
  const { only } = values;
  if (only !== undefined && only !== "registry" && only !== "collection") {
    throw new Error(`--only must be registry or collection, not ${only}`);
  }
  for (const program of [classicCommand[0] ?? "", "wrk", "curl"]) {
    if (Bun.which(program) === null) throw new Error(`${program} is not installed`);
  }
  const directory = join(resolve(values.directory), `plimsoll-bench-${process.pid}`);
  await mkdir(directory, { recursive: true });
  try {
    const rows = await measure(only, directory);
    console.log(tableOf(rows));
    await writeResults(values.results, rows, await conditions());
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(only: string | undefined, directory: string): Promise<Row[]> {
  const runs = positive("runs", values.runs);
  const seconds = positive("seconds", values.seconds);
  const rows: Row[] = [];
  if (only !== "collection") {
    const images = positive("images", values.images);
    const largeMib = positive("large-mib", values["large-mib"]);
    const parallelMib = positive("parallel-mib", values["parallel-mib"]);
    rows.push(
      ...(await benchRegistry({ directory, runs, seconds, images, largeMib, parallelMib })),
    );
  }
  if (only !== "registry") {
    const sizes = values.blobs.split(",").map((text) => positive("blobs", text));
    const measured: CollectionNumbers[] = [];
    for (const blobs of sizes) {
      measured.push(await benchCollection({ directory, runs, blobs, seconds }));
    }
    rows.push(...measured.flatMap((each) => each.rows), ...growthRows(measured));
  }
  return rows;
}

/** The same garbage in a bigger tree: the time must follow the garbage. */
function growthRows(measured: readonly CollectionNumbers[]): Row[] {
  const [smallest, ...bigger] = measured.toSorted((a, b) => a.blobs - b.blobs);
  if (smallest === undefined) return [];
  return bigger.map((each) => {
    const growth = each.collectSeconds / smallest.collectSeconds;
    return {
      what: `garbage-collect at ${each.blobs / smallest.blobs} times the size`,
      unit: "times as long",
      classic: null,
      plimsoll: growth,
      reach: "the same time (up to 1.25)",
      reached: growth <= 1.25,
    };
  });
}

async function conditions(): Promise<string[]> {
  const version = async (command: readonly string[]): Promise<string> => {
    return (await runOk([...command, "--version"])).stdout.trim().split("\n")[0] ?? "";
  };
  return [
    `classic: ${await version(classicCommand)}`,
    `plimsoll: ${await version(productCommand)}, Bun ${Bun.version}`,
    `medians of ${values.runs} runs; trees of ${values.blobs} blobs`,
  ];
}

if (values.help) {
  console.log(help);
} else {
  await main();
}
