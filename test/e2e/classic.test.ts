// Living with the classic registry (Debian's docker-registry): taking its tree over, finding what it
// wrote while ours was stopped, and going back to it, all on one root. Real programs on both sides.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestsOf, makeImage, makeIndex, makeLayer } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import type { RunningRegistry } from "../support/registry-process.ts";
import { classicCommand, run } from "../support/registry-process.ts";
import { describeWith } from "./clients.ts";
import type { Sandbox } from "./sandbox.ts";
import { filesBelow, storedDigests, withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const first = makeImage("classic/first", [8192, 1024]);
const second = makeImage("classic/second", [8192, 1024]);
const third = makeImage("classic/third", [8192, 1024]);
const index = makeIndex("classic/index", {
  amd64: [makeLayer("classic/amd64", 4096)],
  arm64: [makeLayer("classic/arm64", 4096)],
});

function startClassic(sandbox: Sandbox): Promise<RunningRegistry> {
  return sandbox.start({ command: classicCommand });
}

/** Runs one registry, does something with it, and stops it cleanly. */
async function serving(
  starting: Promise<RunningRegistry>,
  body: (http: PushClient) => Promise<void>,
): Promise<void> {
  const server = await starting;
  await body(new PushClient(server.url));
  await server.stop();
}

async function pushIndex(http: PushClient, repository: string, tag: string): Promise<void> {
  for (const image of index.images) {
    await http.push(repository, image.manifest.digest, image);
  }
  await http.putManifest(repository, tag, index.manifest);
}

async function expectTag(
  http: PushClient,
  reference: `${string}:${string}`,
  digest: string,
): Promise<void> {
  const [repository = "", tag = ""] = reference.split(":");
  expect((await http.pull(repository, tag)).digest).toBe(digest);
}

async function expectIndex(http: PushClient, repository: string, tag: string): Promise<void> {
  await expectTag(http, `${repository}:${tag}`, index.manifest.digest);
  for (const image of index.images) {
    const pulled = await http.pull(repository, image.manifest.digest);
    expect([pulled.digest, ...pulled.blobs.keys()]).toEqual(digestsOf(image));
  }
}

describeWith(["docker-registry"], "taking over from the classic registry", () => {
  test(
    "serves what it held, by tag and digest, with the same lists",
    withSandbox(async (sandbox) => {
      await serving(startClassic(sandbox), async (http) => {
        await http.push("one", "latest", first);
        await http.push("deep/er/name", "v1", second);
        await http.push("deep/er/name", "v2", first);
        await pushIndex(http, "multi", "all");
      });
      await serving(sandbox.start(), async (http) => {
        await expectTag(http, "one:latest", first.manifest.digest);
        await expectTag(http, "deep/er/name:v1", second.manifest.digest);
        await expectTag(http, "deep/er/name:v2", first.manifest.digest);
        await expectIndex(http, "multi", "all");
        expect(await http.repositories()).toEqual(["deep/er/name", "multi", "one"]);
        expect(await http.tags("deep/er/name")).toEqual(["v1", "v2"]);
      });
      expect(await sandbox.command("verify")).toMatchObject({ exitCode: 0 });
    }),
  );

  test(
    "collects with -m what it left untagged, and nothing that is tagged",
    withSandbox(async (sandbox) => {
      await serving(startClassic(sandbox), async (http) => {
        await http.push("one", "latest", first);
        // Moved: the first image is untagged now.
        await http.push("one", "latest", second);
        await pushIndex(http, "multi", "all");
      });
      const result = await sandbox.command("garbage-collect", "-m", "--grace", "0s");
      expect(result.exitCode, result.stderr).toBe(0);
      const needed = [...digestsOf(second), index.manifest.digest];
      const children = index.images.flatMap(digestsOf);
      expect(await storedDigests(sandbox)).toEqual([...needed, ...children].sort());
    }),
  );
});

describeWith(["docker-registry"], "going back to the classic registry", () => {
  test(
    "it serves every tag after a clean stop, and collects nothing that is tagged",
    withSandbox(async (sandbox) => {
      await serving(sandbox.start(), async (http) => {
        await http.push("one", "latest", first);
        await http.push("two/three", "v1", second);
        await http.push("two/three", "gone", third);
        await http.deleteManifest("two/three", third.manifest.digest);
        await http.push("two/three", "moved", third);
        await http.push("two/three", "moved", first);
        await pushIndex(http, "multi", "all");
      });
      const check = async (http: PushClient): Promise<void> => {
        await expectTag(http, "one:latest", first.manifest.digest);
        await expectTag(http, "two/three:v1", second.manifest.digest);
        await expectTag(http, "two/three:moved", first.manifest.digest);
        await expectIndex(http, "multi", "all");
        expect((await http.tags("two/three")).toSorted()).toEqual(["moved", "v1"]);
      };
      await serving(startClassic(sandbox), check);
      // Its -m would take the children of an index: a fault of 2.x, so only the plain command.
      const collected = await run([...classicCommand, "garbage-collect", sandbox.configPath]);
      expect(collected.exitCode, collected.stderr).toBe(0);
      await serving(startClassic(sandbox), check);
      await serving(sandbox.start(), check);
    }),
  );

  test(
    "its -m runs through a repository that has lost its last tag, then through an empty one",
    withSandbox(async (sandbox) => {
      const collect = async (): Promise<void> => {
        const argv = [...classicCommand, "garbage-collect", "-m", sandbox.configPath];
        const collected = await run(argv);
        expect(collected.exitCode, collected.stdout + collected.stderr).toBe(0);
      };
      await serving(sandbox.start(), async (http) => {
        await http.push("one", "latest", first);
        await http.push("two/three", "gone", second);
      });
      await serving(sandbox.start(), (http) => http.deleteManifest("two/three", "gone"));
      expect(await filesBelow(sandbox.tree)).toContain(
        `repositories/two/three/_manifests/revisions/sha256/${second.manifest.digest.slice(7)}/link`,
      );
      await collect();
      await serving(sandbox.start(), (http) =>
        expectTag(http, "one:latest", first.manifest.digest),
      );
      expect(await sandbox.command("garbage-collect")).toMatchObject({ exitCode: 0 });
      expect(existsSync(join(sandbox.tree, "repositories/two"))).toBe(false);
      await collect();
    }),
  );

  test(
    "it pushes to and deletes from what ours made",
    withSandbox(async (sandbox) => {
      await serving(sandbox.start(), (http) => http.push("one", "latest", first));
      await serving(startClassic(sandbox), async (http) => {
        await http.deleteManifest("one", first.manifest.digest);
        await http.push("one", "latest", first);
        await expectTag(http, "one:latest", first.manifest.digest);
      });
    }),
  );
});

describeWith(["docker-registry"], "foreign writes while ours was stopped", () => {
  test(
    "pushes, moved tags and deletions are found after the restart",
    withSandbox(async (sandbox) => {
      await serving(sandbox.start(), async (http) => {
        await http.push("one", "moved", first);
        await http.push("one", "kept", first);
        await http.push("one", "deleted", third);
      });
      expect(existsSync(join(sandbox.root, "plimsoll"))).toBe(true);
      await serving(startClassic(sandbox), async (http) => {
        await http.push("one", "moved", second);
        await http.push("new/repository", "v1", second);
        await http.deleteManifest("one", third.manifest.digest);
      });
      const server = await sandbox.start();
      const http = new PushClient(server.url);
      // At once: a miss in the index looks at the tree while the comparison goes on.
      await expectTag(http, "new/repository:v1", second.manifest.digest);
      // A collection waits for the comparison, so after it everything has been found.
      const result = await sandbox.command("garbage-collect");
      expect(result.exitCode, result.stderr).toBe(0);
      await expectTag(http, "one:moved", second.manifest.digest);
      await expectTag(http, "one:kept", first.manifest.digest);
      expect(await http.tags("one")).toEqual(["kept", "moved"]);
      expect(await http.repositories()).toEqual(["new/repository", "one"]);
      expect(await http.statusOf("/v2/one/manifests/deleted")).toBe(404);
      expect(await sandbox.command("verify")).toMatchObject({ exitCode: 0 });
    }),
  );

  test(
    "what its own collector removed is not promised any more, and can be pushed again",
    withSandbox(async (sandbox) => {
      await serving(sandbox.start(), async (http) => {
        await http.push("one", "kept", first);
        await http.push("one", "collected", second);
      });
      await serving(startClassic(sandbox), (http) =>
        http.deleteManifest("one", second.manifest.digest),
      );
      await run([...classicCommand, "garbage-collect", sandbox.configPath]);
      await serving(sandbox.start(), async (http) => {
        await expectTag(http, "one:kept", first.manifest.digest);
        await http.push("one", "collected", second);
        await expectTag(http, "one:collected", second.manifest.digest);
      });
    }),
  );

  test(
    "an index thrown away is built again from the tree",
    withSandbox(async (sandbox) => {
      await serving(sandbox.start(), (http) => http.push("one", "latest", first));
      await rm(join(sandbox.root, "plimsoll"), { recursive: true, force: true });
      await serving(sandbox.start(), (http) =>
        expectTag(http, "one:latest", first.manifest.digest),
      );
      expect(await sandbox.command("verify")).toMatchObject({ exitCode: 0 });
    }),
  );
});
