// What metrics ask: totals, heads of the queues, and counts in pages.
import { describe, expect, test } from "bun:test";
import type { Countable, Index } from "../../../src/registry/ports/index.ts";
import { collect } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { hourMs, repo, tag } from "./world.ts";

async function countAll(index: Index, what: Countable, limit: number): Promise<number> {
  let total = 0;
  for (let after: string | number | null = null; ;) {
    const page = await index.countPage({ what, after, limit });
    total += page.count;
    expect(page.count).toBeLessThanOrEqual(limit);
    if (page.count < limit) return total;
    after = page.last;
  }
}

export function metricsContract(driver: IndexDriver): void {
  describe("what metrics ask", () => {
    const world = worldOf(driver);

    test("an empty index has nothing, and nothing is due", async () => {
      const { index } = world();
      const nothing = {
        blobs: 0,
        blobBytes: 0,
        manifests: 0,
        blobDueMs: null,
        manifestDueMs: null,
      };
      expect(await index.gauges()).toMatchObject(nothing);
      expect(await index.countPage({ what: "repositories", after: null, limit: 3 })).toEqual({
        count: 0,
        last: null,
      });
    });

    test("totals are those of a report; a page at a time, everything is counted once", async () => {
      const { index } = world();
      for (const name of ["b", "a", "c/d", "c/e", "f"]) {
        await world().image(name, { blobs: [1, 2], tags: ["x"] });
      }
      for (const n of [1, 2, 3]) {
        const upload = { id: `u${n}`, repository: repo("g"), owner: null, startedAtMs: 1 };
        await index.beginUpload({ ...upload, terms: world().terms() });
      }
      for (const n of [7, 8, 9]) await world().upload("g", n);
      const { blobs, blobBytes, manifests, repositories } = await index.totals();
      expect(await index.gauges()).toMatchObject({ blobs, blobBytes, manifests });
      for (const limit of [1, 2, 3, 5, 100]) {
        expect(await countAll(index, "repositories", limit)).toBe(repositories);
        expect(await countAll(index, "uploads", limit)).toBe(3);
        expect(await countAll(index, "blob-candidates", limit)).toBe(3);
      }
    });

    test("queues: how long, since when due, and empty after a collection", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1, 2], tags: ["x"] });
      world().nowMs += 2 * hourMs;
      const { nowMs } = world();
      await collect(index, { nowMs, untagged: true });
      expect(await index.gauges()).toMatchObject({ blobDueMs: null, manifestDueMs: null });
      expect(await countAll(index, "blob-candidates", 9)).toBe(0);
      await index.deleteTag(repo("a"), tag("x"), nowMs + 5);
      expect(await countAll(index, "manifest-candidates", 9)).toBe(1);
      const { manifestDueMs } = await index.gauges();
      expect(manifestDueMs).toBe(nowMs + 5);
      await collect(index, { nowMs: nowMs + 6, untagged: true });
      expect(await index.gauges()).toMatchObject({ blobs: 0, manifests: 0, manifestDueMs: null });
      expect(await countAll(index, "manifest-candidates", 9)).toBe(0);
    });

    test("what was answered from memory, and what was not", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1], tags: ["x"] });
      const { cache: before } = await index.gauges();
      for (let n = 0; n < 3; n++) await index.findTag(repo("a"), tag("x"));
      const { cache } = await index.gauges();
      expect([cache.hits - before.hits, cache.misses - before.misses]).toEqual([2, 1]);
    });
  });
}
