// Pushes that are refused, and deletions, while tree and index are still being compared: what another
// program has written, and the index has not seen yet, loses nothing by them (INV-4, INV-8).
import { afterEach, beforeEach, expect, test } from "bun:test";

import {
  DeniedError,
  type Digest,
  parseGlobs,
  parseRepositoryName,
  parseTag,
} from "../../src/oci/index.ts";
import { Bounds } from "../../src/registry/bounds.ts";
import { createRegistry, type RegistryServices } from "../../src/registry/create-registry.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import { blobDataPath } from "../../src/storage/layout.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { TreeLook } from "../../src/takeover/look.ts";
import { Takeover } from "./takeover.ts";
import { Tree, type TestImage } from "./tree.ts";

const name = parseRepositoryName("team/app");
const clock = { now: () => Date.now() };
const deleter = { caller: "someone", from: "here", reason: "test" };
const indexType = "application/vnd.oci.image.index.v1+json";
let tree: Tree;
let foreign: TestImage;
let takeover: Takeover;
let registry: RegistryServices;

function indexOf(child: Digest, note: string): unknown {
  const descriptor = {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: child,
    size: 1,
  };
  return { schemaVersion: 2, mediaType: indexType, manifests: [descriptor], annotations: { note } };
}

beforeEach(async () => {
  tree = new Tree();
  tree.image(name, "v1");
  takeover = await Takeover.of(tree);
  await takeover.run("first-build");
  foreign = tree.image(name, "v2");
  const storage = new FilesystemStorage(tree.root);
  const look = new TreeLook({ index: takeover.index, storage, clock });
  const repositories = parseGlobs(["**"]);
  registry = createRegistry({
    index: takeover.index,
    storage,
    locks: new KeyedLocks(),
    clock,
    reports: { error: () => undefined, info: () => undefined },
    followTree: () => undefined,
    treeLookup: () => look,
    bounds: new Bounds({
      immutable: [{ name: "releases", repositories, tags: parseGlobs(["v1"]) }],
      quotas: [{ name: "one", repositories, limits: { manifests: 1 }, contact: null }],
    }),
    options: {
      graceMs: 60_000,
      readOnly: false,
      validation: { urlsAllow: null, urlsDeny: [], indexChildren: "all" },
    },
  });
});
afterEach(async () => {
  await takeover.close();
});

for (const [bound, tag] of [
  ["an immutable tag", "v1"],
  ["a quota", "v3"],
] as const) {
  test(`refused by ${bound}: the bytes of a manifest that another program pushed stay`, async () => {
    const file = Bun.file(tree.root + blobDataPath(foreign.digest));
    const bytes = await file.bytes();
    const push = registry.manifests.put({
      repository: name,
      reference: parseTag(tag),
      tags: [],
      contentType: "application/vnd.oci.image.manifest.v1+json",
      bytes,
      algorithm: "sha256",
      caller: "someone",
    });
    expect(await push.catch((error: unknown) => error)).toBeInstanceOf(DeniedError);
    expect(await file.exists()).toBe(true);
    await takeover.run("compare");
    expect(await takeover.find(name, "v2")).toBe(foreign.digest);
    expect(await takeover.problems()).toEqual([]);
  });
}

test("refused: the bytes that the push itself brought go", async () => {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: {
        mediaType: "application/vnd.example.config",
        digest: foreign.config,
        size: (await Bun.file(tree.root + blobDataPath(foreign.config)).bytes()).byteLength,
      },
      layers: [],
    }),
  );
  const push = registry.manifests.put({
    repository: name,
    reference: parseTag("v1"),
    tags: [],
    contentType: "application/vnd.oci.image.manifest.v1+json",
    bytes,
    algorithm: "sha256",
    caller: "someone",
  });
  expect(await push.catch((error: unknown) => error)).toBeInstanceOf(DeniedError);
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
  expect(await Bun.file(tree.root + blobDataPath(digest as TestImage["digest"])).exists()).toBe(
    false,
  );
});

test("INV-4: an image's child stays for the sake of an index that the registry has not seen", async () => {
  const child = tree.image(name, "child", null);
  const ours = tree.manifest(name, indexOf(child.digest, "ours too"));
  await takeover.run("compare");
  const inner = tree.manifest(name, indexOf(child.digest, "theirs"));
  tree.tag(name, "theirs", tree.manifest(name, indexOf(inner, "around it")));
  const deleted = await registry.deletions.deleteImage({ repository: name, digest: ours }, deleter);
  expect(deleted).toMatchObject({ outcome: "deleted", manifests: [ours] });
  await takeover.run("compare");
  expect(await takeover.find(name, child.digest)).toBe(child.digest);
  expect(await takeover.problems()).toEqual([]);
});

test("a part of what an immutable tag names is not deleted, seen or not", async () => {
  tree.tag(name, "v1", tree.manifest(name, indexOf(foreign.digest, "theirs")));
  await registry.manifests.find(name, foreign.digest);
  const image = { repository: name, digest: foreign.digest };
  const byApi = registry.deletions.deleteImage(image, deleter);
  expect(await byApi.catch((error: unknown) => error)).toBeInstanceOf(DeniedError);
  const byClient = registry.manifests.delete(name, foreign.digest, "someone");
  expect(await byClient.catch((error: unknown) => error)).toBeInstanceOf(DeniedError);
});

test("a repository is deleted with what the registry has not seen of it", async () => {
  const other = parseRepositoryName("other");
  const tagged = tree.image(other, "a");
  const untagged = tree.image(other, "b", null);
  const { manifests } = await registry.deletions.deleteRepository(other, deleter);
  expect(manifests).toBe(2);
  // What the tree still has of them is owed to it: the next comparison does not believe it (INV-2).
  await takeover.run("compare");
  expect(await takeover.find("other", tagged.digest)).toBeNull();
  expect(await takeover.find("other", untagged.digest)).toBeNull();
});
