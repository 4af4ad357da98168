import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, utimesSync } from "node:fs";
import { dirname } from "node:path";

import { type Digest, digestOf, parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import type { TreeProblem } from "../../src/registry/ports/index.ts";
import {
  blobDataPath,
  blobsRoot,
  layerLinkPath,
  repositoriesRoot,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagDirectory,
  uploadDirectory,
} from "../../src/storage/layout.ts";
import { Takeover } from "./takeover.ts";
import { Tree, type TestImage } from "./tree.ts";

const name = parseRepositoryName("team/app");
const bentTag = parseTag("bent");
let tree: Tree;
let ok: TestImage;
let bent: TestImage;
let takeover: Takeover;

beforeEach(async () => {
  tree = new Tree();
  ok = tree.image(name, "ok");
  bent = tree.image(name, "bent");
  takeover = await Takeover.of(tree);
});
afterEach(async () => {
  await takeover.close();
});

interface Expected {
  readonly kind: TreeProblem["kind"];
  /** A part of the path. */
  readonly path: string;
  /** What a collection must not take, besides the image "ok". */
  readonly kept?: readonly Digest[];
  /** What it does take. */
  readonly gone?: readonly Digest[];
}

/** Takes over without an abort, names the oddity, and keeps what must be kept. */
async function expectTakenOver({ kind, path, kept = [], gone }: Expected): Promise<void> {
  const report = await takeover.run("first-build");
  expect(await takeover.index.isComplete()).toBe(true);
  expect(await takeover.has(kind, path)).toBe(true);
  expect(report.problems.counts.get(kind)).toBeGreaterThan(0);
  expect(await takeover.find(name, "ok")).toBe(ok.digest);
  // What the first build took in, a comparison does not find to differ.
  expect((await takeover.run("compare")).found).toEqual(new Map());
  const collected = await takeover.collect();
  for (const digest of [ok.digest, ok.config, ok.layer, ...kept]) {
    expect(collected).not.toContain(digest);
  }
  if (gone !== undefined) expect([...collected].sort()).toEqual([...gone].sort());
}

function bentParts(): Digest[] {
  return [bent.digest, bent.config, bent.layer];
}

describe("links", () => {
  test("a zero-byte layer link stands for its directory's name", async () => {
    tree.put(layerLinkPath(name, bent.layer), "");
    await expectTakenOver({ kind: "bad-link", path: bent.layer.slice(7), kept: bentParts() });
    expect(await takeover.index.findBlob(name, bent.layer)).not.toBeNull();
  });

  test("a newline after the digest is nothing to speak of", async () => {
    tree.put(layerLinkPath(name, bent.layer), `${bent.layer}\n`);
    tree.put(tagCurrentLinkPath(name, bentTag), `${bent.digest}\n`);
    const { problems } = await takeover.run("first-build");
    expect(problems.counts).toEqual(new Map());
    expect(await takeover.find(name, "bent")).toBe(bent.digest);
  });

  test("a zero-byte revision link: the manifest is taken in by its directory's name", async () => {
    tree.put(revisionLinkPath(name, bent.digest), "");
    await expectTakenOver({ kind: "bad-link", path: bent.digest.slice(7), kept: bentParts() });
    expect(await takeover.find(name, "bent")).toBe(bent.digest);
  });

  test("a garbage revision link likewise", async () => {
    tree.put(revisionLinkPath(name, bent.digest), "not a digest\n");
    await expectTakenOver({ kind: "bad-link", path: bent.digest.slice(7), kept: bentParts() });
  });

  test("a revision link that names another manifest keeps all of the repository", async () => {
    const other = tree.blob(JSON.stringify({ schemaVersion: 2, layers: [] }));
    const spare = tree.layer(name, "named by the other one, for all we know");
    tree.put(revisionLinkPath(name, bent.digest), other);
    await expectTakenOver({ kind: "bad-link", path: bent.digest.slice(7), kept: [spare] });
  });

  test("a link file that cannot be read stands for its directory's name", async () => {
    const path = tree.root + layerLinkPath(name, bent.layer);
    tree.delete(layerLinkPath(name, bent.layer));
    symlinkSync("link", path);
    await takeover.run("first-build");
    expect(await takeover.has("bad-link")).toBe(true);
    expect(await takeover.index.findBlob(name, bent.layer)).not.toBeNull();
  });

  test("a deleted revision stays deleted, though its directory is there", async () => {
    tree.delete(revisionLinkPath(name, bent.digest));
    await takeover.run("first-build");
    expect(await takeover.find(name, bent.digest)).toBeNull();
  });

  test("a link to nothing is reported", async () => {
    const digest = digestOf(Buffer.from("nowhere"));
    tree.put(layerLinkPath(name, digest), digest);
    await expectTakenOver({ kind: "dangling-link", path: digest.slice(7) });
  });

  test("another algorithm", async () => {
    tree.put(`${repositoriesRoot}/${name}/_layers/sha384/abc/link`, "sha384:abc");
    tree.put(`${blobsRoot}/sha384/ab/abc/data`, "x");
    await expectTakenOver({ kind: "unknown-algorithm", path: "_layers/sha384" });
    expect(await takeover.has("unknown-algorithm", `${blobsRoot}/sha384`)).toBe(true);
  });

  test("a manifest by an unknown algorithm stops the collection of blobs", async () => {
    const spare = tree.layer(name, "perhaps named by it");
    tree.put(`${repositoriesRoot}/${name}/_manifests/revisions/sha384/abc/link`, "sha384:abc");
    await expectTakenOver({ kind: "unlistable-directory", path: "sha384", kept: [spare] });
  });

  test("a stray directory that stands for a manifest stops it, too; any other does not", async () => {
    const revisions = `${repositoriesRoot}/${name}/_manifests/revisions/sha256`;
    tree.put(`${revisions}/backup/link`, ok.digest);
    const spare = tree.layer(name, "spare");
    await expectTakenOver({ kind: "unknown-name", path: "backup", gone: [spare] });
    const lost = tree.blob(JSON.stringify({ layers: [{ digest: spare }] }));
    tree.put(`${revisions}/backup/link`, lost);
    await takeover.run("compare");
    expect(await takeover.index.hasUnlistable()).toBe(true);
  });

  test("a leftover temporary file", async () => {
    tree.put(`${revisionLinkPath(name, ok.digest)}.4b1f.tmp`, "sha256:");
    const fresh = `${tagCurrentLinkPath(name, bentTag)}.4b1f.tmp`;
    tree.put(fresh, "");
    utimesSync(tree.root + fresh, 2 ** 32, 2 ** 32); // however long the first build takes
    await expectTakenOver({ kind: "leftover-file", path: "revisions" });
    const paths = (await takeover.problems()).map(({ path }) => path);
    expect(paths.some((path) => path.includes("tags/bent/current"))).toBe(false);
    await takeover.run("first-build");
    const all = (await takeover.problems()).map(({ path }) => path);
    expect(all.some((path) => path.includes("tags/bent/current"))).toBe(true);
  });
});

describe("tags", () => {
  test.each(["", "garbage"])("an unreadable one (%p) stops removal by policy", async (text) => {
    const untagged = tree.image(name, "untagged", null);
    tree.put(tagCurrentLinkPath(name, bentTag), text);
    const kept = [...bentParts(), untagged.digest, untagged.layer];
    await expectTakenOver({ kind: "unreadable-tag", path: "tags/bent", kept, gone: [] });
  });

  test("one that cannot be read at all, likewise", async () => {
    tree.delete(tagCurrentLinkPath(name, bentTag));
    symlinkSync("link", tree.root + tagCurrentLinkPath(name, bentTag));
    await takeover.run("first-build");
    expect(await takeover.has("unreadable-tag", "bent")).toBe(true);
    expect(await takeover.collect()).toEqual(new Set());
  });

  test("one that names nothing", async () => {
    const nowhere = digestOf(Buffer.from("nowhere"));
    tree.put(tagCurrentLinkPath(name, parseTag("lost")), nowhere);
    await expectTakenOver({ kind: "dangling-tag", path: "tags/lost", gone: [] });
  });

  test("one without a current link", async () => {
    tree.delete(`${tagDirectory(name, bentTag)}/current`);
    await expectTakenOver({ kind: "dangling-tag", path: "tags/bent", gone: bentParts() });
  });

  test("a name that is no tag keeps the manifests of the repository", async () => {
    const untagged = tree.image(name, "untagged", null);
    tree.put(`${repositoriesRoot}/${name}/_manifests/tags/-x y/current/link`, untagged.digest);
    await expectTakenOver({ kind: "unreadable-tag", path: "tags/-x y", gone: [] });
  });
});

describe("manifests", () => {
  test("one whose blob is gone holds nothing", async () => {
    tree.delete(blobDataPath(bent.digest));
    await expectTakenOver({
      kind: "dangling-revision",
      path: bent.digest.slice(7),
      gone: [bent.config, bent.layer],
    });
    expect(await takeover.find(name, "bent")).toBeNull();
  });

  test("its bytes come back: it names what it did, and is served", async () => {
    const bytes = await Bun.file(tree.root + blobDataPath(bent.digest)).bytes();
    tree.delete(blobDataPath(bent.digest));
    await takeover.run("first-build");
    tree.put(blobDataPath(bent.digest), bytes);
    await takeover.run("compare");
    expect(await takeover.find(name, "bent")).toBe(bent.digest);
    expect(await takeover.collect()).toEqual(new Set());
  });

  test.each([
    ["no JSON", "not json"],
    ["nothing", ""],
    ["bytes of another digest", '{"schemaVersion":2}'],
  ])("an unreadable one (%s) keeps everything in its repository", async (_, content) => {
    const spare = tree.layer(name, "perhaps named by it");
    const untagged = tree.image(name, "untagged", null);
    tree.put(blobDataPath(bent.digest), content);
    const kept = [...bentParts().slice(1), spare, untagged.digest, untagged.layer];
    await expectTakenOver({ kind: "unreadable-manifest", path: bent.digest.slice(7), kept });
    expect(await takeover.find(name, "bent")).toBeNull();
  });

  test("one that is no JSON though its digest is right", async () => {
    const digest = tree.blob("plain text");
    tree.put(revisionLinkPath(name, digest), digest);
    const spare = tree.layer(name, "perhaps named by it");
    await expectTakenOver({ kind: "unreadable-manifest", path: digest.slice(7), kept: [spare] });
  });

  test("one that is larger than any manifest", async () => {
    const digest = tree.blob(Buffer.alloc(5 * 1024 * 1024, "x"));
    tree.put(revisionLinkPath(name, digest), digest);
    await expectTakenOver({ kind: "unreadable-manifest", path: digest.slice(7), kept: [digest] });
  });

  test("schema 1 and unknown media types are kept with what they name", async () => {
    const layer = tree.layer(name, "of an old image");
    const part = tree.layer(name, "of a strange thing");
    const schema1 = tree.manifest(name, {
      schemaVersion: 1,
      fsLayers: [{ blobSum: layer }],
      signatures: [{ signature: "x" }],
    });
    tree.tag(name, "old", schema1);
    const strange = tree.manifest(name, {
      mediaType: "application/vnd.example.thing",
      parts: [{ inner: { Digest: part } }],
    });
    tree.tag(name, "strange", strange);
    await takeover.run("first-build");
    expect(await takeover.problems()).toEqual([]);
    expect(await takeover.index.findManifest(name, schema1)).toMatchObject({
      mediaType: "application/vnd.docker.distribution.manifest.v1+prettyjws",
    });
    expect(await takeover.index.findManifest(name, strange)).toMatchObject({
      mediaType: "application/vnd.example.thing",
    });
    expect(await takeover.collect()).toEqual(new Set());
  });
});

describe("directories", () => {
  test("without _layers", async () => {
    tree.delete(`${repositoriesRoot}/${name}/_layers`);
    await expectTakenOver({ kind: "missing-directory", path: "_layers", kept: bentParts() });
  });

  test("without tags", async () => {
    tree.delete(`${repositoriesRoot}/${name}/_manifests/tags`);
    await takeover.run("first-build");
    expect(await takeover.has("missing-directory", name)).toBe(true);
    expect(await takeover.find(name, ok.digest)).toBe(ok.digest);
  });

  test("blob directories without data, with a directory for data, and strays", async () => {
    const hex = (digit: string): string => digit.repeat(64);
    mkdirSync(`${tree.root}${blobsRoot}/sha256/aa/${hex("a")}`, { recursive: true });
    mkdirSync(`${tree.root}${blobsRoot}/sha256/bb/${hex("b")}/data`, { recursive: true });
    tree.put(`${blobsRoot}/sha256/cc/${hex("c")}/data.1234.tmp`, "half");
    tree.put(`${blobsRoot}/sha256/ff/README`, "no blob");
    tree.put(`${blobsRoot}/sha256/dd/${hex("e")}/data`, "in the wrong place");
    await expectTakenOver({ kind: "missing-data", path: hex("a") });
    await takeover.run("first-build");
    for (const [kind, path] of [
      ["missing-data", `${hex("b")}/data`],
      ["leftover-file", "data.1234.tmp"],
      ["unknown-name", "ff/README"],
      ["unknown-name", `dd/${hex("e")}`],
    ] as const) {
      expect(await takeover.has(kind, path)).toBe(true);
    }
  });

  test("an empty file for a blob that is not empty counts as absent", async () => {
    tree.put(blobDataPath(bent.layer), "");
    await expectTakenOver({ kind: "missing-data", path: bent.layer.slice(7) });
    expect(await takeover.index.findBlob(name, bent.layer)).toBeNull();
  });

  test("the blob of no bytes is one", async () => {
    const empty = tree.layer(name, "");
    await takeover.run("first-build");
    expect(await takeover.index.findBlob(name, empty)).toMatchObject({ sizeBytes: 0 });
    expect(await takeover.problems()).toEqual([]);
  });

  test("repositories without blobs, and blobs without repositories, are half a tree", async () => {
    tree.delete(blobsRoot);
    await takeover.run("first-build");
    expect(await takeover.index.hasUnlistable()).toBe(true);
    tree.blob("x");
    tree.delete(repositoriesRoot);
    await takeover.run("first-build");
    expect(await takeover.index.hasUnlistable()).toBe(true);
    expect(await takeover.collect()).toEqual(new Set());
  });

  test("an empty root is no half", async () => {
    tree.delete("/docker");
    expect(await takeover.run("first-build")).toMatchObject({ blobs: 0, repositories: 0 });
    expect(await takeover.problems()).toEqual([]);
  });

  test("files and unknown directories beside those of a repository", async () => {
    tree.put(`${repositoriesRoot}/${name}/.DS_Store`, "");
    tree.put(`${repositoriesRoot}/${name}/_notes/x`, "");
    await expectTakenOver({ kind: "unknown-name", path: ".DS_Store", kept: bentParts() });
  });

  test("nested repositories", async () => {
    const inner = tree.image("team/app/inner", "a");
    const outer = tree.image("team", "b");
    expect(await takeover.run("first-build")).toMatchObject({ repositories: 3, manifests: 4 });
    expect(await takeover.find("team/app/inner", "a")).toBe(inner.digest);
    expect(await takeover.find("team", "b")).toBe(outer.digest);
  });
});

describe("names", () => {
  test("a repository without a valid name is kept with all that it names", async () => {
    const odd = tree.image("odd", "a");
    const untagged = tree.image("odd", "b", null);
    execFileSync("mv", [
      `${tree.root}${repositoriesRoot}/odd`,
      `${tree.root}${repositoriesRoot}/Odd!`,
    ]);
    const kept = [odd.digest, odd.layer, untagged.digest, untagged.layer];
    await expectTakenOver({ kind: "unknown-name", path: "Odd!", kept, gone: [] });
  });

  test("a directory whose name is not UTF-8 stops the collection of blobs", async () => {
    const path = Buffer.from(`${tree.root}${repositoriesRoot}/`);
    mkdirSync(Buffer.concat([path, Buffer.from([0xff, 0x41])]));
    await expectTakenOver({ kind: "unlistable-directory", path: String.raw`\xffA`, gone: [] });
  });

  test("names below links, tags and uploads that are not UTF-8, or hold a newline", async () => {
    for (const directory of ["_layers/sha256", "_manifests/revisions/sha256", "_uploads"]) {
      const path = `${tree.root}${repositoriesRoot}/${name}/${directory}/`;
      mkdirSync(path, { recursive: true });
      mkdirSync(Buffer.concat([Buffer.from(path), Buffer.from([0xfe])]));
      mkdirSync(`${path}two\nlines`);
    }
    await takeover.run("first-build");
    const unknown = (await takeover.problems()).filter(({ kind }) => kind === "unknown-name");
    expect(unknown.length).toBe(6);
    expect((await takeover.verify()).problems["unknown-name"]).toBeGreaterThanOrEqual(3);
    expect(unknown.every(({ path }) => /^[\u0020-\u007e]+$/.test(path))).toBe(true);
    expect(await takeover.collect()).toEqual(new Set());
  });
});

describe("uploads", () => {
  test("are taken in with their start, or else their last write", async () => {
    const startedAt = "2026-01-02T03:04:05.123456789Z";
    tree.put(`${uploadDirectory(name, "one")}/startedat`, startedAt);
    tree.put(`${uploadDirectory(name, "one")}/data`, "x");
    tree.put(`${uploadDirectory(name, "two")}/data`, "x");
    await expectTakenOver({ kind: "abandoned-upload", path: "_uploads/two" });
    expect(await takeover.index.findUpload(name, "one")).toMatchObject({
      startedAtMs: Date.parse("2026-01-02T03:04:05.123Z"),
    });
    const { startedAtMs = 0 } = (await takeover.index.findUpload(name, "two")) ?? {};
    expect(Math.abs(startedAtMs - Date.now())).toBeLessThan(60_000);
  });
});

describe("symbolic links", () => {
  test("loops end, and each real directory is read once, under its real name", async () => {
    symlinkSync("..", `${tree.root}${repositoriesRoot}/${name}/loop`);
    symlinkSync("team", `${tree.root}${repositoriesRoot}/a-team`);
    expect(await takeover.run("first-build")).toMatchObject({ repositories: 1, manifests: 2 });
    expect(await takeover.find(name, "ok")).toBe(ok.digest);
    expect(await takeover.has("unknown-name", `${repositoriesRoot}/a-team`)).toBe(true);
  });

  test("are read as the directories that they point to", async () => {
    execFileSync("mv", [`${tree.root}${repositoriesRoot}/team`, `${tree.root}/elsewhere`]);
    symlinkSync(`${tree.root}/elsewhere`, `${tree.root}${repositoriesRoot}/team`);
    execFileSync("mv", [`${tree.root}${blobsRoot}`, `${tree.root}/bytes`]);
    symlinkSync(`${tree.root}/bytes`, `${tree.root}${blobsRoot}`);
    await takeover.run("first-build");
    expect(await takeover.problems()).toEqual([]);
    expect(await takeover.find(name, "bent")).toBe(bent.digest);
    expect(await takeover.index.findBlob(name, bent.layer)).not.toBeNull();
  });

  test.each(["/nowhere/at/all", "self"])("one to %s cannot be listed", async (target) => {
    const spare = tree.blob("perhaps of the repository behind it");
    symlinkSync(target, `${tree.root}${repositoriesRoot}/self`);
    const kind = "unlistable-directory";
    await expectTakenOver({ kind, path: "/self", kept: [spare], gone: [] });
  });

  test("a shard of blobs that cannot be listed: nothing counts as gone", async () => {
    await takeover.run("first-build");
    const shard = dirname(dirname(blobDataPath(bent.layer)));
    tree.delete(shard);
    symlinkSync("/nowhere/at/all", tree.root + shard);
    const report = await takeover.run("compare");
    expect(report.found).toEqual(new Map());
    expect(await takeover.index.hasUnlistable()).toBe(true);
    expect(await takeover.collect()).toEqual(new Set());
  });

  test("a part of a repository that cannot be listed: nothing of it counts as gone", async () => {
    await takeover.run("first-build");
    const tags = `${repositoriesRoot}/${name}/_manifests/tags`;
    tree.delete(tags);
    symlinkSync("tags", tree.root + tags);
    expect((await takeover.run("compare")).found).toEqual(new Map());
    expect(await takeover.find(name, "ok")).toBe(ok.digest);
  });

  test("a parent of repositories that cannot be listed: none of them counts as gone", async () => {
    await takeover.run("first-build");
    tree.delete(`${repositoriesRoot}/team`);
    symlinkSync("team", `${tree.root}${repositoriesRoot}/team`);
    expect((await takeover.run("compare")).found).toEqual(new Map());
    expect(await takeover.find(name, "ok")).toBe(ok.digest);
  });
});
