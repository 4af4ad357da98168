// Undoing a deletion against everything that may happen to the same image, in both orders: what comes back
// comes back whole, what does not leaves nothing half, and a push from the start succeeds in any case
// (INV-3, INV-4, INV-6).
import { describe, expect, test } from "bun:test";
import { createUnhurriedIndex } from "./unhurried-index.ts";
import { parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import type { RestoreReport } from "../../src/registry/restores.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { checkInvariants, checkNothingElse, checkPull } from "../crash/check-world.ts";
import { imageA, imageB, multi, sbom } from "../crash/content.ts";
import { collect } from "../crash/run-steps.ts";
import { createWorld, keepDeletedMs, TestClock, type World } from "../crash/world.ts";
import { Gates, type Place } from "./gate.ts";
import { push } from "./scene.ts";

const repository = parseRepositoryName("one");
const v1 = parseTag("v1");
const actor = { caller: "ann", from: "a test" };
const top = { repository, digest: multi.digest };

class Scene {
  readonly collecting = new Gates();
  readonly requesting = new Gates();
  readonly world: World;

  constructor() {
    const clock = new TestClock();
    const index = createUnhurriedIndex({ link: () => null, blobSizeBytes: () => null });
    const storage = new MemoryStorage(clock);
    this.world = createWorld({
      index: this.requesting.wrap(index),
      storage: this.requesting.wrap(storage),
      clock,
      beside: { index: this.collecting.wrap(index), storage: this.collecting.wrap(storage) },
    });
  }

  /** An index of two images, tagged, its leases over; then it is deleted with all that belongs to it. */
  static async afterDeletion(): Promise<Scene> {
    const scene = new Scene();
    const { world } = scene;
    await push(world, { repository, artifact: multi, tag: v1 });
    world.clock.passGrace();
    await world.services.deletions.deleteImage(top, { ...actor, reason: "test" });
    return scene;
  }

  restore(forceTags = false): Promise<RestoreReport> {
    return this.world.services.restores.restore(top, { actor, forceTags, dryRun: false });
  }

  /** It stands whole or not at all, whatever is collected; pushed from the start it stands. */
  async expectEnd(isRestored: boolean): Promise<void> {
    const { world } = this;
    await world.follower.catchUp();
    expect(await checkInvariants(world)).toEqual([]);
    if (isRestored) expect(await checkPull(world, top)).toEqual([]);
    world.clock.passGrace();
    await collect(world, true);
    expect(await checkInvariants(world)).toEqual([]);
    expect(await checkNothingElse(world)).toEqual([]);
    if (isRestored) expect(await checkPull(world, top)).toEqual([]);
    await push(world, { repository, artifact: multi, tag: v1 });
    expect(await checkPull(world, top)).toEqual([]);
    await world.services.manifests.delete(repository, multi.digest, "ann");
    world.clock.passGrace();
    await collect(world, true);
    expect(await checkNothingElse(world)).toEqual([]);
  }
}

const steps: readonly Place[] = [
  "before releaseDeletions",
  "after releaseDeletions",
  "before condemn",
  "after condemn",
  "before remove",
  "after remove",
  "before forget",
  "after forget",
  "before dropEmptyRepositories",
  "after dropEmptyRepositories",
];

describe("a restore while a collection that keeps nothing stands still", () => {
  for (const place of steps) {
    test(place, async () => {
      const scene = await Scene.afterDeletion();
      const gate = scene.collecting.arm(place);
      const collected = collect(scene.world, true);
      await gate.reached;
      const isRestored = place === "before releaseDeletions";
      expect((await scene.restore()).outcome).toBe(isRestored ? "restored" : "gone");
      gate.open();
      await collected;
      await scene.expectEnd(isRestored);
    });
  }
});

describe("a restore while a collection that keeps it stands still", () => {
  const places: readonly Place[] = [
    "before releaseDeletions",
    "after releaseDeletions",
    "before condemn",
    "after condemn",
    "before dropEmptyRepositories",
    "after dropEmptyRepositories",
  ];
  for (const place of places) {
    test(place, async () => {
      const scene = await Scene.afterDeletion();
      const gate = scene.collecting.arm(place);
      const collected = collect(scene.world, true, keepDeletedMs);
      await gate.reached;
      expect((await scene.restore()).outcome).toBe("restored");
      gate.open();
      await collected;
      await scene.expectEnd(true);
    });
  }

  test("and takes the untagged image of a deleted tag, before and after", async () => {
    for (const place of ["before removeManifests", "after removeManifests"] as const) {
      const scene = new Scene();
      const { world } = scene;
      await push(world, { repository, artifact: multi, tag: v1 });
      world.clock.passGrace();
      await world.services.manifests.delete(repository, v1, "ann");
      const gate = scene.collecting.arm(place);
      const collected = collect(world, true, keepDeletedMs);
      await gate.reached;
      expect((await scene.restore()).outcome).toBe("restored");
      gate.open();
      await collected;
      await scene.expectEnd(true);
    }
  });
});

describe("a restore that has looked, and then", () => {
  /** Stopped before its transaction while something else happens. */
  async function whileItWaits(
    scene: Scene,
    meanwhile: () => Promise<unknown>,
  ): Promise<RestoreReport> {
    const gate = scene.requesting.arm("before restoreDeletion");
    const restored = scene.restore();
    await gate.reached;
    await meanwhile();
    gate.open();
    return await restored;
  }

  test("a whole collection that keeps nothing: it is gone", async () => {
    const scene = await Scene.afterDeletion();
    const report = await whileItWaits(scene, () => collect(scene.world, true));
    expect(report).toMatchObject({ outcome: "gone" });
    await scene.expectEnd(false);
  });

  test("a whole collection that keeps it: restored", async () => {
    const scene = await Scene.afterDeletion();
    const report = await whileItWaits(scene, () => collect(scene.world, true, keepDeletedMs));
    expect(report).toMatchObject({ outcome: "restored" });
    await scene.expectEnd(true);
  });

  test("a push of the same: it is there", async () => {
    const scene = await Scene.afterDeletion();
    const report = await whileItWaits(scene, () =>
      push(scene.world, { repository, artifact: multi, tag: v1 }),
    );
    expect(report).toEqual({ outcome: "there" });
    await scene.expectEnd(true);
  });

  test("a push of something else under its tag: restored, and the tag stays where it is", async () => {
    const scene = await Scene.afterDeletion();
    const report = await whileItWaits(scene, () =>
      push(scene.world, { repository, artifact: imageB, tag: v1 }),
    );
    expect(report).toMatchObject({ outcome: "restored", tags: [], taken: [{ tag: v1 }] });
    const { manifests } = scene.world.services;
    expect((await manifests.find(repository, v1)).digest).toBe(imageB.digest);
  });

  test("another restore: it is there", async () => {
    const scene = await Scene.afterDeletion();
    let first: RestoreReport | null = null;
    const report = await whileItWaits(scene, async () => {
      first = await scene.restore();
    });
    expect(first).toMatchObject({ outcome: "restored" });
    expect(report).toEqual({ outcome: "there" });
    await scene.expectEnd(true);
  });

  test("another restore and another deletion: it restores that one", async () => {
    const scene = await Scene.afterDeletion();
    const report = await whileItWaits(scene, async () => {
      await scene.restore();
      await scene.world.services.manifests.delete(repository, multi.digest, "ann");
    });
    expect(report).toMatchObject({ outcome: "restored" });
    await scene.expectEnd(true);
  });

  test("its bytes are lost: nothing comes back", async () => {
    const scene = await Scene.afterDeletion();
    const [layer = multi.digest] = imageB.blobs;
    await push(scene.world, { repository, artifact: imageB, tag: v1 });
    await scene.world.services.deletions.deleteImage(
      { repository, digest: imageB.digest },
      { ...actor, reason: "test" },
    );
    const gate = scene.requesting.arm("before restoreDeletion");
    const wanted = { repository, digest: imageB.digest };
    const restored = scene.world.services.restores.restore(wanted, {
      actor,
      forceTags: false,
      dryRun: false,
    });
    await gate.reached;
    await scene.world.index.loseBytes(layer);
    gate.open();
    expect(await restored).toMatchObject({ outcome: "missing", missing: [layer] });
  });
});

describe("what has looked, and then a restore", () => {
  test("a push: accepted", async () => {
    const scene = await Scene.afterDeletion();
    const { world, requesting } = scene;
    const gate = requesting.arm(
      "before acceptManifest",
      ([accept]) => (accept as { digest: string }).digest === multi.digest,
    );
    const pushed = push(world, { repository, artifact: multi, tag: v1 });
    await gate.reached;
    expect((await scene.restore()).outcome).toBe("restored");
    gate.open();
    await pushed;
    await scene.expectEnd(true);
  });

  test("the acceptance of a referrer: accepted, and kept with its subject", async () => {
    const scene = new Scene();
    const { world, requesting } = scene;
    await push(world, { repository, artifact: imageA, tag: v1 });
    await push(world, { repository, artifact: sbom, tag: null });
    world.clock.passGrace();
    const wanted = { repository, digest: imageA.digest };
    await world.services.deletions.deleteImage(wanted, { ...actor, reason: "test" });
    await push(world, { repository, artifact: imageB, tag: parseTag("other") });
    const gate = requesting.arm("before acceptManifest");
    const pushed = push(world, { repository, artifact: sbom, tag: null });
    await gate.reached;
    const options = { actor, forceTags: false, dryRun: false };
    const report = await world.services.restores.restore(wanted, options);
    expect(report).toMatchObject({ outcome: "restored" });
    gate.open();
    await pushed;
    world.clock.passGrace();
    await collect(world, true);
    expect(await checkPull(world, wanted)).toEqual([]);
    expect(await checkPull(world, { repository, digest: sbom.digest })).toEqual([]);
  });

  test("a deletion of what is there meanwhile: deleted, and restorable again", async () => {
    const scene = await Scene.afterDeletion();
    const { world, requesting } = scene;
    const { manifests } = world.services;
    const gate = requesting.arm("before deleteRestorably");
    const deleted = manifests.delete(repository, multi.digest, "bob");
    await gate.reached;
    await scene.restore();
    gate.open();
    await deleted;
    expect((await scene.restore()).outcome).toBe("restored");
    await scene.expectEnd(true);
  });
});
