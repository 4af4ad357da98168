// Deleting tags, images and repositories so that it can be undone, and the list of it. Undoing it:
// restore-contract.ts.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import { collect, missedByQueue } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import {
  deleteImage,
  deleteTag,
  deletionBy,
  listed,
  restore,
  tagsIn,
  textOf,
  wantedOf,
} from "./undo.ts";
import { blobNo, hourMs, repo, tag, tagNames } from "./world.ts";

const keepDeletedMs = 24 * hourMs;

export function restorableContract(driver: IndexDriver): void {
  deletionOfEachKindContract(driver);
  listContract(driver);
}

function deletionOfEachKindContract(driver: IndexDriver): void {
  describe("deleting so that it can be undone", () => {
    const world = worldOf(driver);
    const isThere = async (name: string, digest: Digest): Promise<boolean> =>
      (await world().index.findManifest(repo(name), digest)) !== null;
    const collectKeeping = (untagged: boolean): Promise<void> =>
      collect(world().index, { nowMs: world().nowMs, untagged, keepDeletedMs });

    test("a tag goes, its manifest stays; after -m its bytes are held still", async () => {
      const digest = await world().image("a", { blobs: [1, 2], tags: ["x", "y"] });
      world().nowMs += 2 * hourMs;
      expect(await deleteTag(world(), "a", "x")).toBe("deleted");
      expect(await deleteTag(world(), "a", "x")).toBe("unknown");
      expect(await deleteTag(world(), "b", "x")).toBe("unknown");
      expect(await tagsIn(world(), "a")).toEqual(tagNames(["y"]));
      expect(await isThere("a", digest)).toBe(true);
      expect(await deleteTag(world(), "a", "y")).toBe("deleted");
      await collectKeeping(true);
      expect(await isThere("a", digest)).toBe(false);
      expect(await world().index.findBlobAnywhere(digest)).not.toBeNull();
      expect(await world().index.findBlobAnywhere(blobNo(2))).not.toBeNull();
      expect(await missedByQueue(world().index, world().nowMs)).toEqual([]);
    });

    test("the deletion of a tag is over when it names the same again, and not before", async () => {
      await world().image("a", { blobs: [1], tags: ["x"] });
      await deleteTag(world(), "a", "x");
      await world().image("a", { blobs: [2], tags: ["x"] });
      await world().image("a", { blobs: [1], tags: ["y"] });
      await world().image("b", { blobs: [1], tags: ["x"] });
      expect((await listed(world())).map(textOf)).toEqual(["tag a [x]"]);
      await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await listed(world())).toEqual([]);
    });

    test("a tag goes only if it names what was expected", async () => {
      const first = await world().image("a", { blobs: [1], tags: ["x"] });
      const second = await world().image("a", { blobs: [2], tags: ["x"] });
      const { index } = world();
      const wanted = { repository: repo("a"), tag: tag("x"), expected: first };
      const changed = await index.deleteTagRestorably(wanted, deletionBy(world()));
      expect(changed).toEqual({ outcome: "changed", digest: second });
      expect(await listed(world())).toEqual([]);
      const deleted = await index.deleteTagRestorably(
        { ...wanted, expected: second },
        deletionBy(world()),
      );
      expect(deleted).toEqual({ outcome: "deleted", digest: second });
    });

    test("nothing is kept when nothing shall be", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      const { index } = world();
      const deletion = { ...deletionBy(world()), isRestorable: false };
      await index.deleteTagRestorably({ repository: repo("a"), tag: tag("x") }, deletion);
      await index.deleteImage({ repository: repo("a"), digest }, deletion);
      expect(await listed(world())).toEqual([]);
    });

    test("an image goes with children and referrers, in turn, as one deletion", async () => {
      const child = await world().image("a", { blobs: [1, 2], tags: ["c"] });
      await world().index.deleteTag(repo("a"), tag("c"), world().nowMs);
      const parent = await world().put("a", { children: [child], tags: ["x", "y"] });
      await world().upload("a", 3);
      const ofChild = await world().put("a", { config: blobNo(3), subject: child });
      const ofParent = await world().put("a", { config: blobNo(3), subject: parent.digest });
      const ofReferrer = await world().put("a", { config: blobNo(3), subject: ofChild.digest });
      world().nowMs += 2 * hourMs;
      const went = await deleteImage(world(), "a", parent.digest);
      expect(went[0]).toBe(parent.digest);
      expect(went.toSorted()).toEqual(
        [child, parent, ofChild, ofParent, ofReferrer]
          .map((one) => (typeof one === "string" ? one : one.digest))
          .toSorted(),
      );
      expect((await listed(world())).map(textOf)).toEqual(["image a [x,y]"]);
      expect(await world().index.listRepositories({ after: null, limit: 9 })).toEqual([]);
      await collectKeeping(true);
      for (const digest of went) {
        expect(await world().index.findBlobAnywhere(digest)).not.toBeNull();
      }
    });

    test("what something else names, tags or leases stays", async () => {
      const shared = await world().image("a", { blobs: [1], tags: ["s"] });
      await world().index.deleteTag(repo("a"), tag("s"), world().nowMs);
      const tagged = await world().image("a", { blobs: [2], tags: ["t"] });
      const own = await world().image("a", { blobs: [3], tags: ["o"] });
      await world().index.deleteTag(repo("a"), tag("o"), world().nowMs);
      const leased = await world().image("a", { blobs: [4] });
      await world().put("a", { children: [shared], tags: ["other"] });
      const parent = await world().put("a", {
        children: [shared, tagged, own, leased],
        tags: ["x"],
        caller: "bob",
      });
      const signature = await world().put("a", {
        config: blobNo(2),
        subject: parent.digest,
        tags: ["sig"],
      });
      expect(await deleteImage(world(), "a", parent.digest)).toEqual([parent.digest, own]);
      for (const digest of [shared, tagged, leased, signature.digest]) {
        expect(await isThere("a", digest)).toBe(true);
      }
    });

    test("beside what cannot be read an image goes alone (INV-7)", async () => {
      const child = await world().image("a", { blobs: [1], tags: ["c"] });
      await world().index.deleteTag(repo("a"), tag("c"), world().nowMs);
      const parent = await world().put("a", { children: [child], tags: ["x"] });
      const bent = { repository: repo("a"), digest: blobNo(7), there: true } as const;
      await world().index.absorb(
        [
          { kind: "blob", digest: blobNo(7), sizeBytes: 7, modifiedMs: 0 },
          { kind: "revision", ...bent, manifest: null, sizeBytes: 7 },
        ],
        { nowMs: world().nowMs, recheck: false },
      );
      expect(await deleteImage(world(), "a", parent.digest)).toEqual([parent.digest]);
    });

    test("a repository goes in pages, and what leads nowhere with it", async () => {
      const { index } = world();
      await world().upload("a", 1);
      for (let n = 0; n < 60; n++) {
        await world().put("a", { config: blobNo(1), more: { n }, tags: [`t${n}`] });
      }
      const child = await world().image("a", { blobs: [2] });
      await world().put("a", { children: [child], tags: ["multi"] });
      await world().image("b", { blobs: [1], tags: ["x"] });
      await index.absorb(
        [
          {
            kind: "tag",
            repository: repo("a"),
            tag: tag("lost"),
            digest: blobNo(9),
            modifiedMs: 0,
          },
        ],
        { nowMs: world().nowMs, recheck: false },
      );
      const gone = { images: 0, manifests: 0, tags: 0 };
      let pages = 0;
      for (let more = true; more; pages++) {
        const page = await index.deleteRepository(repo("a"), deletionBy(world()));
        expect(page.outcome).toBe("deleted");
        gone.images += page.images;
        gone.manifests += page.manifests;
        gone.tags += page.tags;
        more = page.more;
      }
      expect(pages).toBeGreaterThan(1);
      expect(gone).toEqual({ images: 61, manifests: 62, tags: 62 });
      expect(await index.listRepositories({ after: null, limit: 9 })).toEqual([repo("b")]);
      expect(await tagsIn(world(), "a")).toEqual([]);
      expect(await index.deleteRepository(repo("a"), deletionBy(world()))).toMatchObject({
        outcome: "unknown",
      });
      world().nowMs += 2 * hourMs;
      await collectKeeping(false);
      expect(await tagsIn(world(), "a")).toBeNull();
      expect(await index.listKnownRepositories({ after: null, limit: 9 })).toEqual([repo("b")]);
      expect((await listed(world(), repo("a"))).length).toBe(61);
    });

    test("of a repository, what was pushed just now goes with its image", async () => {
      const child = await world().image("a", { blobs: [1], caller: "bob" });
      const parent = await world().put("a", { children: [child], tags: ["x"] });
      await world().put("a", { config: blobNo(1), subject: parent.digest });
      const deleted = await world().index.deleteRepository(repo("a"), deletionBy(world()));
      expect(deleted).toMatchObject({ images: 1, manifests: 3, tags: 1 });
    });

    test("of a repository, a push under way goes on: what it has leased stays", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1], tags: ["x"] });
      await world().upload("a", 2);
      const upload = {
        id: "u",
        repository: repo("a"),
        owner: null,
        startedAtMs: 1,
        terms: world().terms(),
      };
      await index.beginUpload(upload);
      await index.deleteRepository(repo("a"), deletionBy(world()));
      expect(await index.listUploads(repo("a"), { after: null, limit: 9 })).toEqual(["u"]);
      expect(await index.listUploads(repo("b"), { after: null, limit: 9 })).toEqual([]);
      await collectKeeping(true);
      expect(await index.findBlob(repo("a"), blobNo(2))).not.toBeNull();
      const { outcome } = await world().put("a", { layers: [blobNo(2)], tags: ["y"] });
      expect(outcome.accepted).toBe(true);
      expect(await index.listRepositories({ after: null, limit: 9 })).toEqual([repo("a")]);
    });
  });
}

function listContract(driver: IndexDriver): void {
  describe("the list of deletions", () => {
    const world = worldOf(driver);

    test("says what, who, why and how much, the youngest first", async () => {
      const digest = await world().image("a", { blobs: [10, 20], tags: ["x", "y"] });
      const sizeBytes = (await world().index.findManifest(repo("a"), digest))?.sizeBytes ?? 0;
      await deleteTag(world(), "a", "x");
      world().nowMs += 5;
      await world().index.deleteImage(
        { repository: repo("a"), digest },
        { ...deletionBy(world(), "bob"), reason: `retention rule ${"r".repeat(300)}` },
      );
      const same = {
        repository: repo("a"),
        digest,
        sizeBytes,
        heldBytes: sizeBytes + 30,
        tagCount: 1,
      };
      const [image, ofTag] = await listed(world());
      expect(image).toMatchObject({ ...same, what: "image", tags: tagNames(["y"]) });
      expect(image).toMatchObject({ deletedBy: "bob", nowMs: world().nowMs });
      expect(image?.reason.length).toBe(200);
      expect(ofTag).toMatchObject({ ...same, what: "tag", tags: tagNames(["x"]) });
      expect(ofTag).toMatchObject({ deletedBy: "alice", reason: "api" });
      expect(await listed(world(), repo("b"))).toEqual([]);
      expect(await listed(world(), repo("a"))).toHaveLength(2);
    });

    test("is stable while others delete and restore", async () => {
      for (const n of [1, 2, 3, 4]) {
        await world().image("a", { blobs: [n], tags: [`t${n}`] });
        await deleteTag(world(), "a", `t${n}`);
        world().nowMs += 1;
      }
      const { index } = world();
      const first = await index.listDeletions({ after: null, limit: 2 });
      expect(first.map(textOf)).toEqual(["tag a [t4]", "tag a [t3]"]);
      await world().image("a", { blobs: [5], tags: ["t5"] });
      await deleteTag(world(), "a", "t5");
      await restore(world(), wantedOf("a", "t2"));
      const last = first[1];
      if (last === undefined) throw new Error("a page of two");
      const next = await index.listDeletions({ after: [last.nowMs, last.id], limit: 9 });
      expect(next.map(textOf)).toEqual(["tag a [t1]"]);
    });

    test("names at most 100 tags, and counts all", async () => {
      const tags = Array.from({ length: 120 }, (_, n) => `t${n}`);
      const digest = await world().image("a", { blobs: [1], tags });
      await deleteImage(world(), "a", digest);
      const [entry] = await listed(world());
      expect(entry?.tagCount).toBe(120);
      expect(entry?.tags).toHaveLength(100);
      await restore(world(), wantedOf("a", digest));
      expect(await tagsIn(world(), "a")).toHaveLength(120);
    });

    test("what was released is remembered as gone", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      const deletedAtMs = world().nowMs;
      await deleteTag(world(), "a", "x");
      await deleteImage(world(), "a", digest);
      world().nowMs += keepDeletedMs;
      const releasedAtMs = world().nowMs;
      await collect(world().index, { nowMs: releasedAtMs, untagged: false, keepDeletedMs });
      const gone = { outcome: "gone", deletedAtMs, releasedAtMs };
      for (const reference of ["x", "y", digest]) {
        expect(await restore(world(), wantedOf("a", reference))).toEqual(gone as never);
      }
      expect(await restore(world(), wantedOf("a", "z"))).toEqual({ outcome: "unknown" });
      expect(await restore(world(), { id: 99 })).toEqual({ outcome: "unknown" });
      await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await restore(world(), wantedOf("a", "x"))).toEqual({ outcome: "there" });
      expect(await restore(world(), wantedOf("a", digest))).toEqual({ outcome: "there" });
    });
  });
}
