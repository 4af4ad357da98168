// Deletion, and what the tree owes (INV-2).
import { describe, expect, test } from "bun:test";
import type { RedoRecord } from "../../../src/registry/ports/index.ts";
import { collect } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, hourMs, redoText, repo, short, tag, tagNames } from "./world.ts";

export function deleteContract(driver: IndexDriver): void {
  describe("deleting", () => {
    const world = worldOf(driver);

    test("a manifest goes with its tags; its blobs and the other manifests stay", async () => {
      const { index, nowMs } = world();
      const digest = await world().image("a", { blobs: [1, 2], tags: ["x", "y"] });
      const other = await world().image("a", { blobs: [1], tags: ["z"] });
      expect(await index.deleteManifest(repo("a"), digest, nowMs)).toEqual({
        outcome: "deleted",
        tags: tagNames(["x", "y"]),
      });
      expect(await index.findManifest(repo("a"), digest)).toBeNull();
      expect(await index.findTag(repo("a"), tag("x"))).toBeNull();
      expect(await index.listTags(repo("a"), { after: null, limit: 9 })).toEqual([tag("z")]);
      expect(await index.findManifest(repo("a"), other)).not.toBeNull();
      expect(await index.findBlob(repo("a"), blobNo(2))).not.toBeNull();
      expect(await index.findBlob(repo("a"), digest)).toBeNull();
      expect(await index.deleteManifest(repo("a"), digest, nowMs)).toEqual({
        outcome: "unknown",
        tags: [],
      });
    });

    test("only in its repository", async () => {
      const { index, nowMs } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await world().image("b", { blobs: [1], tags: ["x"] });
      expect((await index.deleteManifest(repo("c"), digest, nowMs)).outcome).toBe("unknown");
      await index.deleteManifest(repo("a"), digest, nowMs);
      expect(await index.findTag(repo("b"), tag("x"))).toMatchObject({ digest });
      expect(await index.namedByManifest(digest)).toEqual([blobNo(1)]);
      await index.deleteManifest(repo("b"), digest, nowMs);
      expect(await index.namedByManifest(digest)).toEqual([]);
    });

    test("a tag goes alone", async () => {
      const { index, nowMs } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      expect(await index.deleteTag(repo("a"), tag("x"), nowMs)).toBe("deleted");
      expect(await index.deleteTag(repo("a"), tag("x"), nowMs)).toBe("unknown");
      expect(await index.deleteTag(repo("b"), tag("y"), nowMs)).toBe("unknown");
      expect(await index.findTag(repo("a"), tag("x"))).toBeNull();
      expect(await index.findTag(repo("a"), tag("y"))).toMatchObject({ digest });
      expect(await index.findManifest(repo("a"), digest)).toMatchObject({ digest });
    });

    test("a blob goes only if no manifest of the repository needs it; it names those that do", async () => {
      const { index, nowMs } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await world().upload("b", 1);
      expect(await index.unlinkBlob(repo("a"), blobNo(1), nowMs)).toEqual({
        outcome: "needed",
        neededBy: [digest],
      });
      const unknown = { outcome: "unknown", neededBy: [] } as const;
      const deleted = { outcome: "deleted", neededBy: [] } as const;
      expect(await index.unlinkBlob(repo("b"), blobNo(1), nowMs)).toEqual(deleted);
      expect(await index.unlinkBlob(repo("b"), blobNo(1), nowMs)).toEqual(unknown);
      expect(await index.unlinkBlob(repo("c"), blobNo(1), nowMs)).toEqual(unknown);
      expect(await index.unlinkBlob(repo("a"), blobNo(2), nowMs)).toEqual(unknown);
      // A manifest is no layer.
      expect(await index.unlinkBlob(repo("a"), digest, nowMs)).toEqual(unknown);
      await index.deleteManifest(repo("a"), digest, nowMs);
      expect(await index.unlinkBlob(repo("a"), blobNo(1), nowMs)).toEqual(deleted);
    });

    test("at most 10 of those that need it are named", async () => {
      const { index, nowMs } = world();
      for (let n = 2; n < 14; n++) await world().image("a", { blobs: [1, n], tags: ["x"] });
      const { outcome, neededBy } = await index.unlinkBlob(repo("a"), blobNo(1), nowMs);
      expect(outcome).toBe("needed");
      expect(neededBy).toHaveLength(10);
    });

    test("frees nothing by itself, and everything at the next collection", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1, 2], tags: ["x"] });
      world().nowMs += 2 * hourMs;
      const before = (await index.totals()).blobs;
      await index.deleteManifest(repo("a"), digest, world().nowMs);
      expect((await index.totals()).blobs).toBe(before);
      await collect(index, { nowMs: world().nowMs, untagged: false });
      expect(await index.totals()).toEqual({
        blobs: 0,
        blobBytes: 0,
        manifests: 0,
        repositories: 0,
      });
      expect(await index.listKnownRepositories({ after: null, limit: 9 })).toEqual([]);
    });

    test("an unlinked blob goes at the next collection, though it was put off", async () => {
      const { index } = world();
      await world().upload("a", 1);
      await index.condemn([{ repository: repo("a"), digest: blobNo(1) }], {
        nowMs: world().nowMs,
        foreignGraceMs: 0,
      });
      await index.unlinkBlob(repo("a"), blobNo(1), world().nowMs);
      await collect(index, { nowMs: world().nowMs, untagged: false });
      expect(await index.findBlobAnywhere(blobNo(1))).toBeNull();
    });

    test("a deleted index gives up its children at the next collection, though they were put off", async () => {
      const { index } = world();
      const child = await world().image("a", { blobs: [1] });
      const collecting = { nowMs: world().nowMs, untagged: true };
      await collect(index, collecting);
      const parent = await world().put("a", { children: [child], tags: ["x"] });
      await index.deleteManifest(repo("a"), parent.digest, world().nowMs);
      await collect(index, collecting);
      expect(await index.findManifest(repo("a"), child)).toBeNull();
    });
  });
}

export function redoContract(driver: IndexDriver): void {
  describe("what the tree owes (INV-2)", () => {
    const world = worldOf(driver);
    const pending = async (): Promise<string[]> =>
      (await world().index.pendingRedo(100)).map(redoText);

    test("a deleted manifest: its tags, their history, its revision; no layer", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const second = await world().image("a", { blobs: [1, 2], tags: ["x", "y"] });
      await world().image("a", { blobs: [2], tags: ["x"] });
      await world().owed();
      await world().index.deleteManifest(repo("a"), second, world().nowMs);
      expect(await world().owed()).toEqual([
        "tag a y: gone",
        `tag-history a y ${short(second)}: gone`,
        `tag-history a x ${short(second)}: gone`,
        `revision a ${short(second)}: gone`,
      ]);
      await world().index.deleteManifest(repo("a"), digest, world().nowMs);
      expect(await world().owed()).toEqual([
        `tag-history a x ${short(digest)}: gone`,
        `revision a ${short(digest)}: gone`,
      ]);
    });

    test("a deleted tag: the tag and all of its history", async () => {
      const first = await world().image("a", { blobs: [1], tags: ["x"] });
      const second = await world().image("a", { blobs: [2], tags: ["x"] });
      await world().owed();
      await world().index.deleteTag(repo("a"), tag("x"), world().nowMs);
      expect((await world().owed()).toSorted()).toEqual(
        [
          "tag a x: gone",
          `tag-history a x ${short(first)}: gone`,
          `tag-history a x ${short(second)}: gone`,
        ].toSorted(),
      );
    });

    test("an unlinked blob: its link. Sessions, leases and refusals: nothing", async () => {
      const { index, nowMs } = world();
      await world().upload("a", 1);
      await world().owed();
      await index.beginUpload({
        id: "one",
        repository: repo("a"),
        owner: null,
        startedAtMs: 1,
        terms: world().terms(),
      });
      await index.endUpload("one");
      await index.findAndLeaseBlob(repo("a"), blobNo(1), world().terms("bob"));
      await index.deleteManifest(repo("a"), blobNo(1), nowMs);
      await index.deleteTag(repo("a"), tag("x"), nowMs);
      await index.unlinkBlob(repo("a"), blobNo(2), nowMs);
      expect(await pending()).toEqual([]);
      await index.unlinkBlob(repo("a"), blobNo(1), nowMs);
      expect(await pending()).toEqual([`layer a ${short(blobNo(1))}: gone`]);
    });

    test("a record is read as the fact is now, and there is one for each place", async () => {
      const { index } = world();
      await world().upload("a", 1);
      const link = short(blobNo(1));
      expect(await pending()).toEqual([`layer a ${link}: ${link}`]);
      await index.unlinkBlob(repo("a"), blobNo(1), world().nowMs);
      expect(await pending()).toEqual([`layer a ${link}: gone`]);
      await world().upload("a", 1);
      expect(await pending()).toEqual([`layer a ${link}: ${link}`]);
    });

    test("a record that was renewed while it was applied stays", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1], tags: ["x"] });
      const applied: readonly RedoRecord[] = await index.pendingRedo(100);
      const second = await world().image("a", { blobs: [2], tags: ["x"] });
      await index.clearRedo(applied);
      const [link, image] = [short(blobNo(2)), short(second)];
      const left = [
        `layer a ${link}: ${link}`,
        `revision a ${image}: ${image}`,
        `tag a x: ${image}`,
        `tag-history a x ${image}: ${image}`,
      ];
      expect(await pending()).toEqual(left);
      // Clearing an old record once more changes nothing.
      await index.clearRedo(applied);
      expect(await pending()).toEqual(left);
      expect(await world().owed()).toEqual(left);
      expect(await pending()).toEqual([]);
    });

    test("a change and back again is owed all the same", async () => {
      const { index } = world();
      await world().upload("a", 1);
      const applied = await index.pendingRedo(100);
      await index.unlinkBlob(repo("a"), blobNo(1), world().nowMs);
      await world().upload("a", 1);
      await index.clearRedo(applied);
      expect(await pending()).toHaveLength(1);
    });

    test("oldest first, as many as asked", async () => {
      const { index } = world();
      for (const n of [3, 1, 2]) await world().upload("a", n);
      const texts = [3, 1, 2].map((n) => `layer a ${short(blobNo(n))}: ${short(blobNo(n))}`);
      expect((await index.pendingRedo(2)).map(redoText)).toEqual(texts.slice(0, 2));
      await index.clearRedo(await index.pendingRedo(2));
      expect(await pending()).toEqual(texts.slice(2));
      expect(await index.pendingRedo(0)).toEqual([]);
      await index.clearRedo([]);
    });

    test("a repository that vanished: its place is empty; one that came back is not", async () => {
      const { index } = world();
      const emptied = async (): Promise<void> => {
        await world().upload("a", 1);
        await index.unlinkBlob(repo("a"), blobNo(1), world().nowMs);
        await collect(index, { nowMs: world().nowMs, untagged: false });
      };
      await emptied();
      expect(await world().owed()).toEqual([
        `layer a ${short(blobNo(1))}: gone`,
        "repository a: gone",
      ]);
      await emptied();
      const upload = {
        id: "one",
        repository: repo("a"),
        owner: null,
        startedAtMs: 1,
        terms: world().terms(),
      };
      await index.beginUpload(upload);
      expect(await world().owed()).toEqual([
        `layer a ${short(blobNo(1))}: gone`,
        "repository a: stands",
      ]);
    });
  });
}
