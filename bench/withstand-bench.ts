// What slow and broken clients cost: memory, descriptors, and how long an honest client's requests take
// beside them. `bun bench/withstand-bench.ts [rounds]`; docs/reliability.md has the figures.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startRegistry } from "../test/support/registry-process.ts";
import {
  type Felt,
  type Load,
  pushDownload,
  quantile,
  underCrowd,
} from "../test/withstand/crowd.ts";

const rounds = Number(process.argv[2] ?? 3);
const loads: readonly Load[] = [
  { kind: "trickling", count: 2_000, ms: 5_000 },
  { kind: "aborted uploads", count: 500, ms: 5_000 },
  { kind: "half-closed downloads", count: 200, ms: 5_000 },
];

const directory = await mkdtemp(join(tmpdir(), "plimsoll-withstand-"));
const root = join(directory, "root");
await mkdir(root);
const host = `127.0.0.1:${await freePort()}`;
const configPath = join(directory, "config.yml");
await writeFile(
  configPath,
  `version: 0.1\nstorage: { filesystem: { rootdirectory: ${root} } }\nhttp: { addr: ${host} }\n`,
);
const columns = [
  "clients",
  "MiB before, with, after",
  "descriptors",
  "pull p50 ms",
  "pull p99 ms",
  "pull p99 ms while they come",
  "push p50 ms",
];
console.log(`| ${columns.join(" | ")} |\n${"|---".repeat(columns.length)}|`);
const server = await startRegistry({ configPath, host, logPath: null });
try {
  const digest = await pushDownload(server.url);
  for (const load of loads) {
    for (let round = 0; round < rounds; round += 1) {
      console.log(row(await underCrowd(server, load, digest)));
    }
  }
} finally {
  await server.stop();
  await rm(directory, { recursive: true });
}

function row({ kind, there, before, during, after, ...times }: Felt): string {
  const { calm, arriving, crowded } = times;
  const moments = [before, during, after];
  const memory = moments.map(({ residentMiB }) => residentMiB).join(", ");
  const descriptors = moments.map((one) => one.descriptors).join(", ");
  return `| ${[
    `${there} ${kind}`,
    memory,
    descriptors,
    compared(calm.pullMs, crowded.pullMs, 0.5),
    compared(calm.pullMs, crowded.pullMs, 0.99),
    compared(calm.pullMs, arriving.pullMs, 0.99),
    compared(calm.pushMs, crowded.pushMs, 0.5),
  ].join(" | ")} |`;
}

function compared(calm: readonly number[], crowded: readonly number[], share: number): string {
  const [without, beside] = [quantile(calm, share), quantile(crowded, share)];
  const ratio = (beside / without).toFixed(2);
  return `${without.toFixed(1)} → ${beside.toFixed(1)} (${ratio})`;
}
