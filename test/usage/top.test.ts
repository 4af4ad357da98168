// The top lists against a count of everything, for any registry; images that share layers between their
// children; and bytes on disk.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fc from "fast-check";
import { type Digest, parseGlobs } from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { blobDataPath } from "../../src/storage/layout.ts";
import { UsageReports } from "../../src/usage/usage-reports.ts";
import { allFacts } from "../contract/index/collect.ts";
import { memoryDriver } from "../contract/index/fixture.ts";
import { worldOf } from "../contract/index/harness.ts";
import { anyOperations, contents } from "../contract/index/random-operations.ts";
import { keptUsage } from "../contract/index/usage-recount.ts";
import { blobNo, hourMs, repo, tag, World } from "../contract/index/world.ts";
import { otherRepository, repository, tag as someTag, World as Registry } from "../race/world.ts";
import { reportsOf } from "./usage-world.ts";

setDefaultTimeout(300_000);

const runs = 150 * Number(process.env["PLIMSOLL_RUNS"] ?? 1);

/** The size of an image by what its manifests name. */
async function imageBytes(index: Index, name: string, digest: Digest): Promise<number> {
  const { repositories, blobs } = await allFacts(index);
  const revisions = repositories.get(repo(name))?.revisions;
  const held = new Set<Digest>();
  const add = (manifest: Digest): void => {
    held.add(manifest);
    for (const reference of contents.get(manifest)?.manifest.references ?? []) {
      if (reference.kind === "blob") held.add(reference.digest);
      if (reference.kind === "manifest" && revisions?.has(reference.digest) === true) {
        if (!held.has(reference.digest)) add(reference.digest);
      }
    }
  };
  add(digest);
  return [...held].reduce((sum, blob) => sum + (blobs.get(blob) ?? 0), 0);
}

describe("top lists", () => {
  test("are what a count of everything finds", async () => {
    await fc.assert(
      fc.asyncProperty(anyOperations, fc.integer({ min: 1, max: 4 }), async (operations, limit) => {
        const fixture = await memoryDriver.open();
        try {
          const world = new World(fixture);
          for (const { run } of operations) await run(world);
          const { index } = world;
          const reports = reportsOf(world);
          const { repositories, blobs } = await allFacts(index);
          const largest = (sizes: Iterable<number>): number[] =>
            [...sizes].sort((a, b) => b - a).slice(0, limit);

          const byBlob = await reports.topBlobs({ limit, globs: null });
          expect(byBlob.map(({ sizeBytes }) => sizeBytes)).toEqual(largest(blobs.values()));

          const usages = [...(await keptUsage(index)).values()].filter(
            ({ manifests, tags }) => manifests > 0 || tags > 0,
          );
          const byRepository = await reports.topRepositories({
            limit,
            globs: null,
            by: "exclusiveBytes",
          });
          expect(byRepository.count).toBe(usages.length);
          expect(byRepository.rows.map(({ exclusiveBytes }) => exclusiveBytes)).toEqual(
            largest(usages.map(({ exclusiveBytes }) => exclusiveBytes)),
          );

          const sizes: number[] = [];
          for (const [name, { tags, revisions, unread }] of repositories) {
            for (const digest of tags.values()) {
              const isKnown = revisions.has(digest) && blobs.has(digest);
              if (isKnown && unread.size === 0) sizes.push(await imageBytes(index, name, digest));
            }
          }
          if ([...repositories.values()].some(({ unread }) => unread.size > 0)) return;
          const byTag = await reports.topTags({ limit, globs: null });
          expect(byTag.map(({ logicalBytes }) => logicalBytes)).toEqual(largest(sizes));
        } finally {
          await fixture.close();
        }
      }),
      { numRuns: runs },
    );
  });

  const scene = worldOf(memoryDriver);

  test("a layer that the children of an index share counts once", async () => {
    const world = scene();
    const one = await world.image("a", { blobs: [1_000, 1] });
    const two = await world.image("a", { blobs: [1_000, 2] });
    const both = await world.put("a", { children: [one, two], tags: ["both"] });
    // Larger than `both`, smaller than the sum of its children.
    await world.image("b", { blobs: [1_900], tags: ["x"] });
    const [first, second] = await reportsOf(world).topTags({ limit: 2, globs: null });
    expect([first?.tag, second?.tag]).toEqual([tag("x"), tag("both")]);
    const sizes = await world.index.findSizes([one, two, both.digest]);
    const manifests = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    expect(second).toMatchObject({ logicalBytes: 1_003 + manifests, sharedBytes: 0 });
    const [only] = await reportsOf(world).topTags({ limit: 1, globs: null });
    expect(only?.tag).toBe(tag("x"));
  });

  test("globs choose repositories in every list; of one repository, with whom it shares", async () => {
    const world = scene();
    await world.image("base", { blobs: [5_000], tags: ["x"] });
    await world.image("ci/a", { blobs: [5_000, 300], tags: ["x"] });
    await world.image("ci/b", { blobs: [5_000, 400], tags: ["x"] });
    const reports = reportsOf(world);
    const options = { limit: 9, globs: parseGlobs(["ci/**"]) };
    const { rows } = await reports.topRepositories({ ...options, by: "exclusiveBytes" });
    expect(rows.map((row) => row.repository)).toEqual([repo("ci/b"), repo("ci/a")]);
    const tags = await reports.topTags(options);
    expect(tags.map((row) => row.repository)).toEqual([repo("ci/b"), repo("ci/a")]);
    const blobs = await reports.topBlobs(options);
    expect(blobs[0]).toMatchObject({ digest: blobNo(5_000), isHeldByMore: false });
    expect(blobs.map(({ sizeBytes }) => sizeBytes).slice(0, 1)).toEqual([5_000]);
    expect(blobs).toHaveLength(5);
    const ages = await reports.byAge(options);
    expect(ages[0]).toMatchObject({ youngerThanDays: 1, manifests: 2 });

    const report = await reports.repository(repo("ci/a"), 9);
    expect(report?.sharedBytes).toBe(5_000);
    expect(report?.sharedWith.map(({ bytes }) => bytes)).toEqual([5_000, 5_000]);
    expect(await reports.repository(repo("none"), 9)).toBeNull();
  });

  test("ages count from the push, and grow", async () => {
    const world = scene();
    await world.image("a", { blobs: [100], tags: ["x"] });
    world.nowMs += 10 * 24 * hourMs;
    await world.image("a", { blobs: [100, 200], tags: ["y"] });
    const ages = await reportsOf(world).byAge({ globs: null });
    expect(ages.map(({ manifests }) => manifests)).toEqual([1, 0, 1, 0, 0, 0, 0]);
  });
});

test("stored bytes are those of the files, and deleting frees from the disk what was foretold", async () => {
  const world = new Registry();
  const shared = await world.pushBlob(repository, "a layer of two repositories");
  const layer = await world.pushBlob(repository, "a layer of one");
  await world.pushBlob(otherRepository, "a layer of two repositories");
  await world.pushManifest(repository, { layers: [shared, layer] }, { tag: someTag });
  await world.pushManifest(otherRepository, { layers: [shared] }, { tag: someTag });
  const reports = new UsageReports({
    index: world.index,
    storage: world.storage,
    clock: { now: () => world.nowMs },
    pause: () => Promise.resolve(),
  });
  const onDisk = async (): Promise<number> => {
    const sizes = (await world.stored()).map(
      async (digest) => (await world.storage.stat(blobDataPath(digest)))?.sizeBytes ?? 0,
    );
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  };
  const before = await onDisk();
  expect((await reports.summary()).storedBytes).toBe(before);
  const { bytes, blobs } = await reports.deletePreview([{ repository, reference: someTag }]);
  expect(blobs).toBeGreaterThan(1);
  const image = await world.index.findTag(repository, someTag);
  if (image === null) throw new Error("there is no image");
  await world.index.deleteManifest(repository, image.digest, world.nowMs);
  await world.collect();
  const after = await onDisk();
  expect(before - after).toBe(bytes);
  expect((await reports.summary()).storedBytes).toBe(after);
});
