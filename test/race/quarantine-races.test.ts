// A quarantine against everything that may happen to the same blob, in both orders (INV-3, INV-9): altered
// bytes are moved and never lost, right bytes are never moved, and the next push always mends.
import { describe, expect, test } from "bun:test";
import { type Digest, digestOf } from "../../src/oci/index.ts";
import { Quarantine } from "../../src/registry/quarantine.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { blobDataPath, blobDirectory, quarantinePath } from "../../src/storage/layout.ts";
import { Gates, type Place } from "./gate.ts";
import { bytesOf, graceMs, repository, tag, World } from "./world.ts";

const text = "the bytes of a layer, as they were pushed";
const digest = digestOf(bytesOf(text));
const altered = text.replace("bytes", "bites");
const kept = quarantinePath(digest, 1);

/** As `Gates.wrap`, but for `read`, which is no promise. */
function wrapStorage(gates: Gates, storage: Storage): Storage {
  const wrapped = gates.wrap(storage);
  return new Proxy(storage, {
    get: (target, name) =>
      name === "read" ? target.read.bind(target) : (Reflect.get(wrapped, name) as unknown),
  });
}

interface Scene {
  readonly world: World;
  readonly gates: Gates;
  readonly quarantine: Quarantine;
}

/** One image of one layer, its lease over; the layer's bytes are altered, their number is not. */
async function scene(content: "altered" | "cut short" | "right" = "altered"): Promise<Scene> {
  const gates = new Gates();
  const world = new World();
  await world.pushBlob(repository, text);
  await world.pushManifest(repository, { layers: [digest] }, { tag });
  await world.follower.catchUp();
  if (content !== "right") {
    const bytes = content === "altered" ? altered : text.slice(0, 9);
    await world.storage.putFile(blobDataPath(digest), bytesOf(bytes));
  }
  const quarantine = new Quarantine({
    index: gates.wrap(world.index),
    storage: wrapStorage(gates, world.storage),
    locks: world.locks,
  });
  return { world, gates, quarantine };
}

async function textAt(world: World, path: string): Promise<string | null> {
  const bytes = await world.storage.readSmall(path, 1_000);
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

/** What a client that looks is told: the fact, and only with bytes. */
async function isAnswered(world: World): Promise<boolean> {
  const fact = await world.index.findBlob(repository, digest);
  const stat = await world.storage.stat(blobDataPath(digest));
  return fact !== null && stat?.sizeBytes === fact.sizeBytes;
}

async function expectMended(world: World): Promise<void> {
  await world.pushBlob(repository, text);
  expect(await isAnswered(world)).toBe(true);
  expect(await textAt(world, blobDataPath(digest))).toBe(text);
  expect(await world.index.findTag(repository, tag)).not.toBeNull();
}

for (const content of ["altered", "cut short"] as const) {
  test(`bytes that are ${content} are moved, answer 404, and the next push mends`, async () => {
    const { world, quarantine } = await scene(content);
    const before = await world.index.totals();
    expect(await quarantine.check(digest)).toEqual({ kind: "moved", path: kept });
    expect(await isAnswered(world)).toBe(false);
    expect(await textAt(world, blobDataPath(digest))).toBeNull();
    expect(await textAt(world, kept)).toBe(content === "altered" ? altered : text.slice(0, 9));
    const { blobBytes, blobs } = await world.index.totals();
    expect({ blobs, blobBytes }).toEqual({
      blobs: before.blobs - 1,
      blobBytes: before.blobBytes - text.length,
    });
    // Its directory is gone with it: nothing odd stays in the tree.
    const names = await Array.fromAsync(world.storage.list(blobDirectory(digest)));
    expect(names).toEqual([]);
    await expectMended(world);
    expect(await world.index.totals()).toEqual(before);
    expect(await textAt(world, kept)).not.toBeNull();
  });
}

test("altered a second time, the first file in quarantine stays beside the second", async () => {
  const { world, quarantine } = await scene();
  await quarantine.check(digest);
  await world.pushBlob(repository, text);
  await world.storage.putFile(blobDataPath(digest), bytesOf("other"));
  const second = quarantinePath(digest, 2);
  expect(await quarantine.check(digest)).toEqual({ kind: "moved", path: second });
  expect(await textAt(world, kept)).toBe(altered);
  expect(await textAt(world, second)).toBe("other");
});

test("right bytes stay, and so does what is not there", async () => {
  const { world, quarantine } = await scene("right");
  expect(await quarantine.check(digest)).toEqual({ kind: "sound" });
  expect(await isAnswered(world)).toBe(true);
  await world.storage.remove(blobDataPath(digest));
  expect(await quarantine.check(digest)).toEqual({ kind: "gone" });
  await expectMended(world);
});

test("two at once: one moves, the other finds nothing", async () => {
  const { world, quarantine } = await scene();
  const outcomes = await Promise.all([quarantine.check(digest), quarantine.check(digest)]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(["moved", "gone"]);
  await expectMended(world);
});

describe("a push of the same blob", () => {
  test("before: what was seen altered is right by now, and stays", async () => {
    const { world, quarantine } = await scene("cut short");
    // The size told the push that its bytes are needed.
    await world.pushBlob(repository, text);
    expect(await quarantine.check(digest)).toEqual({ kind: "sound" });
    expect(await isAnswered(world)).toBe(true);
  });

  test("before, its bytes thrown away as not needed: quarantined, and the next push mends", async () => {
    const { world, quarantine } = await scene();
    await world.pushBlob(repository, text);
    expect(await quarantine.check(digest)).toMatchObject({ kind: "moved" });
    await expectMended(world);
  });

  for (const place of [
    "before move",
    "after move",
    "before loseBytes",
    "after loseBytes",
  ] as const) {
    test(`${place}: it waits for the exclusion, then brings its bytes`, async () => {
      const { world, gates, quarantine } = await scene();
      const gate = gates.arm(place);
      const quarantining = quarantine.check(digest);
      await gate.reached;
      let isOver = false;
      const pushing = world.pushBlob(repository, text).finally(() => (isOver = true));
      for (let turn = 0; turn < 100; turn++) await Promise.resolve();
      expect(isOver).toBe(false);
      // Whoever looks just now is told the truth, or that there is nothing.
      expect(await isAnswered(world)).toBe(place === "before move");
      gate.open();
      expect(await quarantining).toMatchObject({ kind: "moved" });
      await pushing;
      expect(await isAnswered(world)).toBe(true);
      expect(await textAt(world, blobDataPath(digest))).toBe(text);
      expect(await textAt(world, kept)).toBe(altered);
    });
  }
});

describe("a collection", () => {
  /** Nothing refers to the blob any more. */
  async function garbage(): Promise<Scene & { readonly manifest: Digest }> {
    const made = await scene();
    const { world } = made;
    const manifest = (await world.index.findTag(repository, tag))?.digest;
    if (manifest === undefined) throw new Error("the image is tagged");
    await world.index.deleteManifest(repository, manifest, world.nowMs);
    world.nowMs += graceMs;
    return { ...made, manifest };
  }

  /** Nothing but what is in quarantine is left of the image. */
  async function expectCollected(world: World): Promise<void> {
    await world.collect();
    expect(await world.stored()).toEqual([]);
    expect(await world.index.findBlobAnywhere(digest)).toBeNull();
    expect(await world.index.isCondemned(digest)).toBe(false);
    expect((await world.index.totals()).blobBytes).toBe(0);
    await world.pushBlob(repository, text);
    expect(await isAnswered(world)).toBe(true);
  }

  test("has condemned the blob before: it is the collector's", async () => {
    const { world, quarantine } = await garbage();
    const candidates = await world.index.blobCandidates({
      after: null,
      limit: 100,
      nowMs: world.nowMs,
    });
    await world.index.condemn(candidates, { nowMs: world.nowMs, foreignGraceMs: 0 });
    expect(await quarantine.check(digest)).toEqual({ kind: "condemned" });
    await expectCollected(world);
  });

  const inside: readonly Place[] = ["before stat", "before move", "after move", "after loseBytes"];
  for (const place of inside) {
    test(`condemns ${place}, and unlinks when the quarantine is over`, async () => {
      const { world, gates, quarantine } = await garbage();
      const gate = gates.arm(place);
      const quarantining = quarantine.check(digest);
      await gate.reached;
      const collecting = world.collect();
      for (let turn = 0; turn < 100; turn++) await Promise.resolve();
      gate.open();
      expect(await quarantining).toMatchObject({ kind: "moved" });
      expect((await collecting).report.ok).toBe(true);
      expect(await textAt(world, kept)).toBe(altered);
      await expectCollected(world);
    });
  }

  test("has unlinked before: nothing is there", async () => {
    const { world, quarantine } = await garbage();
    await world.collect();
    expect(await quarantine.check(digest)).toEqual({ kind: "gone" });
    await expectCollected(world);
  });

  test("afterwards keeps the image's other content for the push that mends (INV-7)", async () => {
    const { world, quarantine } = await scene();
    await quarantine.check(digest);
    world.nowMs += graceMs;
    await world.collect({ untagged: true });
    await expectMended(world);
    const config = digestOf(bytesOf("{}"));
    expect(await world.hasBytes(config)).toBe(true);
  });
});
