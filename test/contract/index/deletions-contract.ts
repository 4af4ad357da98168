// Deletions that can be undone: what they hold is not condemned (INV-6) until they are released.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import type { HeldPosition } from "../../../src/registry/ports/index.ts";
import { collect, missedByQueue } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, hourMs, repo, short, tagNames } from "./world.ts";

const keepDeletedMs = 24 * hourMs;

export function deletionsContract(driver: IndexDriver): void {
  describe("a deletion that can be undone", () => {
    const world = worldOf(driver);
    const collectKeeping = (keepMs: number): Promise<void> =>
      collect(world().index, { nowMs: world().nowMs, untagged: true, keepDeletedMs: keepMs });
    const isThere = async (...digests: Digest[]): Promise<boolean[]> =>
      await Promise.all(
        digests.map(async (digest) => (await world().index.findBlobAnywhere(digest)) !== null),
      );
    const held = async (): Promise<string[]> => {
      const found: string[] = [];
      for (let after: HeldPosition | null = null; ;) {
        const page = await world().index.heldDigests({
          after,
          deletedAfterMs: 0,
          deletedBeforeMs: Number.MAX_SAFE_INTEGER,
          limit: 2,
        });
        found.push(...page.map(({ digest }) => short(digest)));
        after = page.at(-1)?.position ?? null;
        if (after === null) return found.toSorted();
      }
    };
    const names = (...digests: Digest[]): string[] => digests.map(short).toSorted();

    test("answers as any other, and holds the manifest and all that it names", async () => {
      const digest = await world().image("a", { blobs: [1, 2], tags: ["x", "y"] });
      world().nowMs += 2 * hourMs;
      expect(await world().deleteRestorably(repo("a"), digest)).toEqual({
        outcome: "deleted",
        tags: tagNames(["x", "y"]),
      });
      expect(await world().deleteRestorably(repo("a"), digest)).toMatchObject({
        outcome: "unknown",
      });
      expect(await held()).toEqual(names(digest, blobNo(1), blobNo(2)));
      await collectKeeping(keepDeletedMs);
      // Links and repository are gone; the bytes are not.
      expect(await world().index.findBlob(repo("a"), blobNo(1))).toBeNull();
      expect(await world().index.listKnownRepositories({ after: null, limit: 9 })).toEqual([]);
      expect(await isThere(digest, blobNo(1), blobNo(2))).toEqual([true, true, true]);
      expect(await missedByQueue(world().index, world().nowMs)).toEqual([]);
      expect(await world().index.keptDeletions(0)).toEqual({ count: 1, newestMs: world().nowMs });
    });

    test("is released when its time is over, and everything goes", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      world().nowMs += 2 * hourMs;
      await world().deleteRestorably(repo("a"), digest);
      world().nowMs += keepDeletedMs - 1;
      await collectKeeping(keepDeletedMs);
      expect(await isThere(digest, blobNo(1))).toEqual([true, true]);
      world().nowMs += 1;
      await collectKeeping(keepDeletedMs);
      expect(await isThere(digest, blobNo(1))).toEqual([false, false]);
      expect(await held()).toEqual([]);
      expect(await world().index.keptDeletions(0)).toMatchObject({ count: 0, newestMs: null });
    });

    test("what two hold goes with the last", async () => {
      const first = await world().image("a", { blobs: [1, 2], tags: ["x"] });
      const second = await world().image("b", { blobs: [1, 3], tags: ["x"] });
      world().nowMs += 2 * hourMs;
      await world().deleteRestorably(repo("a"), first);
      world().nowMs += hourMs;
      await world().deleteRestorably(repo("b"), second);
      await collectKeeping(hourMs);
      expect(await isThere(blobNo(1), blobNo(2), blobNo(3))).toEqual([true, false, true]);
      world().nowMs += hourMs;
      await collectKeeping(hourMs);
      expect(await isThere(blobNo(1), blobNo(3))).toEqual([false, false]);
    });

    test("of an index: its children, what they name, and their referrers, in turn", async () => {
      const child = await world().image("a", { blobs: [1, 2] });
      const parent = await world().put("a", { children: [child], tags: ["x"] });
      await world().upload("a", 3);
      const signature = await world().put("a", { config: blobNo(3), subject: parent.digest });
      world().nowMs += 2 * hourMs;
      await world().deleteRestorably(repo("a"), parent.digest);
      const all = [parent.digest, child, signature.digest, blobNo(1), blobNo(2), blobNo(3)];
      expect(await held()).toEqual(names(...all));
      // The child goes as untagged, the signature with its subject; a restore would accept them again.
      await collectKeeping(keepDeletedMs);
      expect(await world().index.findManifest(repo("a"), child)).toBeNull();
      expect(await world().index.findManifest(repo("a"), signature.digest)).toBeNull();
      expect(await isThere(...all)).toEqual(all.map(() => true));
    });

    test("of a referrer does not hold its subject", async () => {
      const subject = await world().image("a", { blobs: [1], tags: ["x"] });
      const referrer = await world().put("a", { config: blobNo(1), subject });
      await world().deleteRestorably(repo("a"), referrer.digest);
      expect(await held()).toEqual(names(referrer.digest, blobNo(1)));
    });

    test("is over when the manifest is pushed again", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await world().deleteRestorably(repo("a"), digest);
      expect(await world().image("a", { blobs: [1], tags: ["x"] })).toBe(digest);
      expect(await held()).toEqual([]);
      // In another repository it says nothing about this one.
      await world().deleteRestorably(repo("a"), digest);
      await world().image("b", { blobs: [1], tags: ["x"] });
      expect(await held()).toEqual(names(digest, blobNo(1)));
      expect(await missedByQueue(world().index, world().nowMs)).toEqual([]);
    });

    test("survives a rebuild of the facts", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      world().nowMs += 2 * hourMs;
      await world().deleteRestorably(repo("a"), digest);
      await index.startRebuild();
      const blob = { kind: "blob", digest: blobNo(1), sizeBytes: 1, modifiedMs: 0 } as const;
      await index.absorb([blob], { nowMs: world().nowMs, recheck: false });
      expect(await missedByQueue(index, world().nowMs)).toEqual([]);
      await collectKeeping(keepDeletedMs);
      expect(await isThere(blobNo(1))).toEqual([true]);
      await collectKeeping(0);
      expect(await isThere(blobNo(1))).toEqual([false]);
    });

    test("of what cannot be read holds nothing, for nothing could be made of it", async () => {
      const { index, nowMs } = world();
      const digest = blobNo(7);
      await index.absorb(
        [
          { kind: "blob", digest, sizeBytes: 7, modifiedMs: 0 },
          {
            kind: "revision",
            repository: repo("a"),
            digest,
            there: true,
            manifest: null,
            sizeBytes: 7,
          },
        ],
        { nowMs, recheck: false },
      );
      expect(await world().deleteRestorably(repo("a"), digest)).toMatchObject({
        outcome: "deleted",
      });
      expect(await held()).toEqual([]);
    });

    test("are released oldest first, as many as asked", async () => {
      for (const n of [1, 2, 3]) {
        const digest = await world().image("a", { blobs: [n], tags: ["x"] });
        await world().deleteRestorably(repo("a"), digest);
        world().nowMs += 1;
      }
      const { nowMs } = world();
      const options = { deletedBeforeMs: nowMs - 2, nowMs, limit: 1 };
      expect(await world().index.releaseDeletions(options)).toEqual({ released: 1, more: true });
      expect(await held()).not.toContain(short(blobNo(1)));
      expect(await world().index.releaseDeletions({ ...options, limit: 9 })).toEqual({
        released: 1,
        more: false,
      });
      expect(await held()).toContain(short(blobNo(3)));
    });
  });
}
