// Deletions that can be undone, and a collection: what it keeps for them, what a dry run foretells, and
// when they are let go (gc.keepdeleted).
import { describe, expect, test } from "bun:test";
import type { Digest } from "../oci/index.ts";
import { graceMs, otherRepository, repository, tag, World } from "../../test/race/world.ts";

const keepDeletedMs = 24 * graceMs;

async function deletedImage(world: World): Promise<{ image: Digest; layer: Digest }> {
  const layer = await world.pushBlob(repository, "the layer");
  const image = await world.pushManifest(repository, { layers: [layer] }, { tag });
  const deletion = { nowMs: world.nowMs, deletedBy: "ann", reason: "client" } as const;
  await world.index.deleteRestorably(repository, image, deletion);
  return { image, layer };
}

describe("a deletion that can be undone", () => {
  test("keeps its bytes while it is younger than asked, and the report says so", async () => {
    const world = new World();
    await deletedImage(world);
    const before = await world.stored();
    const dry = await world.collect({ dryRun: true, keepDeletedMs });
    const { report } = await world.collect({ keepDeletedMs });
    expect(await world.stored()).toEqual(before);
    expect(report).toMatchObject({
      ok: true,
      blobs: 0,
      links: 2,
      repositories: 1,
      restorable: { count: 1, untilMs: world.nowMs + keepDeletedMs, atLeast: false },
      spared: { leased: { count: 0 } },
    });
    expect(report.restorable.bytes).toBeGreaterThan(0);
    const { blobs, links, bytes, restorable } = report;
    expect(dry.report).toMatchObject({ blobs, links, bytes, restorable });
    expect((await world.collect({ keepDeletedMs, full: true })).report.queueMissed).toBe(0);
  });

  test("is let go at once unless asked otherwise, and a dry run foretells it", async () => {
    const world = new World();
    await deletedImage(world);
    // What a background run has taken out of the queue is foretold all the same.
    for (const kept of [true, false]) {
      if (kept) await world.collect({ keepDeletedMs });
      const dry = await world.collect({ dryRun: true });
      expect(dry.report).toMatchObject({ blobs: 3, restorable: { count: 0, bytes: 0 } });
    }
    const dry = await world.collect({ dryRun: true });
    const real = await world.collect();
    const { blobs, bytes } = real.report;
    expect(dry.report).toMatchObject({ blobs, bytes });
    expect(await world.stored()).toEqual([]);
  });

  test("is let go by the first run after its time", async () => {
    const world = new World();
    await deletedImage(world);
    await world.collect({ keepDeletedMs });
    world.nowMs += keepDeletedMs;
    const dry = await world.collect({ dryRun: true, keepDeletedMs });
    const real = await world.collect({ keepDeletedMs });
    expect(real.report).toMatchObject({ blobs: 3, bytes: dry.report.bytes });
    expect(dry.report.blobs).toBe(3);
    expect(await world.stored()).toEqual([]);
  });

  test("holds what another repository lets go of", async () => {
    const world = new World();
    const { layer } = await deletedImage(world);
    await world.pushBlob(otherRepository, "the layer");
    await world.index.unlinkBlob(otherRepository, layer, world.nowMs);
    expect((await world.collect({ keepDeletedMs })).report.blobs).toBe(0);
    expect(await world.hasBytes(layer)).toBe(true);
  });

  test("holds alone what the run takes from an untagged image elsewhere; a dry run foretells it", async () => {
    const world = new World();
    const { layer } = await deletedImage(world);
    await world.pushBlob(otherRepository, "the layer");
    await world.pushManifest(otherRepository, { layers: [layer] }, { tag });
    await world.index.deleteTag(otherRepository, tag, world.nowMs);
    const options = { keepDeletedMs, untagged: true };
    const before = await world.collect({ keepDeletedMs, dryRun: true });
    expect(before.report).toMatchObject({ manifests: 0, restorable: { count: 1, bytes: 0 } });
    const dry = await world.collect({ ...options, dryRun: true });
    const { manifests, restorable } = (await world.collect(options)).report;
    expect(restorable.bytes).toBeGreaterThan(0);
    expect(manifests).toBe(1);
    expect(dry.report).toMatchObject({ manifests, restorable });
  });

  test("deleted before the condemnation: held; released before it: gone; pushed again: stays", async () => {
    const world = new World();
    const { image, layer } = await deletedImage(world);
    const page = { after: null, limit: 99, nowMs: world.nowMs };
    const options = { nowMs: world.nowMs, foreignGraceMs: graceMs };
    const first = await world.index.condemn(await world.index.blobCandidates(page), options);
    expect(first.condemned).toEqual([]);
    const release = { deletedBeforeMs: world.nowMs, nowMs: world.nowMs, limit: 9 };
    await world.index.releaseDeletions(release);
    await world.pushBlob(repository, "the layer");
    await world.pushManifest(repository, { layers: [layer] }, { tag });
    expect((await world.collect()).report.blobs).toBe(0);
    expect(await world.isPullable(repository, image, { layers: [layer] })).toBe(true);
  });

  test("who keeps nothing does not join a run that keeps something", async () => {
    const world = new World();
    await deletedImage(world);
    const both = await Promise.all([world.collect({ keepDeletedMs }), world.collect()]);
    expect(both[0].report.startedAtMs).toBe(both[1].report.startedAtMs);
    expect(both[0].report.blobs).toBe(0);
    expect(both[1].report.blobs).toBe(3);
  });
});
