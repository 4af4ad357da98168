// Whatever clients push, delete and restore, in whatever order, and whatever is collected in between: a tag
// that a rule holds never moves and stays whole, and no quota is passed.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Digest } from "../../../src/oci/index.ts";
import type { PushBounds } from "../../../src/registry/ports/index.ts";
import { collect } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { deletionBy, listed, readHeld } from "./undo.ts";
import { blobNo, hourMs, repo, tag, World } from "./world.ts";

const bounds: PushBounds = {
  immutable: [{ name: "held", tags: ["v*"] }],
  quotas: [{ name: "few", limits: { manifests: 4, tags: 5, bytes: 4_000 }, contact: null }],
};
const limits = { manifests: 4, tags: 5, logicalBytes: 4_000 } as const;
const { immutable } = bounds;

const tagName = fc.constantFrom("v1", "v2", "latest", "x");
const blob = fc.integer({ min: 1, max: 5 });
const step = fc.oneof(
  fc.record({ do: fc.constant("image" as const), blob, tag: tagName }),
  fc.record({ do: fc.constant("index" as const), of: tagName, tag: tagName }),
  fc.record({ do: fc.constantFrom("delete tag", "delete manifest", "delete image"), tag: tagName }),
  fc.record({ do: fc.constant("delete repository" as const) }),
  fc.record({ do: fc.constant("restore" as const), forceTags: fc.boolean() }),
  fc.record({ do: fc.constant("collect" as const), untagged: fc.boolean() }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

async function run(world: World, taken: Step): Promise<void> {
  const { index } = world;
  const deletion = { ...deletionBy(world), immutable };
  const digestOf = async (name: string): Promise<Digest> =>
    (await index.findTag(repo("a"), tag(name)))?.digest ?? blobNo(99);
  switch (taken.do) {
    case "image":
      await world.upload("a", taken.blob);
      await world.put("a", { layers: [blobNo(taken.blob)], tags: [taken.tag], bounds });
      break;
    case "index":
      await world.put("a", { children: [await digestOf(taken.of)], tags: [taken.tag], bounds });
      break;
    case "delete tag":
      await index.deleteTagRestorably({ repository: repo("a"), tag: tag(taken.tag) }, deletion);
      break;
    case "delete manifest":
      await index.deleteRestorably(repo("a"), await digestOf(taken.tag), deletion);
      break;
    case "delete image": {
      const digest = await digestOf(taken.tag);
      await index.deleteImage({ repository: repo("a"), digest }, deletion);
      break;
    }
    case "delete repository":
      await index.deleteRepository(repo("a"), deletion);
      break;
    case "restore": {
      const [youngest] = await listed(world);
      if (youngest === undefined) break;
      const held = await readHeld(world, youngest.id);
      await index.restoreDeletion({ ...held, forceTags: taken.forceTags, bounds });
      break;
    }
    case "collect":
      world.nowMs += 2 * hourMs;
      await collect(index, { nowMs: world.nowMs, untagged: taken.untagged });
      break;
  }
}

/** Everything that the manifest names in turn, and itself. */
async function isWhole(world: World, digest: Digest): Promise<boolean> {
  if ((await world.index.findBlob(repo("a"), digest)) === null) return false;
  for (const named of await world.index.namedByManifest(digest)) {
    if (!(await isWhole(world, named))) return false;
  }
  return true;
}

export function boundsProperty(driver: IndexDriver): void {
  describe("bounds, whatever is done", () => {
    test("a held tag never moves and stays whole; no quota is passed", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 10, maxLength: 60, size: "max" }),
          async (steps) => {
            const fixture = await driver.open();
            const world = new World(fixture);
            const held = new Map<string, Digest>();
            /** Pushed over something that had lost a part before. */
            const broken = new Set<string>();
            for (const taken of steps) {
              await run(world, taken);
              for (const name of ["v1", "v2"]) {
                const named = (await world.index.findTag(repo("a"), tag(name)))?.digest ?? null;
                const before = held.get(name);
                if (before !== undefined) expect(named, `${name} after ${taken.do}`).toBe(before);
                if (named === null) continue;
                const isNowWhole = await isWhole(world, named);
                // What an index that is pushed names must be there; that is not said of what this names.
                if (before === undefined && !isNowWhole) broken.add(name);
                held.set(name, named);
                if (!broken.has(name)) expect(isNowWhole, `${name} after ${taken.do}`).toBe(true);
              }
              const usage = await world.index.repositoryUsage(repo("a"));
              for (const measure of ["manifests", "tags", "logicalBytes"] as const) {
                expect(usage?.[measure] ?? 0).toBeLessThanOrEqual(limits[measure]);
              }
            }
            await fixture.close();
          },
        ),
        { numRuns: driver.runs * 5 },
      );
    });
  });
}
