import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";

import { parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import type { Difference } from "../../src/registry/ports/index.ts";
import {
  blobDataPath,
  layerLinkPath,
  repositoriesRoot,
  repositoryDirectory,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagDirectory,
} from "../../src/storage/layout.ts";
import { Takeover } from "./takeover.ts";
import { Tree, type TestImage } from "./tree.ts";

const name = parseRepositoryName("team/app");
const v1 = parseTag("v1");
const terms = { caller: "someone", nowMs: Date.now(), graceMs: 60_000 };
let tree: Tree;
let first: TestImage;
let second: TestImage;
let takeover: Takeover;

beforeEach(async () => {
  tree = new Tree();
  first = tree.image(name, "v1");
  second = tree.image(name, "v2");
  takeover = await Takeover.of(tree);
  await takeover.run("first-build");
});
afterEach(async () => {
  await takeover.close();
});

describe("between two comparisons", () => {
  test("nothing: nothing differs", async () => {
    const report = await takeover.run("compare");
    expect(report).toMatchObject({ taken: 0, repositories: 1, manifests: 2, blobs: 6 });
    expect(report.found).toEqual(new Map());
  });

  test("a tag was moved", async () => {
    tree.tag(name, "v1", second.digest);
    expect((await takeover.run("compare")).taken).toBe(1);
    expect(await takeover.find(name, "v1")).toBe(second.digest);
    expect(await takeover.collect()).toEqual(new Set([first.digest, first.config, first.layer]));
  });

  test("an image was added, to this repository and to a new one", async () => {
    const here = tree.image(name, "v3");
    const there = tree.image("other", "v1");
    await takeover.run("compare");
    expect(await takeover.find(name, "v3")).toBe(here.digest);
    expect(await takeover.find("other", "v1")).toBe(there.digest);
    expect(await takeover.index.findBlob(name, here.layer)).not.toBeNull();
    expect(await takeover.collect()).toEqual(new Set());
    expect((await takeover.run("compare")).found).toEqual(new Map());
  });

  test("an image was deleted as the classic registry does it", async () => {
    tree.delete(revisionLinkPath(name, first.digest));
    tree.delete(tagDirectory(name, v1));
    await takeover.run("compare");
    expect(await takeover.find(name, "v1")).toBeNull();
    expect(await takeover.find(name, "v2")).toBe(second.digest);
    expect(await takeover.collect()).toEqual(new Set([first.digest, first.config, first.layer]));
  });

  test("a repository was removed as a whole", async () => {
    tree.delete(repositoryDirectory(name));
    tree.image("other", "v1");
    await takeover.run("compare");
    expect(await takeover.find(name, "v2")).toBeNull();
    expect(await takeover.index.listTags(name, { after: null, limit: 10 })).toEqual([]);
    expect((await takeover.collect()).size).toBe(6);
  });

  test("a blob vanished, and came back", async () => {
    tree.delete(blobDataPath(first.layer));
    await takeover.run("compare");
    expect(await takeover.index.findBlob(name, first.layer)).toBeNull();
    expect(await takeover.has("dangling-link", first.layer)).toBe(true);
    tree.blob(`layer of ${name} v1`);
    await takeover.run("compare");
    expect(await takeover.index.findBlob(name, first.layer)).not.toBeNull();
    expect(await takeover.problems()).toEqual([]);
  });

  test("a blob was cut short: the index keeps what it knows, for the next push to mend", async () => {
    tree.put(blobDataPath(first.layer), "short");
    const report = await takeover.run("compare");
    expect(report.found).toEqual(new Map());
    expect(report.problems.counts).toEqual(new Map([["missing-data", 1]]));
    expect((await takeover.index.findBlob(name, first.layer))?.sizeBytes).toBeGreaterThan(5);
  });

  test("a blob that was cut short when it was taken over was mended", async () => {
    const content = `layer of ${name} v1`;
    tree.put(blobDataPath(first.layer), "short");
    await takeover.run("first-build");
    tree.put(blobDataPath(first.layer), content);
    await takeover.run("compare");
    expect(await takeover.index.findBlob(name, first.layer)).toMatchObject({
      sizeBytes: content.length,
    });
  });

  test("an unreadable manifest was mended, or removed: what it held may go", async () => {
    const spare = tree.layer(name, "spare");
    const bytes = await Bun.file(tree.root + blobDataPath(first.digest)).bytes();
    tree.put(blobDataPath(first.digest), "garbage");
    await takeover.run("first-build");
    expect(await takeover.collect()).toEqual(new Set());
    tree.put(blobDataPath(first.digest), bytes);
    await takeover.run("compare");
    expect(await takeover.find(name, "v1")).toBe(first.digest);
    expect(await takeover.collect()).toEqual(new Set([spare]));
  });

  test("bent links come in while others are served, too", async () => {
    const third = tree.image(name, "v3");
    tree.put(layerLinkPath(name, third.layer), "");
    tree.put(revisionLinkPath(name, third.digest), "garbage");
    await takeover.run("compare");
    expect(await takeover.find(name, "v3")).toBe(third.digest);
    expect(await takeover.index.findBlob(name, third.layer)).not.toBeNull();
  });

  test("a link that cannot be read does not keep the rest from being taken in", async () => {
    const third = tree.image(name, "v3");
    tree.delete(layerLinkPath(name, third.layer));
    symlinkSync("link", tree.root + layerLinkPath(name, third.layer));
    await takeover.run("compare");
    expect(await takeover.find(name, "v3")).toBe(third.digest);
    expect(await takeover.index.findBlob(name, third.layer)).not.toBeNull();
  });

  test("a tag became unreadable: the index still knows what it names", async () => {
    tree.put(tagCurrentLinkPath(name, v1), "");
    expect((await takeover.run("compare")).found).toEqual(new Map());
    expect(await takeover.find(name, "v1")).toBe(first.digest);
  });

  test("the list of problems is replaced as a whole", async () => {
    tree.put(tagCurrentLinkPath(name, v1), "");
    await takeover.run("compare");
    expect((await takeover.problems()).map(({ kind }) => kind)).toEqual(["unreadable-tag"]);
    tree.tag(name, "v1", first.digest);
    await takeover.run("compare");
    expect(await takeover.problems()).toEqual([]);
  });
});

describe("what the tree still owes", () => {
  test("INV-2: a redo record wins over the tree, for a tag that was deleted here", async () => {
    await takeover.index.deleteTag(name, v1, Date.now());
    await takeover.run("compare");
    expect(await takeover.find(name, "v1")).toBeNull();
  });

  test("INV-2: likewise for a manifest that was deleted, and one that was pushed", async () => {
    await takeover.index.deleteManifest(name, first.digest, Date.now());
    const config = tree.blob("{}");
    await takeover.index.finishUpload({
      id: null,
      repository: name,
      digest: config,
      sizeBytes: 2,
      terms,
    });
    const report = await takeover.run("compare");
    expect(report.taken).toBe(0);
    expect(report.found.size).toBeGreaterThan(0);
    expect(await takeover.find(name, first.digest)).toBeNull();
    expect(await takeover.index.findBlob(name, config)).not.toBeNull();
  });

  test("an upload that has no bytes yet is not in the tree, and stays", async () => {
    await takeover.index.beginUpload({
      id: "x",
      repository: name,
      owner: null,
      startedAtMs: 1,
      terms,
    });
    await takeover.run("compare");
    expect(await takeover.index.findUpload(name, "x")).not.toBeNull();
  });
});

describe("INV-8: a change between the walk and the taking in", () => {
  const absorb = (difference: Difference): Promise<number> =>
    takeover.index.absorb([difference], { nowMs: Date.now(), recheck: true });

  test("a tag that was moved again", async () => {
    const stale = { kind: "tag", repository: name, tag: v1, digest: second.digest } as const;
    expect(await absorb({ ...stale, modifiedMs: 0 })).toBe(0);
    expect(await takeover.find(name, "v1")).toBe(first.digest);
  });

  test("a link that went, a link that came", async () => {
    const gone = { kind: "layer", repository: name, digest: first.layer, there: false } as const;
    expect(await absorb(gone)).toBe(0);
    tree.delete(layerLinkPath(name, second.layer));
    expect(await absorb({ ...gone, digest: second.layer, there: true })).toBe(0);
    expect(await absorb({ ...gone, digest: second.layer })).toBe(1);
  });

  test("bytes that went, bytes of another size", async () => {
    const blob = { kind: "blob", digest: first.layer, modifiedMs: 0 } as const;
    expect(await absorb({ ...blob, sizeBytes: null })).toBe(0);
    expect(await absorb({ ...blob, sizeBytes: 1 })).toBe(0);
  });
});

function failureOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => "no failure", String);
}

test("a walk that is stopped ends with the reason, and finishes nothing", async () => {
  expect(
    await failureOf(takeover.run("compare", AbortSignal.abort(new Error("stopping")))),
  ).toContain("stopping");
  const stop = new AbortController();
  const run = takeover.run("first-build", stop.signal);
  stop.abort(new Error("stopping"));
  expect(await failureOf(run)).toContain("stopping");
  expect(await takeover.index.isComplete()).toBe(false);
  await takeover.run("first-build");
  expect(await takeover.find(name, "v1")).toBe(first.digest);
});

describe("symbolic links within the tree", () => {
  test("a part of another repository is not read again, nor looked at for a client", async () => {
    const alias = parseRepositoryName("second");
    for (const part of ["_layers", "_manifests"]) {
      mkdirSync(`${tree.root}${repositoriesRoot}/${alias}`, { recursive: true });
      symlinkSync(`../${name}/${part}`, `${tree.root}${repositoriesRoot}/${alias}/${part}`);
    }
    expect(await takeover.run("first-build")).toMatchObject({ repositories: 1, manifests: 2 });
    expect(await takeover.has("unknown-name", "second/_layers")).toBe(true);
    const layer: Difference = {
      kind: "layer",
      repository: alias,
      digest: first.layer,
      there: true,
    };
    const options = { nowMs: Date.now(), recheck: true };
    expect(await takeover.index.absorb([layer], options)).toBe(0);
    // What was there before it became a second name is gone with it.
    await takeover.index.absorb([layer], { ...options, recheck: false });
    expect((await takeover.run("compare")).found).toEqual(new Map([["layer", 1]]));
    expect(await takeover.index.findBlob(alias, first.layer)).toBeNull();
    expect(await takeover.index.findBlob(name, first.layer)).not.toBeNull();
  });
});
