// INV-9: a fact without bytes heals. A disk that lied about an fsync, or an operator's rm, leaves facts
// whose files are missing or cut short: they count as absent, and the next push of the same image mends
// them, as clients push: HEAD first, then only what is not there.
import { describe, expect, test } from "bun:test";
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import {
  BlobUnknownError,
  type Digest,
  ManifestBlobUnknownError,
  ManifestUnknownError,
} from "../../src/oci/index.ts";
import { blobDataPath } from "../../src/storage/layout.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { checkInvariants, checkPull } from "./check-world.ts";
import { type Artifact, imageA, multi, multiChildren } from "./content.ts";
import { Journal } from "./journal.ts";
import { finishCollection, pushAndDeleteEverything } from "./live-on.ts";
import { runSteps } from "./run-steps.ts";
import { everything, repositories, type Step } from "./steps.ts";
import { createWorld, TestClock, type World } from "./world.ts";

const damages = {
  missing: (storage: MemoryStorage, path: string) => storage.remove(path),
  "cut short": (storage: MemoryStorage, path: string) => storage.truncate(path, 1),
  empty: (storage: MemoryStorage, path: string) => storage.truncate(path, 0),
} as const;

const [one, two] = repositories;

/** Everything has been pushed, then the process began anew, and the bytes of this digest are damaged. */
async function damaged(
  digest: Digest,
  damage: (storage: MemoryStorage, path: string) => Promise<void>,
): Promise<World> {
  const index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
  const storage = new MemoryStorage();
  const clock = new TestClock();
  const before = createWorld({ index, storage, clock });
  await runSteps(before, everything, new Journal());
  await before.follower.catchUp();
  await damage(storage, blobDataPath(digest));
  return createWorld({ index, storage, clock });
}

function putManifest(world: World, repository: typeof one, artifact: Artifact): Promise<void> {
  if (repository === undefined) throw new Error("there are two repositories");
  const step: Step = { kind: "put-manifest", repository, digest: artifact.digest, tags: [] };
  return runSteps(world, [step], new Journal());
}

async function expectHealed(world: World): Promise<void> {
  await runSteps(world, everything, new Journal());
  await world.follower.catchUp();
  const wrong = [...(await checkInvariants(world))];
  for (const step of everything) {
    if (step.kind === "put-manifest") wrong.push(...(await checkPull(world, step)));
  }
  expect(wrong).toEqual([]);
  expect(await finishCollection(world)).toEqual([]);
  expect(await pushAndDeleteEverything(world)).toEqual([]);
}

for (const [name, damage] of Object.entries(damages)) {
  describe(`INV-9: bytes that are ${name} count as absent, and the next push mends them`, () => {
    test("a layer", async () => {
      const [layer] = imageA.blobs;
      if (one === undefined || layer === undefined) throw new Error("there is one");
      const world = await damaged(layer, damage);
      const { blobs } = world.services;
      expect(blobs.find(one, layer)).rejects.toThrow(BlobUnknownError);
      expect(blobs.findForPush(one, layer, "ann")).rejects.toThrow(BlobUnknownError);
      expect(putManifest(world, one, imageA)).rejects.toThrow(ManifestBlobUnknownError);
      await expectHealed(world);
    });

    test("a layer of another repository is not mounted", async () => {
      const [layer] = imageA.blobs;
      if (one === undefined || two === undefined || layer === undefined) throw new Error("none");
      const world = await damaged(layer, damage);
      const mount = { digest: layer, from: one, to: two, caller: "ann" };
      expect(await world.services.blobs.mount(mount)).toBeNull();
      await expectHealed(world);
    });

    test("a manifest", async () => {
      if (one === undefined) throw new Error("there is one");
      const world = await damaged(imageA.digest, damage);
      const { manifests } = world.services;
      expect(manifests.find(one, imageA.digest)).rejects.toThrow(ManifestUnknownError);
      expect(manifests.get(one, imageA.digest)).rejects.toThrow(ManifestUnknownError);
      expect(manifests.findForPush(one, imageA.digest, "ann")).rejects.toThrow(
        ManifestUnknownError,
      );
      await expectHealed(world);
    });

    test("a child of an index", async () => {
      const [child] = multiChildren;
      if (two === undefined || child === undefined) throw new Error("there is one");
      const world = await damaged(child.digest, damage);
      expect(putManifest(world, two, multi)).rejects.toThrow(ManifestBlobUnknownError);
      await expectHealed(world);
    });
  });
}
