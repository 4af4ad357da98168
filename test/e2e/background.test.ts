// Collecting in the background, from outside: nobody gives a command, and the disk comes back.
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestsOf, makeImage } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import type { Sandbox } from "./sandbox.ts";
import { storedDigests, withSandbox } from "./sandbox.ts";

// Waits for what comes; how long that takes is not what is tested.
setDefaultTimeout(240_000);

const repository = "team/app";
const kept = makeImage("background/kept", [4096, 1024]);
const doomed = makeImage("background/doomed", [4096, 1024]);
const everySecond = "gc:\n  interval: 1s\n";

async function untilStored(sandbox: Sandbox, digests: readonly string[]): Promise<void> {
  const wanted = [...digests].sort().join();
  while ((await storedDigests(sandbox)).join() !== wanted) await Bun.sleep(200);
}

test(
  "what was deleted goes by itself, and the history says so",
  withSandbox(
    async (sandbox) => {
      const server = await sandbox.start();
      const http = new PushClient(server.url);
      await http.push(repository, "kept", kept);
      await http.push(repository, "doomed", doomed);
      await http.deleteManifest(repository, doomed.manifest.digest);
      await untilStored(sandbox, digestsOf(kept));
      const pulled = await http.pull(repository, "kept");
      expect(pulled.digest).toBe(kept.manifest.digest);
      const { stdout } = await sandbox.command("garbage-collect", "--history", "--json");
      const { runs } = JSON.parse(stdout) as { runs: { askedBy: string; blobs: number }[] };
      expect(runs.every(({ askedBy }) => askedBy === "background")).toBe(true);
      expect(runs.reduce((sum, { blobs }) => sum + blobs, 0)).toBe(digestsOf(doomed).length);
      expect(await server.stop()).toBe(0);
    },
    { more: `${everySecond}  keepdeleted: 0s\n` },
  ),
);

test(
  "what was deleted lately stays; the command frees it while the server collects, too",
  withSandbox(
    async (sandbox) => {
      const server = await sandbox.start();
      const http = new PushClient(server.url);
      await http.push(repository, "doomed", doomed);
      await http.deleteManifest(repository, doomed.manifest.digest);
      // A cycle has been there when the repository is gone.
      for (;;) {
        const { stdout } = await sandbox.command("garbage-collect", "--history", "--json");
        const { runs } = JSON.parse(stdout) as { runs: { repositories: number }[] };
        if (runs.some(({ repositories }) => repositories === 1)) break;
      }
      expect(await storedDigests(sandbox)).toEqual(digestsOf(doomed).toSorted());
      const dry = await sandbox.command("garbage-collect", "--dry-run", "--json");
      const real = await sandbox.command("garbage-collect", "--json");
      const [foretold, done] = [dry, real].map(
        ({ stdout }) => JSON.parse(stdout) as Record<string, number>,
      );
      expect(done?.["blobs"]).toBe(digestsOf(doomed).length);
      expect(foretold?.["bytesReclaimable"]).toBe(done?.["bytesReclaimed"] ?? -1);
      expect(await storedDigests(sandbox)).toEqual([]);
    },
    { more: everySecond },
  ),
);
