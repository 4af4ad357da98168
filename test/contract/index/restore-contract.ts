// Undoing a deletion: an acceptance (INV-4), in both orders with whatever else happens.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import { collect, missedByQueue } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import {
  deleteImage,
  deleteTag,
  listed,
  readHeld,
  restore,
  restoreById,
  textOf,
  wantedOf,
} from "./undo.ts";
import { blobNo, contentOf, hourMs, repo, tag, tagNames } from "./world.ts";

const keepDeletedMs = 24 * hourMs;

export function restoreContract(driver: IndexDriver): void {
  restoreRacesContract(driver);
  describe("a restore", () => {
    const world = worldOf(driver);
    const collectKeeping = (untagged = true): Promise<void> =>
      collect(world().index, { nowMs: world().nowMs, untagged, keepDeletedMs });
    const pull = async (name: string, which: string): Promise<Digest | undefined> =>
      (await world().index.findTag(repo(name), tag(which)))?.digest;

    for (const when of ["before a collection", "after a collection"] as const) {
      const mayCollect = async (): Promise<void> => {
        world().nowMs += 2 * hourMs;
        if (when === "after a collection") await collectKeeping();
      };

      test(`of a tag, ${when}`, async () => {
        const digest = await world().image("a", { blobs: [1, 2], tags: ["x"] });
        await deleteTag(world(), "a", "x");
        await mayCollect();
        await world().owed();
        expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({
          outcome: "restored",
          tags: tagNames(["x"]),
          manifests: when === "after a collection" ? [digest] : [],
        });
        expect(await pull("a", "x")).toBe(digest);
        expect((await world().owed()).toSorted()).toEqual(
          [
            ...(when === "after a collection"
              ? [
                  ...[1, 2].map(
                    (n) => `layer a ${blobNo(n).slice(7, 13)}: ${blobNo(n).slice(7, 13)}`,
                  ),
                  `revision a ${digest.slice(7, 13)}: ${digest.slice(7, 13)}`,
                ]
              : []),
            `tag a x: ${digest.slice(7, 13)}`,
            `tag-history a x ${digest.slice(7, 13)}: ${digest.slice(7, 13)}`,
          ].toSorted(),
        );
        expect(await world().index.findBlob(repo("a"), blobNo(2))).not.toBeNull();
        expect(await listed(world())).toEqual([]);
        await collectKeeping();
        expect(await pull("a", "x")).toBe(digest);
        expect(await missedByQueue(world().index, world().nowMs)).toEqual([]);
      });

      test(`of an image with children and referrers, ${when}`, async () => {
        const child = await world().image("a", { blobs: [1, 2], tags: ["c"] });
        await world().index.deleteTag(repo("a"), tag("c"), world().nowMs);
        const parent = await world().put("a", { children: [child], tags: ["x", "y"] });
        await world().upload("a", 3);
        const signature = await world().put("a", { config: blobNo(3), subject: child });
        world().nowMs += 2 * hourMs;
        await deleteImage(world(), "a", parent.digest);
        await mayCollect();
        const outcome = await restore(world(), wantedOf("a", "y"));
        expect(outcome).toMatchObject({ tags: tagNames(["x", "y"]), taken: [], leftOut: [] });
        expect(outcome).toMatchObject({ manifests: [parent.digest, child, signature.digest] });
        expect(await pull("a", "x")).toBe(parent.digest);
        const page = { after: null, limit: 9, artifactType: null };
        expect(await world().index.listReferrers(repo("a"), child, page)).toHaveLength(1);
        world().nowMs += 2 * hourMs;
        await collect(world().index, { nowMs: world().nowMs, untagged: true, keepDeletedMs: 0 });
        for (const digest of [child, parent.digest, signature.digest]) {
          expect(await world().index.findManifest(repo("a"), digest)).not.toBeNull();
        }
        expect(await world().index.findBlob(repo("a"), blobNo(3))).not.toBeNull();
        expect(await missedByQueue(world().index, world().nowMs)).toEqual([]);
      });

      test(`of a manifest that a client deleted, ${when}: its children and signatures too`, async () => {
        const child = await world().image("a", { blobs: [1], tags: ["c"] });
        await world().index.deleteTag(repo("a"), tag("c"), world().nowMs);
        const parent = await world().put("a", { children: [child], tags: ["x"] });
        const signature = await world().put("a", { config: blobNo(1), subject: parent.digest });
        world().nowMs += 2 * hourMs;
        await world().deleteRestorably(repo("a"), parent.digest);
        await mayCollect();
        await restore(world(), wantedOf("a", parent.digest));
        world().nowMs += 2 * hourMs;
        await collect(world().index, { nowMs: world().nowMs, untagged: true });
        for (const digest of [child, parent.digest, signature.digest]) {
          expect(await world().index.findManifest(repo("a"), digest)).not.toBeNull();
        }
      });
    }

    test("does not move a tag that names something else, unless it is told to", async () => {
      const old = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      await deleteImage(world(), "a", old);
      const young = await world().image("a", { blobs: [2], tags: ["x"] });
      const taken = [{ tag: tag("x"), digest: young }];
      expect(await restore(world(), wantedOf("a", old))).toMatchObject({
        outcome: "restored",
        tags: tagNames(["y"]),
        taken,
      });
      expect(await pull("a", "x")).toBe(young);
      // The tag that could not come back can still do so, by itself.
      expect((await listed(world())).map(textOf)).toEqual(["tag a [x]"]);
      expect(await restore(world(), wantedOf("a", "x"))).toEqual({ outcome: "taken", taken });
      expect(await restore(world(), wantedOf("a", "x"), { forceTags: true })).toMatchObject({
        outcome: "restored",
        tags: tagNames(["x"]),
        manifests: [],
      });
      expect(await pull("a", "x")).toBe(old);
      expect(await listed(world())).toEqual([]);
    });

    test("of what has no tag is leased to who restores it", async () => {
      const digest = await world().image("a", { blobs: [1] });
      world().nowMs += 2 * hourMs;
      await deleteImage(world(), "a", digest);
      await restore(world(), wantedOf("a", digest));
      expect(await world().leasedFor("a", digest)).toBeNull();
      expect((await world().manifest("a", digest)).keptBy).toBe("lease");
      expect(await missedByQueue(world().index, world().nowMs)).toEqual([]);
    });

    test("is refused while something that it needs is missing, and changes nothing (INV-4)", async () => {
      const digest = await world().image("a", { blobs: [1, 2], tags: ["x"] });
      await deleteImage(world(), "a", digest);
      await world().index.loseBytes(blobNo(2));
      const refused = { outcome: "missing", missing: [blobNo(2)] } as const;
      await world().owed();
      expect(await restore(world(), wantedOf("a", "x"))).toEqual(refused);
      expect(await world().owed()).toEqual([]);
      expect(await world().index.findManifest(repo("a"), digest)).toBeNull();
      // Pushed again by somebody, it is there, and linked where it was.
      await world().upload("b", 2);
      expect(await restore(world(), wantedOf("a", "x"), { lost: [blobNo(1)] })).toEqual({
        outcome: "missing",
        missing: [blobNo(1)],
      });
      expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({ outcome: "restored" });
      expect(await world().index.findBlob(repo("a"), blobNo(2))).not.toBeNull();
    });

    test("links nothing that was not linked when it was deleted", async () => {
      const { index } = world();
      await world().upload("b", 8);
      await world().upload("a", 1);
      const content = { config: blobNo(1), more: { extra: { digest: blobNo(8) } }, tags: ["x"] };
      const { digest } = await world().put("a", content);
      await deleteImage(world(), "a", digest);
      expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({ outcome: "restored" });
      expect(await index.findBlob(repo("a"), blobNo(1))).not.toBeNull();
      expect(await index.findBlob(repo("a"), blobNo(8))).toBeNull();
    });

    test("a referrer that cannot come is left out; one deleted by itself stays so", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await world().upload("a", 2);
      const lost = await world().put("a", { config: blobNo(2), subject: digest });
      const own = await world().put("a", { config: blobNo(1), subject: digest });
      world().nowMs += 2 * hourMs;
      await world().deleteRestorably(repo("a"), digest);
      await world().deleteRestorably(repo("a"), own.digest);
      await collectKeeping();
      await world().index.loseBytes(blobNo(2));
      expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({
        outcome: "restored",
        manifests: [digest],
        leftOut: [lost.digest],
      });
      expect(await restore(world(), wantedOf("a", own.digest))).toMatchObject({
        outcome: "restored",
      });
    });

    test("of an index whose child was deleted before it waits for the child", async () => {
      const child = await world().image("a", { blobs: [1], tags: ["c"] });
      const parent = await world().put("a", { children: [child], tags: ["x"] });
      await world().deleteRestorably(repo("a"), child);
      await world().deleteRestorably(repo("a"), parent.digest);
      expect(await restore(world(), wantedOf("a", "x"))).toEqual({
        outcome: "missing",
        missing: [child],
      });
      expect(await restore(world(), wantedOf("a", "c"))).toMatchObject({ outcome: "restored" });
      expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({ outcome: "restored" });
    });

    test("of an index brings back a child deleted after it; the child's tags stay restorable", async () => {
      const child = await world().image("a", { blobs: [1], tags: ["c"] });
      const parent = await world().put("a", { children: [child], tags: ["x"] });
      await world().deleteRestorably(repo("a"), parent.digest);
      await world().deleteRestorably(repo("a"), child);
      expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({
        manifests: [parent.digest, child],
      });
      expect(await pull("a", "c")).toBeUndefined();
      expect(await restore(world(), wantedOf("a", "c"))).toMatchObject({ outcome: "restored" });
      expect(await pull("a", "c")).toBe(child);
      expect(await listed(world())).toEqual([]);
    });

    test("of several deletions of one tag: the youngest by name, any by its number", async () => {
      const digests: Digest[] = [];
      for (const n of [1, 2]) {
        digests.push(await world().image("a", { blobs: [n], tags: ["x"] }));
        await deleteTag(world(), "a", "x");
        world().nowMs += 1;
      }
      const [, old] = await listed(world());
      if (old === undefined) throw new Error("two deletions");
      await restore(world(), wantedOf("a", "x"));
      expect(await pull("a", "x")).toBe(digests[1]);
      expect(await restoreById(world(), old.id, { forceTags: true })).toMatchObject({
        outcome: "restored",
      });
      expect(await pull("a", "x")).toBe(digests[0]);
    });

    test("of a tag deleted before its manifest: the manifest's other tags stay restorable", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      await deleteTag(world(), "a", "x");
      await world().deleteRestorably(repo("a"), digest);
      expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({
        manifests: [digest],
        tags: tagNames(["x"]),
      });
      expect(await pull("a", "y")).toBeUndefined();
      expect(await restore(world(), wantedOf("a", "y"))).toMatchObject({ outcome: "restored" });
      expect(await pull("a", "y")).toBe(digest);
      expect(await listed(world())).toEqual([]);
    });

    test("of what a rebuilt index has again: its tags, and that is the end of it", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const { bytes, manifest } = contentOf({ layers: [blobNo(1)] });
      await deleteImage(world(), "a", digest);
      await index.startRebuild();
      const [sizeBytes, modifiedMs] = [bytes.length, 0];
      const there = { repository: repo("a"), there: true } as const;
      await index.absorb(
        [
          { kind: "blob", digest: blobNo(1), sizeBytes: 1, modifiedMs },
          { kind: "blob", digest, sizeBytes, modifiedMs },
          { kind: "layer", ...there, digest: blobNo(1) },
          { kind: "revision", ...there, digest, manifest, sizeBytes },
        ],
        { nowMs: world().nowMs, recheck: false },
      );
      expect(await restore(world(), wantedOf("a", digest))).toMatchObject({
        outcome: "restored",
        manifests: [],
        tags: tagNames(["x"]),
      });
      expect(await listed(world())).toEqual([]);
    });

    test("after a rebuild of the facts", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const { bytes } = contentOf({ layers: [blobNo(1)] });
      await deleteImage(world(), "a", digest);
      await index.startRebuild();
      await index.absorb(
        [
          { kind: "blob", digest: blobNo(1), sizeBytes: 1, modifiedMs: 0 },
          { kind: "blob", digest, sizeBytes: bytes.length, modifiedMs: 0 },
        ],
        { nowMs: world().nowMs, recheck: false },
      );
      await collectKeeping();
      expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({ outcome: "restored" });
      expect(await pull("a", "x")).toBe(digest);
    });
  });
}

function restoreRacesContract(driver: IndexDriver): void {
  describe("a restore, read before and carried out after", () => {
    const world = worldOf(driver);

    /** An image that was deleted, and all that a restore has read of it. */
    async function deleted() {
      const digest = await world().image("a", { blobs: [1, 2], tags: ["x"] });
      world().nowMs += 2 * hourMs;
      await deleteImage(world(), "a", digest);
      const [entry] = await listed(world());
      if (entry === undefined) throw new Error("one deletion");
      return { digest, held: await readHeld(world(), entry.id) };
    }

    test("a release: nothing is restored, whether the blobs are condemned or not", async () => {
      const { held, digest } = await deleted();
      const { index, nowMs } = world();
      await index.releaseDeletions({ deletedBeforeMs: nowMs, nowMs, limit: 9 });
      expect(await index.restoreDeletion(held)).toEqual({ outcome: "unknown" });
      await collect(index, { nowMs, untagged: false });
      expect(await index.restoreDeletion(held)).toEqual({ outcome: "unknown" });
      expect(await index.findDeletion({ repository: repo("a"), digest })).toMatchObject({
        outcome: "gone",
        releasedAtMs: nowMs,
      });
    });

    test("the restore first: a release and a condemnation find nothing to take", async () => {
      const { held, digest } = await deleted();
      const { index, nowMs } = world();
      const page = await index.blobCandidates({ after: null, limit: 99, nowMs });
      await index.restoreDeletion(held);
      await index.releaseDeletions({ deletedBeforeMs: nowMs, nowMs, limit: 9 });
      const { condemned, linksRemoved } = await index.condemn(page, { nowMs, foreignGraceMs: 0 });
      expect([...condemned, ...linksRemoved]).toEqual([]);
      await collect(index, { nowMs, untagged: true });
      expect((await index.findTag(repo("a"), tag("x")))?.digest).toBe(digest);
    });

    test("bytes that were lost: refused, and accepted once they have been pushed again", async () => {
      const { held } = await deleted();
      const { index, nowMs } = world();
      // Nothing condemns what a deletion holds; to a restore absent and condemned are the same.
      await index.loseBytes(blobNo(2));
      expect(await index.restoreDeletion(held)).toMatchObject({ outcome: "missing" });
      await world().upload("c", 2);
      expect(await index.restoreDeletion(held)).toMatchObject({ outcome: "restored" });
      await collect(index, { nowMs: nowMs + 2 * hourMs, untagged: true });
      expect(await index.findBlob(repo("a"), blobNo(2))).not.toBeNull();
    });

    test("a push of the same: the restore finds it done", async () => {
      const { held, digest } = await deleted();
      await world().image("a", { blobs: [1, 2], tags: ["y"] });
      expect(await world().index.restoreDeletion(held)).toEqual({ outcome: "unknown" });
      expect(await restore(world(), wantedOf("a", digest))).toEqual({ outcome: "there" });
    });

    test("another deletion of the same, and another restore: each only once", async () => {
      const { held, digest } = await deleted();
      expect(await world().index.restoreDeletion(held)).toMatchObject({ outcome: "restored" });
      expect(await world().index.restoreDeletion(held)).toEqual({ outcome: "unknown" });
      await deleteImage(world(), "a", digest);
      expect(await world().index.restoreDeletion(held)).toEqual({ outcome: "unknown" });
      expect(await restore(world(), wantedOf("a", "x"))).toMatchObject({ outcome: "restored" });
    });

    test("the repository was dropped, and is made again", async () => {
      const { held } = await deleted();
      const { index, nowMs } = world();
      await collect(index, { nowMs, untagged: true, keepDeletedMs });
      expect(await index.listKnownRepositories({ after: null, limit: 9 })).toEqual([]);
      expect(await index.restoreDeletion(held)).toMatchObject({ outcome: "restored" });
      expect(await index.listRepositories({ after: null, limit: 9 })).toEqual([repo("a")]);
    });
  });
}
