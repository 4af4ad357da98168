// A tree that the classic registry wrote and life has bent. Ours starts on it, says what it found odd,
// serves what is intact, and its collector neither stops at anything nor takes what is reachable.
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import type { Image } from "../support/images.ts";
import { digestOf, digestsOf, makeImage } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { classicCommand } from "../support/registry-process.ts";
import { describeWith } from "./clients.ts";
import type { Sandbox } from "./sandbox.ts";
import { storedDigests, withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const reportDeadlineMs = 20_000;
const schema1Type = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/** One repository each; every one has a healthy image under "ok" and, where needed, another one. */
const repositories = [
  "odd/intact",
  "odd/zero-tag",
  "odd/garbage-revision",
  "odd/garbage-layer",
  "odd/dangling-tag",
  "odd/blob-gone",
  "odd/no-tags",
  "odd/no-layers",
  "odd/leftover",
  "odd/schema1",
  "odd/unknown-type",
] as const;
type Repository = (typeof repositories)[number];

/** Repositories in which there is something to report. */
const reported = repositories.filter((name) => name !== "odd/intact");
/** Repositories whose image "ok" must be served by its tag. */
const served = repositories.filter((name) => name !== "odd/no-tags" && name !== "odd/no-layers");

function okIn(repository: Repository): Image {
  return makeImage(`${repository}/ok`, [2048, 512]);
}

function bentIn(repository: Repository): Image {
  return makeImage(`${repository}/bent`, [2048, 512]);
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

/** Paths in the tree, by distribution's layout. */
function pathsOf(sandbox: Sandbox) {
  const of = (repository: Repository, ...rest: string[]): string =>
    join(sandbox.tree, "repositories", repository, ...rest);
  return {
    blob: (digest: string) =>
      join(sandbox.tree, "blobs/sha256", hexOf(digest).slice(0, 2), hexOf(digest), "data"),
    repository: of,
    tag: (repository: Repository, tag: string) =>
      of(repository, "_manifests/tags", tag, "current/link"),
    revision: (repository: Repository, digest: string) =>
      of(repository, "_manifests/revisions/sha256", hexOf(digest), "link"),
    layer: (repository: Repository, digest: string) =>
      of(repository, "_layers/sha256", hexOf(digest), "link"),
  };
}

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, content);
}

/** Writes a manifest that no registry would accept today straight into the tree. */
async function plant(sandbox: Sandbox, repository: Repository, body: unknown): Promise<Uint8Array> {
  const bytes = Buffer.from(JSON.stringify(body, null, 3));
  const digest = digestOf(bytes);
  const paths = pathsOf(sandbox);
  await write(paths.blob(digest), bytes);
  await write(paths.revision(repository, digest), digest);
  await write(paths.tag(repository, "bent"), digest);
  return bytes;
}

function schema1Manifest(layer: string): unknown {
  return {
    schemaVersion: 1,
    name: "odd/schema1",
    tag: "bent",
    architecture: "amd64",
    fsLayers: [{ blobSum: layer }],
    history: [{ v1Compatibility: '{"id":"a","created":"2015-01-01T00:00:00Z"}' }],
    signatures: [{ header: { alg: "ES256" }, signature: "c2ln", protected: "cHJv" }],
  };
}

function unknownManifest(part: string): unknown {
  const mediaType = "application/vnd.example.thing.v1+json";
  return { schemaVersion: 2, mediaType, parts: [{ inner: { digest: part, size: 512 } }] };
}

interface Bent {
  readonly schema1: Uint8Array;
  readonly unknown: Uint8Array;
}

async function bend(sandbox: Sandbox): Promise<Bent> {
  const paths = pathsOf(sandbox);
  const bent = (repository: Repository): Image => bentIn(repository);
  await write(paths.tag("odd/zero-tag", "bent"), "");
  const garbage = bent("odd/garbage-revision").manifest.digest;
  await write(paths.revision("odd/garbage-revision", garbage), "not a digest\n");
  const layer = bent("odd/garbage-layer").layers[0]?.digest ?? "";
  await write(paths.layer("odd/garbage-layer", layer), "sha256:tooshort");
  const nowhere = digestOf(Buffer.from("nowhere"));
  await write(paths.tag("odd/dangling-tag", "nowhere"), nowhere);
  await rm(paths.blob(bent("odd/blob-gone").manifest.digest));
  await rm(paths.repository("odd/no-tags", "_manifests/tags"), { recursive: true });
  await rm(paths.repository("odd/no-layers", "_layers"), { recursive: true });
  const leftover = `${paths.tag("odd/leftover", "ok")}.4b1f0a52-79c5-4c5a-a6ea-3e7f9bd0a1c2.tmp`;
  await write(leftover, "sha256:");
  await write(paths.repository("odd/leftover", "_uploads/no-start/data"), "half");
  await mkdir(join(sandbox.tree, "blobs/sha256/00", "0".repeat(64)), { recursive: true });
  await write(join(sandbox.tree, "blobs/sha256/ff/README"), "not a blob");
  // These layers are reachable through what was planted alone: their own image is deleted.
  const layerOf = (name: Repository): string => bent(name).layers[0]?.digest ?? "";
  return {
    schema1: await plant(sandbox, "odd/schema1", schema1Manifest(layerOf("odd/schema1"))),
    unknown: await plant(sandbox, "odd/unknown-type", unknownManifest(layerOf("odd/unknown-type"))),
  };
}

async function makeBentTree(sandbox: Sandbox): Promise<Bent> {
  const classic = await sandbox.start({ command: classicCommand });
  const http = new PushClient(classic.url);
  for (const repository of repositories) {
    await http.push(repository, "ok", okIn(repository));
    await http.push(repository, "bent", bentIn(repository));
  }
  for (const repository of ["odd/schema1", "odd/unknown-type"] as const) {
    await http.deleteManifest(repository, bentIn(repository).manifest.digest);
  }
  await classic.stop();
  return bend(sandbox);
}

async function expectServed(http: PushClient, bent: Bent): Promise<void> {
  for (const repository of served) {
    const pulled = await http.pull(repository, "ok");
    expect([pulled.digest, ...pulled.blobs.keys()]).toEqual(digestsOf(okIn(repository)));
  }
  const schema1 = await http.getManifest("odd/schema1", "bent");
  expect(schema1.mediaType).toBe(schema1Type);
  expect(Buffer.from(schema1.bytes).equals(bent.schema1)).toBe(true);
  const layer = bentIn("odd/schema1").layers[0]?.digest ?? "";
  expect((await http.getBlob("odd/schema1", layer)).length).toBeGreaterThan(2048);
  for (const [repository, tag] of [
    ["odd/zero-tag", "bent"],
    ["odd/dangling-tag", "nowhere"],
    ["odd/blob-gone", "bent"],
  ]) {
    expect(await http.statusOf(`/v2/${repository}/manifests/${tag}`)).toBe(404);
  }
}

async function expectStored(sandbox: Sandbox, digests: readonly string[]): Promise<void> {
  const stored = await storedDigests(sandbox);
  expect(digests.filter((digest) => !stored.includes(digest))).toEqual([]);
}

describeWith(["docker-registry"], "a bent tree", () => {
  test(
    "is taken over with a report, served where intact, and collected without loss",
    withSandbox(async (sandbox) => {
      const bent = await makeBentTree(sandbox);
      const server = await sandbox.start();
      const http = new PushClient(server.url);
      await expectServed(http, bent);

      const needles = [...reported, ".tmp"];
      const missing = async (): Promise<string[]> => {
        const log = await server.log();
        return needles.filter((needle) => !log.includes(needle));
      };
      const deadline = performance.now() + reportDeadlineMs;
      while ((await missing()).length > 0 && performance.now() < deadline) await Bun.sleep(100);
      expect(await missing()).toEqual([]);

      for (const flags of [[], ["-m", "--grace", "0s"]]) {
        const result = await sandbox.command("garbage-collect", ...flags);
        expect(result.exitCode, `${result.stdout}\n${result.stderr}`).toBe(0);
        await expectServed(http, bent);
      }
      const reachable = [
        ...served.flatMap((repository) => digestsOf(okIn(repository))),
        ...digestsOf(okIn("odd/no-layers")),
        ...digestsOf(bentIn("odd/garbage-layer")),
        digestOf(bent.schema1),
        bentIn("odd/schema1").layers[0]?.digest ?? "",
        digestOf(bent.unknown),
        bentIn("odd/unknown-type").layers[0]?.digest ?? "",
      ];
      await expectStored(sandbox, reachable);
      expect(await server.stop()).toBe(0);
    }),
  );

  test(
    "is collected by the command alone, before any server ran",
    withSandbox(async (sandbox) => {
      await makeBentTree(sandbox);
      const result = await sandbox.command("garbage-collect", "-m", "--grace", "0s");
      expect(result.exitCode, `${result.stdout}\n${result.stderr}`).toBe(0);
      const reachable = served.flatMap((repository) => digestsOf(okIn(repository)));
      await expectStored(sandbox, reachable);
    }),
  );

  test(
    "a directory that cannot be listed: nothing is collected, exit 1, and it says why",
    withSandbox(async (sandbox) => {
      await makeBentTree(sandbox);
      await symlink("/nowhere/at/all", join(sandbox.tree, "repositories/unmounted"));
      const before = await storedDigests(sandbox);
      const dryRun = await sandbox.command("garbage-collect", "-m", "--dry-run", "--grace", "0s");
      const result = await sandbox.command("garbage-collect", "-m", "--grace", "0s");
      for (const { exitCode, stderr } of [dryRun, result]) {
        expect(exitCode, stderr).toBe(1);
        expect(stderr).toContain("repositories/unmounted");
        expect(stderr).toContain("cannot be listed");
      }
      expect(await storedDigests(sandbox)).toEqual(before);
      const verified = await sandbox.command("verify");
      expect(verified.exitCode, verified.stderr).toBe(1);
      expect(verified.stdout).toContain("unlistable-directory");
    }),
  );

  test(
    "an empty root and a missing one are no errors",
    withSandbox(async (sandbox) => {
      const alone = await sandbox.command("garbage-collect");
      expect(alone.exitCode, `${alone.stdout}\n${alone.stderr}`).toBe(0);
      const server = await sandbox.start();
      expect(await new PushClient(server.url).repositories()).toEqual([]);
      const beside = await sandbox.command("garbage-collect", "-m");
      expect(beside.exitCode, `${beside.stdout}\n${beside.stderr}`).toBe(0);
      expect(await server.stop()).toBe(0);
    }),
  );
});
