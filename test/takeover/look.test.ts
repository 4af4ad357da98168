import { afterEach, beforeEach, describe, expect, test } from "bun:test";

import { digestOf, parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import { blobDataPath, revisionLinkPath, tagCurrentLinkPath } from "../../src/storage/layout.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { TreeLook } from "../../src/takeover/look.ts";
import { Takeover } from "./takeover.ts";
import { Tree, type TestImage } from "./tree.ts";

const name = parseRepositoryName("team/app");
const v1 = parseTag("v1");
const v2 = parseTag("v2");
let tree: Tree;
let known: TestImage;
let foreign: TestImage;
let takeover: Takeover;
let look: TreeLook;

beforeEach(async () => {
  tree = new Tree();
  known = tree.image(name, "v1");
  takeover = await Takeover.of(tree);
  await takeover.run("first-build");
  foreign = tree.image(name, "v2");
  look = new TreeLook({
    index: takeover.index,
    storage: new FilesystemStorage(tree.root),
    clock: { now: () => Date.now() },
  });
});
afterEach(async () => {
  await takeover.close();
});

describe("a miss in the index", () => {
  test("by tag: tag, manifest and its bytes are taken in at once", async () => {
    expect(await look.manifest(name, v2)).toBe(true);
    expect(await takeover.find(name, "v2")).toBe(foreign.digest);
    expect(await takeover.index.findBlob(name, foreign.layer)).toBeNull();
    expect(await look.manifest(name, v2)).toBe(false);
  });

  test("by digest", async () => {
    expect(await look.manifest(name, foreign.digest)).toBe(true);
    expect(await takeover.find(name, foreign.digest)).toBe(foreign.digest);
    expect(await takeover.find(name, "v2")).toBeNull();
  });

  test("INV-7: a revision whose link names another manifest is left to the walk", async () => {
    const lost = tree.blob(JSON.stringify({ schemaVersion: 2, layers: [] }));
    tree.put(revisionLinkPath(name, known.digest), lost);
    await takeover.run("first-build");
    expect(await takeover.has("unreadable-manifest", known.digest.slice(7))).toBe(true);
    await look.manifest(name, v1);
    await look.manifest(name, known.digest);
    expect(await takeover.find(name, known.digest)).toBeNull();
    expect(await takeover.index.findManifest(name, known.digest)).toBeNull();
    expect(await takeover.collect()).not.toContain(known.layer);
  });

  test("a tag that was moved is found where it is now", async () => {
    tree.tag(name, "v1", foreign.digest);
    expect(await look.manifest(name, v1)).toBe(true);
    expect(await takeover.find(name, "v1")).toBe(foreign.digest);
  });

  test("a blob, by its link; a manifest's own bytes, by its revision", async () => {
    expect(await look.blob(name, foreign.layer)).toBe(true);
    expect(await takeover.index.findBlob(name, foreign.layer)).not.toBeNull();
    expect(await look.blob(name, foreign.digest)).toBe(true);
    expect(await takeover.index.findBlob(name, foreign.digest)).not.toBeNull();
  });

  test("the tags of a repository that is new", async () => {
    const other = parseRepositoryName("other");
    tree.image(other, "a");
    tree.image(other, "b");
    expect(await look.repository(other)).toBe(true);
    const tags = await takeover.index.listTags(other, { after: null, limit: 10 });
    expect(tags?.map(String)).toEqual(["a", "b"]);
    expect(await look.manifest(other, parseTag("b"))).toBe(true);
    expect(await takeover.find("other", "b")).not.toBeNull();
    expect(await look.repository(parseRepositoryName("none"))).toBe(false);
  });
});

describe("nothing is taken in", () => {
  test("of what the index knows: a second look changes no times", async () => {
    expect(await look.manifest(name, v1)).toBe(false);
    expect(await look.manifest(name, known.digest)).toBe(false);
    expect(await look.blob(name, known.layer)).toBe(false);
  });

  test("of what the tree has not, or not whole", async () => {
    const nowhere = digestOf(Buffer.from("nowhere"));
    expect(await look.manifest(name, parseTag("none"))).toBe(false);
    expect(await look.blob(name, nowhere)).toBe(false);
    tree.put(tagCurrentLinkPath(name, v2), "x".repeat(5000));
    expect(await look.manifest(name, v2)).toBe(false);
    tree.put(blobDataPath(foreign.digest), "{}");
    expect(await look.manifest(name, foreign.digest)).toBe(false);
    tree.put(blobDataPath(foreign.layer), "");
    expect(await look.blob(name, foreign.layer)).toBe(false);
    tree.delete(revisionLinkPath(name, foreign.digest));
    expect(await look.manifest(name, foreign.digest)).toBe(false);
  });

  test("INV-2: of what was deleted here and is still in the tree", async () => {
    await takeover.index.deleteManifest(name, known.digest, Date.now());
    expect(await look.manifest(name, v1)).toBe(false);
    expect(await look.manifest(name, known.digest)).toBe(false);
    expect(await takeover.find(name, "v1")).toBeNull();
  });
});
