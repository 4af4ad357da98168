// What the index keeps about space is what a count of everything finds, after whatever happens.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Difference } from "../../../src/registry/ports/index.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { anyOperations } from "./random-operations.ts";
import { keptUsage, recountUsage } from "./usage-recount.ts";
import { blobNo, contentOf, repo, tag, World } from "./world.ts";

export function usageContract(driver: IndexDriver): void {
  describe("usage of a repository", () => {
    const world = worldOf(driver);
    const usageOf = (
      name: string,
    ): Promise<{ logicalBytes: number; exclusiveBytes: number } | null> =>
      world().index.repositoryUsage(repo(name));

    test("unknown: null; known by an upload alone: nothing", async () => {
      expect(await usageOf("a")).toBeNull();
      await world().upload("a", 100);
      expect(await usageOf("a")).toEqual({
        manifests: 0,
        tags: 0,
        logicalBytes: 0,
        exclusiveBytes: 0,
      } as never);
    });

    test("a second holder takes what was exclusive, its deletion gives it back", async () => {
      await world().image("a", { blobs: [100, 200], tags: ["x"] });
      const before = await usageOf("a");
      expect(before?.exclusiveBytes).toBe(before?.logicalBytes);
      const digest = await world().image("b", { blobs: [200, 300], tags: ["x"] });
      expect(await usageOf("a")).toMatchObject({
        logicalBytes: before?.logicalBytes ?? 0,
        exclusiveBytes: (before?.exclusiveBytes ?? 0) - 200,
      });
      await world().index.deleteManifest(repo("b"), digest, world().nowMs);
      expect(await usageOf("a")).toEqual(before as never);
    });

    test("a blob that several manifests of it name counts once, and until the last is gone", async () => {
      const first = await world().image("a", { blobs: [100], tags: ["x"] });
      const second = await world().image("a", { blobs: [100, 1], tags: ["y"] });
      await world().index.deleteManifest(repo("a"), first, world().nowMs);
      expect(await keptUsage(world().index)).toEqual(await recountUsage(world().index));
      await world().index.deleteManifest(repo("a"), second, world().nowMs);
      expect(await usageOf("a")).toMatchObject({ logicalBytes: 0, exclusiveBytes: 0 });
    });

    test("bytes that are lost count for nobody until they are pushed again", async () => {
      for (const name of ["a", "b", "c"]) {
        await world().image(name, { blobs: [100, 50 + name.length], tags: ["x"] });
      }
      const before = await keptUsage(world().index);
      await world().index.loseBytes(blobNo(100));
      expect(await keptUsage(world().index)).toEqual(await recountUsage(world().index));
      await world().upload("b", 100);
      expect(await keptUsage(world().index)).toEqual(before);
    });

    test("a moved tag counts once", async () => {
      await world().image("a", { blobs: [1], tags: ["x", "y"] });
      await world().image("a", { blobs: [2], tags: ["x"] });
      expect(await usageOf("a")).toMatchObject({ tags: 2, manifests: 2 });
      await world().index.deleteTag(repo("a"), tag("x"), world().nowMs);
      expect(await usageOf("a")).toMatchObject({ tags: 1, manifests: 2 });
    });

    test("a first build is counted before it counts as complete", async () => {
      const { index } = world();
      await index.startRebuild();
      await index.absorb(firstBuild(), { nowMs: 1, recheck: false });
      await index.markComplete();
      const kept = await keptUsage(index);
      expect(kept).toEqual(await recountUsage(index));
      expect(kept.get(repo("a"))).toMatchObject({ manifests: 30, tags: 30 });
      // From here on it is kept as ever.
      await world().image("a", { blobs: [100, 200], tags: ["late"] });
      await world().image("z", { blobs: [100], tags: ["late"] });
      expect(await keptUsage(index)).toEqual(await recountUsage(index));
    });
  });

  describe("the history of usage", () => {
    const world = worldOf(driver);

    test("one sample a day, the last of the day; a rebuild keeps it, and the oldest go", async () => {
      const { index } = world();
      expect(await index.usageHistory(9)).toEqual([]);
      await index.recordUsage({ day: 1, nowMs: 10 });
      await world().image("a", { blobs: [100], tags: ["x"] });
      await index.recordUsage({ day: 1, nowMs: 20 });
      const { unreadableManifests, ...totals } = await index.usageTotals();
      expect(unreadableManifests).toBe(0);
      expect(totals.heldBytes).toBe(totals.storedBytes);
      expect(await index.usageHistory(9)).toEqual([{ day: 1, takenAtMs: 20, ...totals }]);
      await index.startRebuild();
      for (let day = 2; day <= 500; day++) await index.recordUsage({ day, nowMs: day });
      const history = await index.usageHistory(1_000);
      expect(history.map(({ day }) => day)).toEqual(Array.from({ length: 400 }, (_, n) => 500 - n));
      expect(history[0]?.storedBytes).toBe(0);
    });
  });

  test("usage never drifts, whatever happens", async () => {
    await fc.assert(
      fc.asyncProperty(anyOperations, async (operations) => {
        const fixture = await driver.open();
        try {
          const world = new World(fixture);
          const done: string[] = [];
          for (const { text, run } of operations) {
            await run(world);
            done.push(text);
            const kept = await keptUsage(world.index);
            expect({ done, kept }).toEqual({ done, kept: await recountUsage(world.index) });
          }
        } finally {
          await fixture.close();
        }
      }),
      { numRuns: Math.ceil(driver.runs / 3) * Number(process.env["PLIMSOLL_RUNS"] ?? 1) },
    );
  });
}

/** Thirty images of two repositories that share layers, as a walk of a tree tells them. */
function firstBuild(): Difference[] {
  const differences: Difference[] = [];
  for (let n = 1; n <= 30; n++) {
    const blobs = [100 + (n % 7), 200 + n];
    const { digest, bytes, manifest } = contentOf({ layers: blobs.map(blobNo) });
    for (const repository of ["a", ...(n % 3 === 0 ? ["b"] : [])].map(repo)) {
      for (const size of blobs) {
        const blob = { digest: blobNo(size), sizeBytes: size, modifiedMs: 0 };
        differences.push({ kind: "blob", ...blob });
        differences.push({ kind: "layer", repository, digest: blobNo(size), there: true });
      }
      const sizeBytes = bytes.length;
      differences.push({ kind: "blob", digest, sizeBytes, modifiedMs: 0 });
      differences.push({ kind: "revision", repository, digest, there: true, manifest, sizeBytes });
      differences.push({ kind: "tag", repository, tag: tag(`t${n}`), digest, modifiedMs: 0 });
    }
  }
  return differences;
}
