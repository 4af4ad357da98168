// Who uses all this: the command beside a running server, with images as clients push them. What it says
// is stored is what `du` of the blobs says, and what a preview says would be freed is what is freed.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import { imageOf, makeLayer } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const base = makeLayer("usage/base", 50_000);
const app = imageOf([base, makeLayer("usage/app", 20_000)]);
const worker = imageOf([base, makeLayer("usage/worker", 30_000)]);
const scratch = imageOf([makeLayer("usage/scratch", 5_000)]);

interface Report {
  readonly summary: { readonly storedBytes: number; readonly uploads: { readonly bytes: number } };
  readonly repositories: {
    readonly rows: readonly {
      readonly repository: string;
      readonly exclusiveBytes: number;
      readonly sharedBytes: number;
    }[];
  };
}

/** Bytes of the files under `docker/registry/v2/blobs`. */
function bytesOfBlobs(root: string): number {
  const blobs = join(root, "docker/registry/v2/blobs");
  return readdirSync(blobs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

test(
  "usage beside a running server: exact to the byte, before and after a deletion",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    const http = new PushClient(server.url);
    await http.push("team/app", "v1", app);
    await http.push("team/worker", "v1", worker);
    await http.push("scratch", "latest", scratch);

    const report = async (): Promise<Report> => {
      const { stdout, exitCode } = await sandbox.command("usage", "--json");
      expect(exitCode).toBe(0);
      return JSON.parse(stdout) as Report;
    };
    const before = await report();
    expect(before.summary.storedBytes).toBe(bytesOfBlobs(sandbox.root));
    const rows = new Map(before.repositories.rows.map((row) => [row.repository, row]));
    expect([...rows.keys()].toSorted()).toEqual(["scratch", "team/app", "team/worker"]);
    expect(rows.get("team/app")?.sharedBytes).toBe(base.bytes.length);
    expect(rows.get("scratch")?.sharedBytes).toBe(0);

    const preview = await sandbox.command("usage", "--json", "--delete-preview", "team/app:v1");
    const told = preview.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { kind: string; bytes: number; blobs: number });
    const foretold = told.at(-1);
    expect(foretold).toMatchObject({ kind: "summary", blobs: 3, atLeast: false });
    expect(foretold?.bytes).toBe(rows.get("team/app")?.exclusiveBytes ?? 0);

    await http.deleteManifest("team/app", app.manifest.digest);
    expect((await sandbox.command("garbage-collect")).exitCode).toBe(0);
    const after = await report();
    expect(after.summary.storedBytes).toBe(bytesOfBlobs(sandbox.root));
    expect(before.summary.storedBytes - after.summary.storedBytes).toBe(foretold?.bytes ?? 0);
    await server.stop();

    // Alone, with the same figures.
    expect((await report()).summary.storedBytes).toBe(after.summary.storedBytes);
    expect(await sandbox.command("verify")).toMatchObject({ exitCode: 0 });
  }),
);

test(
  "says in words who uses the disk, and refuses what makes no sense",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    const http = new PushClient(server.url);
    await http.push("team/app", "v1", app);
    await http.push("team/worker", "v1", worker);

    const lines = async (...args: string[]): Promise<string> => {
      const { stdout, exitCode } = await sandbox.command("usage", ...args);
      expect(exitCode).toBe(0);
      return stdout;
    };
    expect(await lines()).toMatch(/^stored +[\d.]+ kB {2}7 blobs, 2 manifests, 2 repositories\n/);
    expect(await lines("--by", "tag", "--top", "1")).toContain("  team/worker:v1\n");
    expect(await lines("--by", "blob")).toMatch(
      new RegExp(`${base.digest}\\n +in team/app, team/worker\\n`),
    );
    expect(await lines("--by", "age")).toContain("less than a day ago");
    expect(await lines("--repository", "team/app")).toMatch(/shared +[\d.]+ kB {2}with\n.*worker/);

    const refused = await sandbox.command("usage", "--by", "weight");
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain('--by: "weight" is none of repository, tag, blob, age');
    const unknown = await sandbox.command("usage", "--repository", "nobody/**");
    expect(unknown).toMatchObject({ exitCode: 1 });
    expect(unknown.stderr).toContain("no repository with an image matches nobody/**");
    const gone = await sandbox.command("usage", "--delete-preview", "team/app:v9");
    expect(gone).toMatchObject({ exitCode: 1 });
    expect(gone.stdout).toContain("there is no team/app:v9");
    await server.stop();
  }),
);
