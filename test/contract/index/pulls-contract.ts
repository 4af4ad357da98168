// When manifests were last pulled: to the hour, bounded, and only the index knows it.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import type { TagFact } from "../../../src/registry/ports/index.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { hourMs, repo, type World } from "./world.ts";

async function tagsIn({ index }: World): Promise<readonly TagFact[]> {
  return await index.retentionTags(repo("a"), { after: null, limit: 100 });
}

export function pullsContract(driver: IndexDriver): void {
  describe("times of pulls", () => {
    const world = worldOf(driver);
    const pulledAt = async (): Promise<number | null> =>
      (await tagsIn(world()))[0]?.pulledAtMs ?? null;
    const record = async (digest: Digest, atMs: number, limit = 0): Promise<unknown> =>
      await world().index.recordPulls([{ repository: repo("a"), digest, pulledAtMs: atMs }], {
        after: null,
        limit,
      });

    test("are kept to the hour: one write an hour", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const { nowMs } = world();
      await record(digest, nowMs);
      await record(digest, nowMs + hourMs - 1);
      expect(await pulledAt()).toBe(nowMs);
      await record(digest, nowMs + hourMs);
      expect(await pulledAt()).toBe(nowMs + hourMs);
    });

    test("are noted since the first was, or since one began to", async () => {
      const { index, nowMs } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await index.pullTimesSince()).toBeNull();
      await record(digest, nowMs);
      expect(await index.pullTimesSince()).toBe(nowMs);
      await index.beginPullTimes(nowMs + hourMs);
      await index.startRebuild();
      expect(await index.pullTimesSince()).toBe(nowMs);
    });

    test("outlive a rebuild of the facts, and a sweep meanwhile", async () => {
      const { index, nowMs } = world();
      await index.markComplete();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await record(digest, nowMs);
      await index.startRebuild();
      await record(digest, nowMs + 2 * hourMs, 9);
      await world().image("a", { blobs: [1], tags: ["x"] });
      await index.markComplete();
      expect(await pulledAt()).toBe(nowMs + 2 * hourMs);
    });

    test("of what is gone are forgotten, a few at a time, and not written", async () => {
      const { index, nowMs } = world();
      await index.markComplete();
      const kept = await world().image("a", { blobs: [1], tags: ["x"] });
      const gone = await world().image("a", { blobs: [2], tags: ["y"] });
      await record(kept, nowMs);
      await record(gone, nowMs);
      await index.deleteManifest(repo("a"), gone, nowMs);
      await record(gone, nowMs + 2 * hourMs);
      // Round and round, one at a time: the end is told.
      const seen: string[] = [];
      let after: Awaited<ReturnType<typeof index.recordPulls>> = null;
      do {
        after = await index.recordPulls([], { after, limit: 1 });
        if (after !== null) seen.push(after[1]);
      } while (after !== null);
      expect(seen.sort()).toEqual([kept, gone].sort());
      await world().image("a", { blobs: [2], tags: ["y"] });
      const facts = await tagsIn(world());
      expect(facts.map(({ pulledAtMs }) => pulledAtMs)).toEqual([nowMs, null]);
    });
  });

  describe("the time of a pull of what was deleted", () => {
    const world = worldOf(driver);

    test("is kept as long as that can be restored", async () => {
      const { index } = world();
      await index.markComplete();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const { nowMs } = world();
      await index.recordPulls([{ repository: repo("a"), digest, pulledAtMs: nowMs }], {
        after: null,
        limit: 0,
      });
      const pulledAgain = async (): Promise<number | null> => {
        await index.recordPulls([], { after: null, limit: 9 });
        await world().image("a", { blobs: [1], tags: ["x"] });
        return (await tagsIn(world()))[0]?.pulledAtMs ?? null;
      };
      await world().deleteRestorably(repo("a"), digest);
      expect(await pulledAgain()).toBe(nowMs);
      await world().deleteRestorably(repo("a"), digest);
      await index.releaseDeletions({ deletedBeforeMs: nowMs, nowMs, limit: 9 });
      expect(await pulledAgain()).toBeNull();
    });
  });
}
