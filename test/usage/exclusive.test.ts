// What a preview says would be freed is what a real deletion and a collection free, to the byte: for any
// registry, and any set of repositories, tags and manifests.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fc from "fast-check";
import type { Digest, RepositoryName } from "../../src/oci/index.ts";
import type { RepositoryManifest } from "../../src/registry/ports/index.ts";
import type { DeleteTarget } from "../../src/usage/delete-preview.ts";
import { collect } from "../contract/index/collect.ts";
import { memoryDriver } from "../contract/index/fixture.ts";
import { clientOperations, type Operation } from "../contract/index/random-operations.ts";
import { worldOf } from "../contract/index/harness.ts";
import { blobNo, contentOf, repo, tag, World } from "../contract/index/world.ts";
import { blobsOf, deleteRepository, difference, reportsOf, settle } from "./usage-world.ts";

setDefaultTimeout(300_000);

const runs = 150 * Number(process.env["PLIMSOLL_RUNS"] ?? 1);

/** Chooses targets of what is there by numbers that fast-check can shrink. */
async function targetsIn(world: World, choices: readonly number[]): Promise<DeleteTarget[]> {
  const all: DeleteTarget[] = [];
  const known = await world.index.listKnownRepositories({ after: null, limit: 99 });
  for (const repository of known) {
    all.push({ repository, reference: null });
    const { tags, revisions } = await world.index.repositoryFacts(repository);
    // More often than repositories, which hold all of them.
    for (const reference of [...tags.keys(), ...revisions]) all.push({ repository, reference });
  }
  if (all.length === 0) return [];
  return choices.flatMap((choice) => all[choice % all.length] ?? []);
}

interface Foretold {
  readonly manifests: readonly RepositoryManifest[];
  readonly blobs: readonly Digest[];
  readonly bytes: number;
}

async function foretell(world: World, targets: readonly DeleteTarget[]): Promise<Foretold> {
  const manifests: RepositoryManifest[] = [];
  const blobs: Digest[] = [];
  const preview = await reportsOf(world).deletePreview(targets, {
    manifest: (manifest) => void manifests.push(manifest),
    blobs: (page) => void blobs.push(...page.map(({ digest }) => digest)),
  });
  expect(preview.blobs).toBe(blobs.length);
  expect(preview).toMatchObject({ atLeast: false, unknown: [] });
  return { manifests, blobs: blobs.toSorted(), bytes: preview.bytes };
}

const wholeOnes = (targets: readonly DeleteTarget[]): RepositoryName[] => [
  ...new Set(targets.filter(({ reference }) => reference === null).map((one) => one.repository)),
];

async function property(
  check: (world: World, choices: readonly number[]) => Promise<void>,
): Promise<void> {
  const choices = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(clientOperations, choices, async (operations, chosen) => {
      const fixture = await memoryDriver.open();
      try {
        const world = new World(fixture);
        for (const { run } of operations) await run(world);
        await check(world, chosen);
      } catch (error) {
        throw new Error(`after:\n${shown(operations)}`, { cause: error });
      } finally {
        await fixture.close();
      }
    }),
    { numRuns: runs },
  );
}

const shown = (operations: readonly Operation[]): string =>
  operations.map(({ text }) => text).join("\n");

describe("what deleting a set would free", () => {
  test("is what deleting all that it takes along, and collecting, frees: untagged manifests stay", async () => {
    await property(async (world, choices) => {
      await settle(world, false);
      const targets = await targetsIn(world, choices);
      const foretold = await foretell(world, targets);
      const before = await blobsOf(world);
      for (const repository of wholeOnes(targets)) await deleteRepository(world, repository);
      for (const { repository, digest } of foretold.manifests) {
        await world.index.deleteManifest(repository, digest, world.nowMs);
      }
      await collect(world.index, { nowMs: world.nowMs, untagged: false });
      const { digests, bytes } = difference(before, await blobsOf(world));
      expect({ targets, digests, bytes }).toEqual({
        targets,
        digests: foretold.blobs,
        bytes: foretold.bytes,
      });
    });
  });

  test("is what deleting just the set, and collecting with -m, frees where nothing was untagged", async () => {
    await property(async (world, choices) => {
      await settle(world, true);
      const targets = await targetsIn(world, choices);
      const foretold = await foretell(world, targets);
      const before = await blobsOf(world);
      for (const { repository, reference } of targets) {
        if (reference === null) await deleteRepository(world, repository);
        else if (reference.includes(":")) {
          await world.index.deleteManifest(repository, reference as Digest, world.nowMs);
        } else await world.index.deleteTag(repository, reference as never, world.nowMs);
      }
      await collect(world.index, { nowMs: world.nowMs, untagged: true });
      const { digests, bytes } = difference(before, await blobsOf(world));
      expect({ targets, digests, bytes }).toEqual({
        targets,
        digests: foretold.blobs,
        bytes: foretold.bytes,
      });
    });
  });

  test("of one repository is the sum that is kept of it", async () => {
    await property(async (world) => {
      await settle(world, false);
      const known = await world.index.listKnownRepositories({ after: null, limit: 99 });
      for (const repository of known) {
        const { bytes } = await foretell(world, [{ repository, reference: null }]);
        const usage = await world.index.repositoryUsage(repository);
        expect({ repository, bytes }).toEqual({ repository, bytes: usage?.exclusiveBytes ?? -1 });
      }
    });
  });
});

describe("a tag is deleted", () => {
  const scene = worldOf(memoryDriver);
  const goingWith = async (reference: string): Promise<string[]> => {
    const target = { repository: repo("a"), reference: tag(reference) };
    return (await foretell(scene(), [target])).manifests.map(({ digest }) => digest).toSorted();
  };

  test("its manifest stays while another tag names it", async () => {
    await scene().image("a", { blobs: [1], tags: ["x", "y"] });
    expect(await goingWith("x")).toEqual([]);
  });

  test("a referrer stays with its subject, and keeps it", async () => {
    const subject = await scene().image("a", { blobs: [1], tags: ["x"] });
    await scene().put("a", { config: blobNo(1), subject, tags: ["signature"] });
    expect(await goingWith("signature")).toEqual([]);
    expect(await goingWith("x")).toEqual([]);
    await scene().index.deleteTag(repo("a"), tag("x"), scene().nowMs);
    // Each leads to the other, and nothing else to either.
    expect(await goingWith("signature")).toHaveLength(2);
  });

  test("what an index of indexes leads to stays, and what hangs on the tag alone goes", async () => {
    const child = await scene().image("a", { blobs: [1] });
    const other = await scene().image("a", { blobs: [2] });
    const inner = await scene().put("a", { children: [child], tags: ["inner"] });
    await scene().put("a", { children: [inner.digest], tags: ["outer"] });
    expect(await goingWith("inner")).toEqual([]);
    const both = await scene().put("a", { children: [child, other], tags: ["both"] });
    expect(await goingWith("both")).toEqual([both.digest, other].toSorted());
  });

  test("nothing but itself is known to go where a manifest cannot be read", async () => {
    const child = await scene().image("a", { blobs: [1] });
    const { digest } = await scene().put("a", { children: [child], tags: ["x"] });
    const bent = contentOf({ config: blobNo(9) }).digest;
    const revision = {
      kind: "revision",
      repository: repo("a"),
      digest: bent,
      there: true,
    } as const;
    await scene().index.absorb([{ ...revision, manifest: null, sizeBytes: 1 }], {
      nowMs: 1,
      recheck: false,
    });
    expect(await goingWith("x")).toEqual([]);
    const preview = await foretell(scene(), [{ repository: repo("a"), reference: digest }]);
    expect(preview.manifests).toEqual([{ repository: repo("a"), digest }]);
  });
});
