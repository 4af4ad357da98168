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
import { blobsOf, difference, reportsOf } from "./usage-world.ts";

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

  test("what waits, what can be undone, and what -m would free beyond, is what collections free", async () => {
    await property(clientOperations, async (world) => {
      const { index } = world;
      for (const n of [1, 2, 3]) await index.endUpload(`session-${n}`);
      // Leases that are over hold nothing.
      world.nowMs += 100 * 3_600_000;
      const { restorable, waiting, leased, garbage, untagged } = await reportsOf(world).summary();
      expect(leased).toEqual({ blobs: 0, bytes: 0 });
      const before = await blobsOf(world);
      await collect(index, { nowMs: world.nowMs, untagged: false });
      const between = await blobsOf(world);
      expect(difference(before, between).bytes).toBe(
        waiting.bytes + garbage.bytes + restorable.bytes,
      );
      await collect(index, { nowMs: world.nowMs, untagged: true });
      expect(difference(between, await blobsOf(world)).bytes).toBe(untagged.bytes);
    });
  });
});
