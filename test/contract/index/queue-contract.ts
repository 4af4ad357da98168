// After anything that can happen: the queue has missed nothing, a collection leaves exactly what it
// should, and the totals are what a recount finds.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { allFacts, afterCollection, collect, missedByQueue, recount, summary } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { anyOperations, clientOperations, contents, type Operation } from "./random-operations.ts";
import { World } from "./world.ts";

/** Longer than any lease can have left. */
const allLeasesMs = 100 * 3_600_000;

async function withWorld(
  driver: IndexDriver,
  operations: readonly Operation[],
  check: (world: World) => Promise<void>,
): Promise<void> {
  const fixture = await driver.open();
  try {
    const world = new World(fixture);
    for (const { run } of operations) await run(world);
    await check(world);
  } finally {
    await fixture.close();
  }
}

const shown = (operations: readonly Operation[]): string =>
  operations.map(({ text }) => text).join("\n");

async function holds(
  driver: IndexDriver,
  sequences: fc.Arbitrary<readonly Operation[]>,
  check: (world: World) => Promise<void>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(sequences, async (operations) => {
      try {
        await withWorld(driver, operations, check);
      } catch (error) {
        throw new Error(`after:\n${shown(operations)}`, { cause: error });
      }
    }),
    { numRuns: driver.runs * Number(process.env["PLIMSOLL_RUNS"] ?? 1) },
  );
}

export function queueContract(driver: IndexDriver): void {
  describe("after any sequence of operations", () => {
    test("the queue has missed nothing", async () => {
      await holds(driver, anyOperations, async (world) => {
        expect(await missedByQueue(world.index, world.nowMs)).toEqual([]);
      });
    });

    test("totals are what a recount finds", async () => {
      await holds(driver, anyOperations, async (world) => {
        expect(await world.index.totals()).toEqual(recount(await allFacts(world.index)));
      });
    });

    test("once all leases are over, a collection leaves what tags reach, and nothing else", async () => {
      await holds(driver, clientOperations, async (world) => {
        const { index } = world;
        for (const n of [1, 2, 3]) await index.endUpload(`session-${n}`);
        world.nowMs += allLeasesMs;
        const expected = afterCollection(await allFacts(index), contents);
        await collect(index, { nowMs: world.nowMs, untagged: true });
        const after = await allFacts(index);
        expect(summary(after)).toEqual(expected);
        expect(await index.totals()).toEqual(recount(after));
        expect(await missedByQueue(index, world.nowMs)).toEqual([]);
      });
    });

    test("without a wish for untagged manifests, a collection loses nothing that a manifest names", async () => {
      await holds(driver, clientOperations, async (world) => {
        const { index } = world;
        world.nowMs += allLeasesMs;
        await collect(index, { nowMs: world.nowMs, untagged: false });
        const { repositories, blobs } = await allFacts(index);
        for (const [name, facts] of repositories) {
          for (const revision of facts.revisions) {
            expect(await index.findManifest(name, revision)).not.toBeNull();
            for (const { digest, kind } of contents.get(revision)?.manifest.references ?? []) {
              if (kind === "blob") expect(facts.layers.has(digest) && blobs.has(digest)).toBe(true);
            }
          }
        }
        expect(await missedByQueue(index, world.nowMs)).toEqual([]);
      });
    });
  });
}
