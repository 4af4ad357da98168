// Every step of a push against every step of the removal of a blob, in both orders (INV-3, INV-5, INV-6).
// The blob was uploaded once and its lease is over. What is acknowledged before it is condemned keeps it;
// afterwards it answers 404, and an upload brings it back, whether its bytes are gone already or not.
import { describe, expect, test } from "bun:test";
import { digestOf, type Digest, type RepositoryName } from "../../src/oci/index.ts";
import { layerLinkPath } from "../../src/storage/layout.ts";
import { Gates, type Place } from "./gate.ts";
import { bytesOf, graceMs, otherRepository, repository, tag, World } from "./world.ts";

const text = "a layer that nothing refers to";
const digest = digestOf(bytesOf(text));

interface Scene {
  readonly world: World;
  readonly where: RepositoryName;
  readonly caller: string;
}

/** Acts; true when the client is told that the blob is there. */
type Act = (scene: Scene) => Promise<boolean>;

const acts: Readonly<Record<"upload end" | "HEAD" | "mount" | "manifest PUT", Act>> = {
  "upload end": async ({ world, where, caller }) => {
    await world.pushBlob(where, text, caller);
    return true;
  },
  HEAD: async ({ world, caller }) =>
    (await world.index.findAndLeaseBlob(repository, digest, world.terms(caller))) !== null,
  mount: async ({ world, where, caller }) => {
    const from = where === repository ? null : repository;
    const terms = world.terms(caller);
    return (await world.index.mountBlob({ digest, from, to: where, terms })) !== null;
  },
  "manifest PUT": async ({ world, caller }) => {
    const { outcome } = await world.putManifest(
      repository,
      { layers: [digest], note: "new" },
      { tag, caller },
    );
    return outcome.accepted;
  },
};

/** Up to here the blob is held by whoever acts; from "condemn" on it is gone for them. */
const beforeCondemn: readonly (readonly [string, Place])[] = [
  ["plan", "before blobCandidates"],
  ["condemn", "before condemn"],
];
const afterCondemn: readonly (readonly [string, Place])[] = [
  ["condemn", "after condemn"],
  ["unlink", "after remove"],
  ["directory removal", "after removeEmptyDirectories"],
  ["forgetting", "after forget"],
  ["repository removal", "after dropEmptyRepositories"],
];
/** While the digest's exclusion is held: an upload waits, so it is not over before the gate opens. */
const excluded: readonly Place[] = ["after remove", "after removeEmptyDirectories"];

for (const callers of ["one caller", "two callers"] as const) {
  for (const repositories of ["one repository", "two repositories"] as const) {
    describe(`a blob, ${callers}, ${repositories}`, () => {
      const caller = callers === "one caller" ? "ann" : "bob";
      const where = repositories === "one repository" ? repository : otherRepository;
      for (const [name, act] of Object.entries(acts)) {
        for (const [step, place] of beforeCondemn) {
          test(`${name} before ${step}: it is held and stays`, async () => {
            const { acknowledged, scene } = await race(act, place, { where, caller });
            expect(acknowledged).toBe(true);
            await expectThere(scene, name);
          });
        }
        for (const [step, place] of afterCondemn) {
          const answer =
            name === "upload end" ? "it is there again" : "404, and an upload mends it";
          test(`${step} before ${name}: ${answer}`, async () => {
            const { acknowledged, scene } = await race(act, place, { where, caller });
            expect(acknowledged).toBe(name === "upload end");
            if (!acknowledged) {
              expect(await scene.world.index.findBlobAnywhere(digest)).toBeNull();
              await scene.world.pushBlob(where, text, caller);
            }
            await expectThere(scene, "upload end");
          });
        }
      }
    });
  }
}

async function race(
  act: Act,
  place: Place,
  scene: Omit<Scene, "world">,
): Promise<{ acknowledged: boolean; scene: Scene }> {
  const gates = new Gates();
  const world = new World({
    index: (index) => gates.wrap(index),
    storage: (storage) => gates.wrap(storage),
  });
  await world.pushBlob(repository, text);
  await world.follower.catchUp();
  world.nowMs += graceMs;
  // The config of the manifest that is put: what matters is the layer.
  await world.pushBlob(repository, "{}", scene.caller);
  const gate = gates.arm(place);
  const collecting = world.collect();
  await gate.reached;
  const acting = act({ world, ...scene });
  if (!excluded.includes(place)) await acting;
  gate.open();
  const acknowledged = await acting;
  expect((await collecting).report.ok).toBe(true);
  return { acknowledged, scene: { world, ...scene } };
}

/** Facts, bytes and link agree, and the next collection leaves them alone. */
async function expectThere(scene: Scene, act: string): Promise<void> {
  const { world } = scene;
  const where = act === "HEAD" || act === "manifest PUT" ? repository : scene.where;
  for (let round = 0; round < 2; round++) {
    expect(await world.index.findBlob(where, digest)).toEqual({ digest, sizeBytes: text.length });
    expect(await world.hasBytes(digest)).toBe(true);
    expect(await linkOf(world, where, digest)).toBe(digest);
    expect(await world.index.isCondemned(digest)).toBe(false);
    await world.collect({ untagged: true });
  }
  expect(world.failures).toEqual([]);
}

async function linkOf(world: World, where: RepositoryName, of: Digest): Promise<string | null> {
  await world.follower.catchUp();
  const bytes = await world.storage.readSmall(layerLinkPath(where, of), 200);
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

describe("a blob that is deleted while a collection runs", () => {
  for (const place of ["before blobCandidates", "before condemn", "after condemn"] as const) {
    test(`blob delete ${place}: answers as it is, and the next collection leaves nothing`, async () => {
      const gates = new Gates();
      const world = new World({ index: (index) => gates.wrap(index) });
      await world.pushBlob(repository, text);
      world.nowMs += graceMs;
      const gate = gates.arm(place);
      const collecting = world.collect();
      await gate.reached;
      const { outcome } = await world.index.unlinkBlob(repository, digest, world.nowMs);
      expect(outcome).toBe(place === "after condemn" ? "unknown" : "deleted");
      gate.open();
      await collecting;
      await world.collect();
      expect(await world.stored()).toEqual([]);
      expect(await world.index.listKnownRepositories({ after: null, limit: 10 })).toEqual([]);
    });
  }

  test("an upload that waits for the exclusion finds no bytes, and brings its own (INV-3)", async () => {
    const gates = new Gates();
    const world = new World({ storage: (storage) => gates.wrap(storage) });
    await world.pushBlob(repository, text);
    world.nowMs += graceMs;
    const gate = gates.arm("before remove");
    const collecting = world.collect();
    await gate.reached;
    let isOver = false;
    const uploading = world.pushBlob(repository, text).finally(() => (isOver = true));
    // Everything that can be done without the exclusion is done.
    for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    expect(isOver).toBe(false);
    gate.open();
    await Promise.all([uploading, collecting]);
    expect(await world.hasBytes(digest)).toBe(true);
    expect(await world.index.findBlob(repository, digest)).not.toBeNull();
  });
});
