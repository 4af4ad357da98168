// Every step of a push or a deletion against every step of the removal of a manifest, in both orders
// (INV-4, INV-5): an image whose tag moved away, the child of an index, a referrer whose subject went.
import { describe, expect, test } from "bun:test";
import { digestOf, type Digest } from "../../src/oci/index.ts";
import { Gates, type Place } from "./gate.ts";
import { type Content, graceMs, manifestBytes, repository, tag, World } from "./world.ts";

const layerText = "the layer of the image";

interface Doomed {
  readonly digest: Digest;
  readonly content: Content;
  /** Of the collection that removes it. */
  readonly untagged: boolean;
}

type Setup = (world: World) => Promise<Doomed>;

/** Each leaves a manifest that the next collection removes, once all leases are over. */
const kinds: Readonly<Record<"image" | "child of an index" | "referrer", Setup>> = {
  image: async (world) => {
    const content = { layers: [await world.pushBlob(repository, layerText)] };
    const digest = await world.pushManifest(repository, content, { tag });
    await world.pushManifest(repository, { note: "the next one" }, { tag });
    return { digest, content, untagged: true };
  },
  "child of an index": async (world) => {
    const content = { layers: [await world.pushBlob(repository, layerText)] };
    const digest = await world.pushManifest(repository, content);
    await world.pushManifest(repository, { children: [digest] }, { tag });
    await world.pushManifest(repository, { note: "the next one" }, { tag });
    return { digest, content, untagged: true };
  },
  referrer: async (world) => {
    const subject = await world.pushManifest(repository, { note: "subject" }, { tag });
    const layers = [await world.pushBlob(repository, layerText)];
    const content = { layers, subject, note: "signature" };
    const digest = await world.pushManifest(repository, content);
    await world.index.deleteManifest(repository, subject, world.nowMs);
    return { digest, content, untagged: false };
  },
};

/** Acts; true when the client is told that the manifest is there. */
type Act = (world: World, doomed: Doomed, caller: string) => Promise<boolean>;

const acts: Readonly<Record<"HEAD" | "PUT by digest" | "tag move" | "PUT of an index", Act>> = {
  HEAD: async (world, { digest }, caller) =>
    (await world.index.findAndLeaseManifest(repository, digest, world.terms(caller))) !== null,
  "PUT by digest": async (world, { content }, caller) =>
    (await world.putManifest(repository, content, { caller })).outcome.accepted,
  "tag move": async (world, { content }, caller) =>
    (await world.putManifest(repository, content, { tag, caller })).outcome.accepted,
  "PUT of an index": async (world, { digest }, caller) =>
    (await world.putManifest(repository, { children: [digest] }, { tag, caller })).outcome.accepted,
};

const before: readonly (readonly [string, Place])[] = [
  ["plan", "before manifestCandidates"],
  ["removal", "before removeManifests"],
];
const after: readonly (readonly [string, Place])[] = [
  ["blobs are planned", "before blobCandidates"],
  ["condemn", "after condemn"],
  ["unlink", "after forget"],
  ["repository removal", "after dropEmptyRepositories"],
];

for (const [kind, setup] of Object.entries(kinds)) {
  for (const caller of ["ann", "bob"]) {
    describe(`${kind}, ${caller === "ann" ? "one caller" : "two callers"}`, () => {
      for (const [name, act] of Object.entries(acts)) {
        for (const [step, place] of before) {
          test(`${name} before ${step}: it stays, with its content`, async () => {
            const { world, doomed, acknowledged } = await race(setup, place, (w, d) =>
              act(w, d, caller),
            );
            expect(acknowledged).toBe(true);
            await expectPullable(world, doomed);
          });
        }
        for (const [step, place] of after) {
          test(`${step} before ${name}: as it is then, and a push from the start succeeds`, async () => {
            const { world, doomed, acknowledged } = await race(setup, place, (w, d) =>
              act(w, d, caller),
            );
            // The manifest went first: only who brings it along can be told that it is there.
            if (name === "HEAD" || name === "PUT of an index") expect(acknowledged).toBe(false);
            if (!acknowledged) {
              await world.pushBlob(repository, layerText, caller);
              await world.pushManifest(repository, doomed.content, { caller });
            }
            await expectPullable(world, doomed);
          });
        }
      }
    });
  }
}

describe("a deletion while a collection runs", () => {
  const everywhere: readonly Place[] = [...before, ...after].map(([, place]) => place);
  for (const place of everywhere) {
    for (const what of ["tag delete", "manifest delete"] as const) {
      test(`${what} ${place}: the next collection leaves nothing of it`, async () => {
        const tagged = (world: World): Promise<Digest> =>
          world.pushManifest(repository, { note: "tagged" }, { tag });
        const { world } = await race(
          async (w) => {
            const doomed = await kinds.image(w);
            await tagged(w);
            return doomed;
          },
          place,
          async (w) => {
            const digest = digestOf(manifestBytes({ note: "tagged" }));
            const { index } = w;
            if (what === "tag delete") await index.deleteTag(repository, tag, w.nowMs);
            else await index.deleteManifest(repository, digest, w.nowMs);
            return true;
          },
        );
        await world.collect({ untagged: true });
        expect(await world.stored()).toEqual([]);
        expect(await world.index.listKnownRepositories({ after: null, limit: 9 })).toEqual([]);
      });
    }
  }

  test("subject pushed again before its referrer is removed: the referrer stays", async () => {
    const { world, doomed } = await race(kinds.referrer, "before removeManifests", async (w) => {
      await w.pushManifest(repository, { note: "subject" }, { tag });
      return true;
    });
    await expectPullable(world, doomed);
  });

  test("subject pushed again after its referrer was removed: the referrer is gone", async () => {
    const { world, doomed } = await race(kinds.referrer, "after removeManifests", async (w) => {
      await w.pushManifest(repository, { note: "subject" }, { tag });
      return true;
    });
    expect(await world.index.findManifest(repository, doomed.digest)).toBeNull();
    const subject = doomed.content.subject ?? doomed.digest;
    expect(await world.isPullable(repository, subject, { note: "subject" })).toBe(true);
  });
});

describe("a run that ends half-way", () => {
  const steps = ["removeManifests", "condemn", "remove", "removeEmptyDirectories", "forget"];
  for (const step of [...steps, "dropEmptyRepositories", "expireLeases", "checkpoint"]) {
    for (const when of ["before", "after"] as const) {
      test(`killed ${when} ${step}: facts have bytes, and the next run finishes`, async () => {
        const world = new World({
          index: (index) => dying(index, step, when),
          storage: (storage) => dying(storage, step, when),
        });
        const doomed = await kinds["child of an index"](world);
        const kept = await world.pushManifest(repository, { note: "kept" }, { tag });
        world.nowMs += graceMs;
        const outcome = await world.collect({ untagged: true }).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome.message).toBe("killed");
        for (const digest of [kept, doomed.digest]) {
          const blob = await world.index.findBlobAnywhere(digest);
          if (blob !== null) expect(await world.hasBytes(digest)).toBe(true);
        }
        const { report } = await world.collect({ untagged: true });
        expect(report.ok).toBe(true);
        const config = digestOf(new TextEncoder().encode("{}"));
        expect(await world.stored()).toEqual([kept, config].sort());
        expect((await world.collect({ untagged: true, full: true })).report).toMatchObject({
          blobs: 0,
          links: 0,
          queueMissed: 0,
        });
      });
    }
  }
});

async function race(
  setup: Setup,
  place: Place,
  act: (world: World, doomed: Doomed) => Promise<boolean>,
): Promise<{ world: World; doomed: Doomed; acknowledged: boolean }> {
  const gates = new Gates();
  const world = new World({
    index: (index) => gates.wrap(index),
    storage: (storage) => gates.wrap(storage),
  });
  const doomed = await setup(world);
  world.nowMs += graceMs;
  const gate = gates.arm(place);
  const collecting = world.collect({ untagged: doomed.untagged });
  await gate.reached;
  const acknowledged = await act(world, doomed);
  gate.open();
  expect((await collecting).report.ok).toBe(true);
  return { world, doomed, acknowledged };
}

async function expectPullable(world: World, { digest, content }: Doomed): Promise<void> {
  for (let round = 0; round < 2; round++) {
    expect(await world.isPullable(repository, digest, content)).toBe(true);
    await world.collect({ untagged: true });
  }
}

/** A port whose first call of this name ends in nothing, before or after it was done. */
function dying<Port extends object>(port: Port, step: string, when: "before" | "after"): Port {
  let isDone = false;
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return async (...args: unknown[]): Promise<unknown> => {
        if (name !== step || isDone) return await (method.apply(target, args) as Promise<unknown>);
        isDone = true;
        if (when === "after") await method.apply(target, args);
        throw new Error("killed");
      };
    },
  });
}
