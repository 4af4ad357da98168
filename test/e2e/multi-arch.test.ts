// Images for several platforms, pushed by real clients: their children live as long as an index that
// is kept names them, also with -m, and go with -m once none does. Nothing here sends HEAD for a
// digest: that would lease what is about to be collected.
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestsOf, makeIndex, makeLayer, writeLayout } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { createClient, describeWith } from "./clients.ts";
import type { Sandbox } from "./sandbox.ts";
import { storedDigests, withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const repository = "multi/arch";
const kibibyte = 1024;

const shared = makeLayer("multi-arch/shared", 64 * kibibyte);
const onlyFirst = makeLayer("multi-arch/first", 64 * kibibyte);
const onlySecond = makeLayer("multi-arch/second", 64 * kibibyte);
const first = makeIndex("multi-arch/1", { amd64: [shared, onlyFirst], arm64: [shared] });
const second = makeIndex("multi-arch/2", { amd64: [shared, onlySecond], arm64: [shared] });

function neededBy(index: typeof first): string[] {
  return [index.manifest.digest, ...index.images.flatMap(digestsOf)];
}

async function collect(sandbox: Sandbox, ...flags: string[]): Promise<void> {
  const result = await sandbox.command("garbage-collect", ...flags);
  expect(result.exitCode, `${result.stdout}\n${result.stderr}`).toBe(0);
}

async function expectStored(sandbox: Sandbox, digests: readonly string[]): Promise<void> {
  expect(await storedDigests(sandbox)).toEqual([...new Set(digests)].sort());
}

describeWith(["skopeo"], "an index pushed by skopeo copy --all", () => {
  test(
    "keeps its children through -m; they go with -m after it",
    withSandbox(async (sandbox) => {
      const client = await createClient("skopeo", sandbox.directory);
      const layout = join(sandbox.directory, "layout");
      await writeLayout(layout, { first, second });
      const http = new PushClient((await sandbox.start()).url);
      await client.push(`oci:${layout}:first`, `${sandbox.host}/${repository}:first`);
      await client.push(`oci:${layout}:second`, `${sandbox.host}/${repository}:second`);
      const all = [...neededBy(first), ...neededBy(second)];

      await collect(sandbox, "-m");
      await expectStored(sandbox, all);

      await http.deleteManifest(repository, second.manifest.digest);
      await collect(sandbox);
      // The children have no tag, but nobody asked for untagged manifests to go.
      await expectStored(
        sandbox,
        all.filter((digest) => digest !== second.manifest.digest),
      );

      await collect(sandbox, "-m");
      await expectStored(sandbox, neededBy(first));
      for (const image of first.images) {
        const pulled = await http.pull(repository, image.manifest.digest);
        expect([...pulled.blobs.keys()]).toEqual(digestsOf(image).slice(1));
      }

      await client.push(`oci:${layout}:second`, `${sandbox.host}/${repository}:second`);
      await expectStored(sandbox, all);
      expect((await http.getManifest(repository, "second")).digest).toBe(second.manifest.digest);
    }),
  );

  test(
    "shares a child with another index: it stays until both are deleted",
    withSandbox(async (sandbox) => {
      const client = await createClient("skopeo", sandbox.directory);
      const layout = join(sandbox.directory, "layout");
      const layers = { amd64: [shared], arm64: [onlyFirst] };
      const wide = makeIndex("multi-arch/same", layers);
      const narrow = makeIndex("multi-arch/same", { amd64: [shared] });
      await writeLayout(layout, { wide, narrow });
      const http = new PushClient((await sandbox.start()).url);
      for (const tag of ["wide", "narrow"]) {
        await client.push(`oci:${layout}:${tag}`, `${sandbox.host}/${repository}:${tag}`);
      }

      await http.deleteManifest(repository, wide.manifest.digest);
      await collect(sandbox, "-m");
      await expectStored(sandbox, neededBy(narrow));

      await http.deleteManifest(repository, narrow.manifest.digest);
      await collect(sandbox, "-m");
      await expectStored(sandbox, []);
      expect(await http.repositories()).toEqual([]);
    }),
  );
});

describeWith(["podman", "skopeo"], "a list made by podman manifest", () => {
  test(
    "is pushed with --all, pulled with --all, and collected with its children",
    withSandbox(async (sandbox) => {
      const podman = await createClient("podman", sandbox.directory);
      const skopeo = await createClient("skopeo", sandbox.directory);
      const layout = join(sandbox.directory, "layout");
      const [amd64, arm64] = first.images;
      if (amd64 === undefined || arm64 === undefined) throw new Error("the index has two images");
      await writeLayout(layout, { amd64, arm64 });
      const http = new PushClient((await sandbox.start()).url);
      const target = `docker://${sandbox.host}/${repository}:list`;
      const list = "localhost/list:1";
      for (const args of [
        ["create", list],
        ["add", "--arch", "amd64", list, `oci:${layout}:amd64`],
        ["add", "--arch", "arm64", list, `oci:${layout}:arm64`],
        ["push", "--all", "--quiet", "--tls-verify=false", list, target],
      ]) {
        const done = await podman.command("manifest", ...args);
        expect(done.exitCode, `${args.join(" ")}: ${done.stderr}`).toBe(0);
      }

      const pushed = await http.getManifest(repository, "list");
      const body = JSON.parse(new TextDecoder().decode(pushed.bytes)) as {
        manifests: { digest: string; platform: { architecture: string } }[];
      };
      const platforms = body.manifests.map((child) => [child.platform.architecture, child.digest]);
      expect(Object.fromEntries(platforms)).toEqual({
        amd64: amd64.manifest.digest,
        arm64: arm64.manifest.digest,
      });
      expect((await skopeo.pull(`${sandbox.host}/${repository}:list`)).exitCode).toBe(0);

      await collect(sandbox, "-m");
      const needed = [pushed.digest, ...digestsOf(amd64), ...digestsOf(arm64)];
      await expectStored(sandbox, needed);
      expect((await skopeo.pull(`${sandbox.host}/${repository}:list`)).exitCode).toBe(0);

      await http.deleteManifest(repository, pushed.digest);
      await collect(sandbox, "-m");
      await expectStored(sandbox, []);
    }),
  );
});
