// Random sequences of pushes, deletions, mounts, looks and collections against the naive model: what must
// be pullable is, what must be gone is gone, a dry run foretells the run, and the queue misses nothing.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { enqueueMissed } from "../../src/gc/index.ts";
import { type Digest, digestOf, parseTag, type RepositoryName } from "../../src/oci/index.ts";
import { NaiveModel } from "./naive-model.ts";
import {
  bytesOf,
  type Content,
  emptyConfig,
  graceMs,
  manifestBytes,
  otherRepository,
  repository,
  World,
} from "./world.ts";

const layerTexts = ["layer 0", "layer 1, longer", "layer 2, the longest of all"] as const;
const layers = layerTexts.map((text) => digestOf(bytesOf(text)));
const [l0, l1, l2] = layers as [Digest, Digest, Digest];
const config = digestOf(emptyConfig);

const contents: Content[] = [{ layers: [l0, l1] }, { layers: [l1, l2] }, { note: "no layers" }];
const digestAt = (n: number): Digest => digestOf(manifestBytes(contents[n] ?? {}));
contents.push(
  { children: [digestAt(0), digestAt(1)] },
  { children: [digestAt(1)] },
  { subject: digestAt(0), note: "signature of an image" },
  { subject: digestAt(3), layers: [l2], note: "signature of an index" },
);
contents.push(
  { children: [digestAt(3)], note: "nested" },
  { subject: digestAt(5), note: "signature of a signature" },
  { subject: digestAt(2), children: [digestAt(1), digestAt(5)], note: "an index with a subject" },
);
const manifests = contents.map((_, n) => digestAt(n));

type Command =
  | { readonly do: "push layer" | "unlink" | "look"; readonly layer: number }
  | { readonly do: "mount"; readonly layer: number }
  | { readonly do: "put"; readonly manifest: number; readonly tag: string | null }
  | { readonly do: "delete" | "look at manifest"; readonly manifest: number }
  | { readonly do: "delete tag"; readonly tag: string }
  | { readonly do: "wait"; readonly share: number }
  | { readonly do: "collect"; readonly untagged: boolean };
type Step = Command & { readonly in: RepositoryName; readonly by: string };

const layer = fc.nat(layers.length - 1);
const manifest = fc.nat(contents.length - 1);
const tag = fc.constantFrom("a", "b");
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("push layer" as const), layer }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("unlink", "look", "mount" as const), layer }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      manifest,
      tag: fc.option(tag, { freq: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), manifest }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("look at manifest" as const), manifest }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete tag" as const), tag }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      share: fc.constantFrom(0.3, 0.6, 1.1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("collect" as const), untagged: fc.boolean() }),
  },
);
const step: fc.Arbitrary<Step> = fc
  .tuple(command, fc.constantFrom(repository, otherRepository), fc.constantFrom("ann", "bob"))
  .map(([does, where, by]) => ({ ...does, in: where, by }));

test("random histories come to what the naive model says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), async (steps) => {
      const world = new World();
      const model = new NaiveModel();
      for (const one of steps) {
        await runStep(world, model, one);
        await expectTagsPull(world, model);
      }
      // In the end everything is let go, and nothing is left.
      world.nowMs += 2 * graceMs;
      await collectBoth(world, model, false);
      await collectBoth(world, model, true);
    }),
    { numRuns: Number(process.env["MODEL_RUNS"] ?? 150) },
  );
}, 120_000);

interface Both {
  readonly world: World;
  readonly model: NaiveModel;
}

async function runStep(world: World, model: NaiveModel, one: Step): Promise<void> {
  const here = model.at(one.in);
  const { nowMs } = world;
  switch (one.do) {
    case "push layer":
      await pushLayer({ world, model }, one, layerTexts[one.layer] ?? "");
      break;
    case "unlink": {
      const digest = layers[one.layer] ?? l0;
      const { outcome } = await world.index.unlinkBlob(one.in, digest, nowMs);
      const needed = [...here.manifests.values()].some(({ needs }) => needs.includes(digest));
      expect(outcome).toBe(!here.layers.has(digest) ? "unknown" : needed ? "needed" : "deleted");
      if (outcome !== "deleted") break;
      here.layers.delete(digest);
      here.endLeases(digest);
      break;
    }
    case "look": {
      const digest = layers[one.layer] ?? l0;
      const found = await world.index.findAndLeaseBlob(one.in, digest, world.terms(one.by));
      expect(found !== null).toBe(here.holds(digest));
      if (found !== null) here.look(digest, one.by, nowMs);
      break;
    }
    case "mount":
      await mount({ world, model }, one, layers[one.layer] ?? l0);
      break;
    case "put":
      await put({ world, model }, one, one);
      break;
    case "delete": {
      const digest = manifests[one.manifest] ?? l0;
      const { outcome } = await world.index.deleteManifest(one.in, digest, nowMs);
      expect(outcome).toBe(here.manifests.has(digest) ? "deleted" : "unknown");
      if (outcome === "deleted") here.remove(digest);
      break;
    }
    case "look at manifest": {
      const digest = manifests[one.manifest] ?? l0;
      const found = await world.index.findAndLeaseManifest(one.in, digest, world.terms(one.by));
      expect(found !== null).toBe(here.manifests.has(digest));
      if (found !== null) here.look(digest, one.by, nowMs);
      break;
    }
    case "delete tag":
      await world.index.deleteTag(one.in, parseTag(one.tag), nowMs);
      here.tags.delete(one.tag);
      break;
    case "wait":
      world.nowMs += Math.round(one.share * graceMs);
      break;
    case "collect":
      await collectBoth(world, model, one.untagged);
      break;
  }
}

async function pushLayer({ world, model }: Both, one: Step, text: string): Promise<void> {
  const digest = await world.pushBlob(one.in, text, one.by);
  const here = model.at(one.in);
  here.layers.add(digest);
  here.lease(digest, one.by, world.nowMs);
  model.stored.add(digest);
}

async function mount({ world, model }: Both, one: Step, digest: Digest): Promise<void> {
  const from = one.in === repository ? otherRepository : repository;
  const terms = world.terms(one.by);
  const mounted = await world.index.mountBlob({ digest, from, to: one.in, terms });
  expect(mounted !== null).toBe(model.at(from).layers.has(digest));
  if (mounted === null) return;
  model.at(one.in).layers.add(digest);
  model.at(one.in).lease(digest, one.by, world.nowMs);
  model.at(from).endLeases(digest, one.by);
}

async function put(
  { world, model }: Both,
  one: Step,
  { manifest: n, tag: name }: { readonly manifest: number; readonly tag: string | null },
): Promise<void> {
  const here = model.at(one.in);
  const content = contents[n] ?? {};
  const isIndex = content.children !== undefined;
  if (!isIndex) await pushLayer({ world, model }, one, "{}");
  const needs = [
    ...(content.layers ?? []),
    ...(content.children ?? []),
    ...(isIndex ? [] : [config]),
  ];
  const push = name === null ? {} : { tag: parseTag(name) };
  const { digest, outcome } = await world.putManifest(one.in, content, { ...push, caller: one.by });
  expect(outcome.accepted).toBe(needs.every((need) => here.holds(need)));
  if (!outcome.accepted) return;
  const subject = content.subject ?? null;
  here.manifests.set(digest, { needs, subject });
  // Pushed again after its subject went is pushed before its subject.
  here.orphaned.delete(digest);
  for (const [referrer, { subject: of }] of here.manifests) {
    if (of === digest) here.orphaned.delete(referrer);
  }
  for (const named of [...needs, ...(subject === null ? [] : [subject])]) {
    here.endLeases(named, one.by);
  }
  if (name === null) here.lease(digest, one.by, world.nowMs);
  else here.tags.set(name, digest);
  model.stored.add(digest);
}

async function collectBoth(world: World, model: NaiveModel, untagged: boolean): Promise<void> {
  const before = await world.stored();
  const dry = await world.collect({ dryRun: true, untagged });
  expect(await world.stored()).toEqual(before);
  const { report } = await world.collect({ untagged });
  const wanted = model.collect(untagged, world.nowMs);
  expect(report).toMatchObject({ ...wanted, ok: true });
  expect(dry.report).toMatchObject({ ...wanted, bytes: report.bytes });
  expect(dry.report.untaggedKept).toEqual(report.untaggedKept);
  expect(await world.stored()).toEqual([...model.stored].sort());
  const listed = await world.index.listRepositories({ after: null, limit: 10 });
  expect([...listed] as string[]).toEqual(model.listed());
  const signal = new AbortController().signal;
  expect(await enqueueMissed({ parts: world.parts, signal }, world.nowMs)).toBe(0);
  expect(world.failures).toEqual([]);
}

/** No acknowledged image is ever without its content. */
async function expectTagsPull(world: World, model: NaiveModel): Promise<void> {
  for (const name of [repository, otherRepository]) {
    const here = model.at(name);
    for (const [text, digest] of here.tags) {
      const found = await world.index.findTag(name, parseTag(text));
      expect(found?.digest).toBe(digest);
    }
    for (const digest of here.closure(here.tags.values())) {
      const content = contents[manifests.indexOf(digest)] ?? {};
      expect(await world.isPullable(name, digest, content)).toBe(true);
    }
  }
}
