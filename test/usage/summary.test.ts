// Every byte that is stored is in one part of the summary, whatever has happened; and what is said to be
// freed by a collection is what a collection frees.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fc from "fast-check";
import { collect } from "../contract/index/collect.ts";
import { memoryDriver } from "../contract/index/fixture.ts";
import {
  anyOperations,
  clientOperations,
  type Operation,
} from "../contract/index/random-operations.ts";
import { World } from "../contract/index/world.ts";
import { blobsOf, difference, reportsOf, settle } from "./usage-world.ts";

setDefaultTimeout(300_000);

const runs = 150 * Number(process.env["PLIMSOLL_RUNS"] ?? 1);

async function property(
  operations: fc.Arbitrary<readonly Operation[]>,
  check: (world: World) => Promise<void>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(operations, async (done) => {
      const fixture = await memoryDriver.open();
      try {
        const world = new World(fixture);
        for (const { run } of done) await run(world);
        await check(world);
      } catch (error) {
        throw new Error(`after:\n${done.map(({ text }) => text).join("\n")}`, { cause: error });
      } finally {
        await fixture.close();
      }
    }),
    { numRuns: runs },
  );
}

const sumOf = (sizes: ReadonlyMap<unknown, number>): number =>
  [...sizes.values()].reduce((sum, size) => sum + size, 0);

describe("the summary", () => {
  test("puts every byte that is stored into one part", async () => {
    await property(anyOperations, async (world) => {
      const summary = await reportsOf(world).summary();
      const { heldBytes, restorable, leased, waiting, condemned, mayBeHeldBytes } = summary;
      const parts = heldBytes + restorable.bytes + leased.bytes + waiting.bytes + condemned.bytes;
      expect(parts + mayBeHeldBytes).toBe(summary.storedBytes);
      expect(mayBeHeldBytes).toBeGreaterThanOrEqual(0);
      if (summary.unreadableManifests === 0) expect(parts).toBe(summary.storedBytes);
      expect(summary.storedBytes - condemned.bytes).toBe(sumOf(await blobsOf(world)));
    });
  });

  test("what waits, and what -m would free beyond, is what collections free", async () => {
    await property(clientOperations, async (world) => {
      const { index } = world;
      // What was deleted for good by now waits; leases that are over hold nothing.
      for (const n of [1, 2, 3]) await index.endUpload(`session-${n}`);
      world.nowMs += 100 * 3_600_000;
      const { restorable, waiting, garbage, condemned, untagged } =
        await reportsOf(world).summary();
      const before = await blobsOf(world);
      await collect(index, { nowMs: world.nowMs, untagged: false, keepDeletedMs: 1e12 });
      const between = await blobsOf(world);
      expect(difference(before, between).bytes).toBe(waiting.bytes + garbage.bytes);
      expect(condemned.blobs).toBeGreaterThanOrEqual(0);
      // Deletions that can be undone still hold what they did, and nothing of what goes.
      if (restorable.blobs > 0) return;
      await settle(world, true);
      expect(difference(between, await blobsOf(world)).bytes).toBe(untagged.bytes);
    });
  });
});
