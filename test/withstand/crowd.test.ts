// Slow and broken clients against a real process: 2,000 connections that trickle or are silent, 500 uploads
// that are given up, 200 downloads whose client sends its end and reads no more. Honest clients are served
// meanwhile, and afterwards memory and descriptors are back. How long answers take is for the bench
// (bench/withstand-bench.ts): it depends on the machine.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";
import { freePort, startRegistry } from "../support/registry-process.ts";
import {
  type Felt,
  type Load,
  moreDescriptorsMax,
  moreMiBMax,
  pushDownload,
  underCrowd,
} from "./crowd.ts";

setDefaultTimeout(300_000);

/** Whatever came: far below what the connections and their buffers took. */
const residentMiBMax = 256;

/** Both ends of each connection are open at once, in two processes. */
async function connectionsMax(): Promise<number> {
  const limits = await readFile("/proc/self/limits", "utf8");
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? 2_000 : Number(hard) - 200;
}

const crowds: readonly Load[] = [
  { kind: "trickling", count: 2_000, ms: 1_500 },
  { kind: "aborted uploads", count: 500, ms: 1_000 },
  { kind: "half-closed downloads", count: 200, ms: 1_000 },
];

for (const load of crowds) {
  test(`${load.count} connections (${load.kind}) leave nothing behind`, async () => {
    const directory = await mkdtemp(join(tmpdir(), "plimsoll-crowd-"));
    const root = join(directory, "root");
    await mkdir(root);
    const host = `127.0.0.1:${await freePort()}`;
    const configPath = join(directory, "config.yml");
    const config = `version: 0.1\nstorage: { filesystem: { rootdirectory: ${root} } }\nhttp: { addr: ${host} }\n`;
    await writeFile(configPath, config);
    const server = await startRegistry({ configPath, host, logPath: null });
    try {
      const digest = await pushDownload(server.url);
      const count = Math.min(load.count, await connectionsMax());
      // Twice, since what grows with each crowd would be small after one.
      for (const _round of [1, 2]) {
        const felt = await underCrowd(server, { ...load, count }, digest);
        tell(felt);
        const { there, before, after, crowded } = felt;
        expect(there).toBe(count);
        expect(crowded.pushMs.length).toBeGreaterThan(0);
        expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + moreDescriptorsMax);
        expect(after.residentMiB).toBeLessThanOrEqual(before.residentMiB + moreMiBMax);
        expect(after.residentMiB).toBeLessThan(residentMiBMax);
      }
      expect(await server.stop()).toBe(0);
    } finally {
      await server.stop("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    }
  });
}

function tell({ kind, there, endedByRegistry, before, during, after }: Felt): void {
  const shown = [before, during, after].map(
    ({ residentMiB, descriptors }) => `${residentMiB} MiB ${descriptors} fds`,
  );
  console.log(`${kind}: ${there}, ended by the registry ${endedByRegistry}; ${shown.join(" → ")}`);
}
