import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { utimesSync } from "node:fs";

import { parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import {
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
} from "../../src/storage/layout.ts";
import { verifySummary } from "../../src/takeover/verify-lines.ts";
import { Takeover } from "./takeover.ts";
import { Tree, type TestImage } from "./tree.ts";

const name = parseRepositoryName("team/app");
const v1 = parseTag("v1");
let tree: Tree;
let image: TestImage;
let takeover: Takeover;

beforeEach(async () => {
  tree = new Tree();
  image = tree.image(name, "v1");
  tree.image("other", "a");
  takeover = await Takeover.of(tree);
  await takeover.run("first-build");
});
afterEach(async () => {
  await takeover.close();
});

describe("verify", () => {
  test("finds a registry in order, every byte read", async () => {
    const report = await takeover.verify(true);
    expect(report).toMatchObject({ isSound: true, lines: [], repositories: 2, manifests: 2 });
    expect(report.checked.blobs).toBe(6);
    expect(report.checked.hashedBytes).toBeGreaterThan(500);
    expect(verifySummary(report).at(-1)).toBe("everything is in order");
  });

  test("names the images that a missing blob breaks, those behind an index too", async () => {
    const index = tree.manifest(name, {
      schemaVersion: 2,
      manifests: [{ digest: image.digest, size: 1 }],
    });
    tree.tag(name, "multi", index);
    await takeover.run("compare");
    tree.delete(blobDataPath(image.layer));
    const report = await takeover.verify();
    expect(report.isSound).toBe(false);
    expect(report.findings).toEqual({ "missing-blob": 1 });
    expect(report.lines).toEqual([
      `missing blob ${image.layer}: ${blobDataPath(image.layer)}: is not there; needed by ${name}:multi, ${name}:v1`,
    ]);
  });

  test("an empty file in the place of a blob, before the first build and after it", async () => {
    tree.put(blobDataPath(image.layer), "");
    expect((await takeover.verify()).findings).toEqual({ "wrong-size": 1 });
    await takeover.run("first-build");
    expect((await takeover.verify()).findings).toEqual({ "missing-blob": 1 });
  });

  test("a blob of the wrong size", async () => {
    tree.put(blobDataPath(image.layer), "short");
    expect((await takeover.verify()).findings).toEqual({ "wrong-size": 1 });
  });

  test("wrong bytes of the right size: only when every byte is read", async () => {
    tree.put(blobDataPath(image.layer), `LAYER of ${name} v1`);
    expect((await takeover.verify()).isSound).toBe(true);
    expect((await takeover.verify(true)).lines).toEqual([
      expect.stringMatching(/^wrong bytes sha256:.*needed by team\/app:v1$/),
    ]);
  });

  test("whatever index and tree do not agree on", async () => {
    tree.tag(name, "v1", tree.image(name, "new", null).digest);
    tree.delete(layerLinkPath(name, image.config));
    const { findings, lines } = await takeover.verify();
    expect(findings).toEqual({ difference: 8 });
    expect(lines.join("\n")).toMatch(
      /^tag differs: .*v1\/current\/link: names sha256:.* in the tree/m,
    );
    expect(lines.join("\n")).toMatch(/^layer differs: .*: in the index, not in the tree$/m);
    expect(lines.join("\n")).toMatch(
      /^blob differs: .*bytes in the tree, not there in the index$/m,
    );
  });

  test("not what the tree still owes (INV-2), nor uploads", async () => {
    const terms = { caller: "c", nowMs: Date.now(), graceMs: 1000 };
    await takeover.index.deleteTag(name, v1, Date.now());
    await takeover.index.beginUpload({
      id: "u",
      repository: name,
      owner: null,
      startedAtMs: 1,
      terms,
    });
    expect(await takeover.verify()).toMatchObject({ isSound: true, lines: [] });
  });

  test("an image that cannot be pulled for want of a link", async () => {
    tree.delete(layerLinkPath(name, image.layer));
    await takeover.run("compare");
    expect((await takeover.verify()).lines).toEqual([
      expect.stringContaining(layerLinkPath(name, image.layer)),
    ]);
  });

  test("tells what is wrong in the tree from what is only odd", async () => {
    tree.put(`${layerLinkPath(name, image.layer)}.1234.tmp`, "x");
    tree.put(`${blobDataPath(image.layer)}.1234.tmp`, "x");
    for (const path of [layerLinkPath(name, image.layer), blobDataPath(image.layer)]) {
      const old = new Date(Date.now() - 600_000);
      utimesSync(`${tree.root}${path}.1234.tmp`, old, old);
    }
    expect(await takeover.verify()).toMatchObject({ isSound: true, harmlessProblems: 2 });
    tree.put(tagCurrentLinkPath(name, v1), "");
    const report = await takeover.verify();
    expect(report.problems).toEqual({ "leftover-file": 2, "unreadable-tag": 1 });
    expect(report.isSound).toBe(false);
    expect(verifySummary(report).join("\n")).toMatch(
      /\nnot in order: leftover-file 2, unreadable-tag 1\nto do:\n  push team\/app:v1 again, or remove .*\/tags\/v1$/,
    );
  });

  test("a manifest without bytes", async () => {
    tree.delete(blobDataPath(image.digest));
    expect((await takeover.verify()).findings).toEqual({ "missing-blob": 1 });
    await takeover.run("first-build");
    const { problems, findings } = await takeover.verify();
    expect(findings).toEqual({ "missing-blob": 1 });
    expect(problems).toEqual({ "dangling-revision": 1 });
    tree.delete(revisionLinkPath(name, image.digest));
  });
});
