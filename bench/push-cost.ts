// What small pushes cost the server: CPU seconds an image, while the pushes run and until the tree has
// followed the index (INV-2). For work on that cost; its numbers go into no file.
// `bun bench/push-cost.ts --help` shows the options.
import { Database } from "bun:sqlite";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { type Image, makeImage } from "../test/support/images.ts";
import { PushClient } from "../test/support/push-client.ts";
import type { RunningRegistry } from "../test/support/registry-process.ts";
import { costOf, median } from "./measure.ts";
import { placeFor, start } from "./sides.ts";

const help = `Usage: bun bench/push-cost.ts [options]

  --images <n>        small images of two layers and a configuration (default: 300)
  --pushers <n>       how many push at once (default: 4)
  --runs <n>          how often, each on a fresh root (default: 3)
  --pid-file <path>   writes the server's process id there, for a profiler beside
  --directory <path>  where data is kept meanwhile (default: the system's temporary one)

PLIMSOLL_COMMAND, a JSON array, says which program is measured: two trees of sources in turn, or
["bun","--cpu-prof","src/main.ts"].`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    images: { type: "string", default: "300" },
    pushers: { type: "string", default: "4" },
    runs: { type: "string", default: "3" },
    "pid-file": { type: "string" },
    directory: { type: "string", default: tmpdir() },
  },
});

const repository = "bench/image";
const pollMs = 20;

interface PushCost {
  readonly imagesPerSecond: number;
  readonly cpuMsEach: number;
  /** With what the tree's following took afterwards. */
  readonly wholeCpuMsEach: number;
  readonly followSeconds: number;
}

async function pushAll(server: RunningRegistry, images: readonly Image[]): Promise<void> {
  const http = new PushClient(server.url);
  const queue = images.entries();
  const pusher = async (): Promise<void> => {
    for (const [n, image] of queue) await http.push(repository, `v${n}`, image);
  };
  await Promise.all(Array.from({ length: Number(values.pushers) }, pusher));
}

async function treeFollowed(root: string): Promise<void> {
  const index = new Database(join(root, "plimsoll/index.db"), { readonly: true });
  const owed = index.query<{ owed: number }, []>("SELECT count(*) AS owed FROM redo");
  while ((owed.get()?.owed ?? 0) > 0) await Bun.sleep(pollMs);
  index.close();
}

async function measure(directory: string): Promise<PushCost> {
  const images = Array.from({ length: Number(values.images) }, (_, n) =>
    makeImage(`push-cost/${n}`, [1024, 512]),
  );
  const root = join(directory, "root");
  const server = await start(await placeFor("plimsoll", directory, root));
  try {
    if (values["pid-file"] !== undefined) await Bun.write(values["pid-file"], String(server.pid));
    const pushed = await costOf(server.pid, () => pushAll(server, images));
    const followed = await costOf(server.pid, () => treeFollowed(root));
    return {
      imagesPerSecond: images.length / pushed.wallSeconds,
      cpuMsEach: (pushed.cpuSeconds * 1000) / images.length,
      wholeCpuMsEach: ((pushed.cpuSeconds + followed.cpuSeconds) * 1000) / images.length,
      followSeconds: followed.wallSeconds,
    };
  } finally {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const directory = join(resolve(values.directory), `plimsoll-push-cost-${process.pid}`);
  await mkdir(directory, { recursive: true });
  try {
    const costs: PushCost[] = [];
    for (let n = 0; n < Number(values.runs); n += 1) costs.push(await measure(directory));
    const of = (key: keyof PushCost): string => median(costs.map((cost) => cost[key])).toFixed(2);
    console.log(
      `${of("imagesPerSecond")} images/s, ${of("cpuMsEach")} ms of CPU an image, ` +
        `${of("wholeCpuMsEach")} ms until the tree had followed, ${of("followSeconds")} s later`,
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

if (values.help) {
  console.log(help);
} else {
  await main();
}
