// Collections, stops and kills, on model and registry at once. A collection leaves exactly what the model
// says; a killed one has done a part of it, and nothing else.
import { expect } from "bun:test";
import type { Digest } from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { knownBlobs, knownRepositories } from "../crash/stored-tree.ts";
import { expectNoEmptyDirectories, expectSameTree } from "./check.ts";
import type { Both } from "./client.ts";
import type { Collected, Model } from "./model.ts";
import type { ModelDeletions } from "./model-deletions.ts";
import { Died, type Death } from "./real.ts";

interface Asked {
  readonly untagged: boolean;
  /** Deletions younger than that stay restorable. */
  readonly keepDeletedMs: number;
  readonly dryRun?: boolean;
  readonly full?: boolean;
}

async function run({ real }: Both, asked: Asked): Promise<Collected> {
  const options = { dryRun: false, full: false, ...asked };
  const { collector } = real.world;
  const report = await collector.collect(
    { ...options, foreignGraceMs: 0, listing: "nothing" },
    () => undefined,
  );
  expect(report.ok, report.errors.join("; ")).toBe(true);
  expect(report.completed).toBe(true);
  if (options.full) expect(report.queueMissed, "the queue had missed something").toBe(0);
  const { manifests, links, blobs, bytes, repositories, restorable } = report;
  return { manifests, links, blobs, bytes, repositories, restorable: restorable.count };
}

/** Dry run, run, and the proof that the queue had missed nothing. */
export async function collect(both: Both, asked: Asked): Promise<void> {
  const { model, real } = both;
  const after = model.clone();
  const { nowMs } = real.clock;
  const wanted = after.collect(asked, nowMs);
  try {
    // It names only the repositories that are empty already.
    const { repositories } = wanted;
    const forecast = await run(both, { ...asked, dryRun: true });
    expect({ ...forecast, repositories }).toEqual(wanted);
    const found = await run(both, asked);
    model.collect(asked, nowMs);
    expect(found).toEqual(wanted);
  } catch (error) {
    if (!real.isDead) throw error;
    throw new Died("", { cause: { partOf: after } });
  }
  if (real.isDead) throw new Died("");
  await expectSameTree(both);
  await expectNoEmptyDirectories(both);
  const { restorable } = wanted;
  const nothing: Collected = {
    manifests: 0,
    links: 0,
    blobs: 0,
    bytes: 0,
    repositories: 0,
    restorable,
  };
  expect(await run(both, { ...asked, full: true })).toEqual(nothing);
}

/** A stop and a start. */
export async function restart(both: Both): Promise<void> {
  await both.real.restart();
  await adopt(both, null);
}

/** `next`: the process dies again there. */
export async function kill(both: Both, next: Death | null = null): Promise<void> {
  await both.real.kill(next);
  await adopt(both, null);
}

/** Runs what a client asks for in a process that dies at a change of the ports, if it comes that far. */
export async function dieDuring(both: Both, death: Death, act: () => Promise<void>): Promise<void> {
  await kill(both, death);
  both.underWay.clear();
  let partOf: Model | null = null;
  try {
    await act();
  } catch (error) {
    if (!both.real.isDead) throw error;
    const cause = error instanceof Died ? (error.cause as { readonly partOf?: Model }) : {};
    partOf = cause?.partOf ?? null;
  }
  await both.real.kill();
  await adopt(both, partOf);
  await expectSameTree(both);
}

/**
 * What the model cannot know after a death is taken from the registry, within its bounds: which part of a
 * collection was done (`partOf`: what it would have left), bytes of pushes under way, sessions whose files
 * were still there.
 */
async function adopt({ model, real, underWay }: Both, partOf: Model | null): Promise<void> {
  const { index } = real.world;
  const stored = await knownBlobs(index);
  const known = new Map(
    (await knownRepositories(index)).map(({ repository, facts }) => [repository, facts]),
  );
  if (partOf !== null) {
    const kept = await listedKeys(index);
    const over = model.deletions.list.filter((deletion) => !kept.has(keyOf(deletion)));
    for (const deletion of over) {
      expect(partOf.deletions.find(deletion), "a collection let go of too much").toBeNull();
      model.deletions.end(deletion);
    }
    for (const [name, here] of model.repositories) {
      const facts = known.get(name);
      const left = partOf.at(name);
      for (const digest of goneFrom(here.manifests.keys(), facts?.revisions)) {
        expect(left.manifests.has(digest), "a collection took a manifest too many").toBe(false);
        here.removeManifest(digest);
      }
      for (const digest of goneFrom(here.layers, facts?.layers)) {
        expect(left.layers.has(digest), "a collection took a link too many").toBe(false);
        here.removeLayer(digest);
      }
    }
    for (const digest of goneFrom(model.stored, new Set(stored.keys()))) {
      expect(partOf.stored.has(digest), "a collection took a blob too many").toBe(false);
      model.stored.delete(digest);
    }
    for (const name of model.repositories.keys()) {
      if (known.has(name)) continue;
      expect(partOf.repositories.has(name), "a collection took a repository").toBe(false);
      model.repositories.delete(name);
    }
  }
  for (const digest of stored.keys()) {
    if (!model.stored.has(digest) && underWay.has(digest)) model.stored.add(digest);
  }
  model.condemned.clear();
  for (const { digest } of await index.listCondemned({ after: null, limit: 100 })) {
    model.condemned.add(digest);
  }
  for (const [name, { uploads }] of known) {
    const here = uploads.size > 0 ? model.ensure(name) : model.at(name);
    for (const id of uploads) {
      expect(real.begun, "an upload that nobody began").toContain(id);
      here.uploads.add(id);
    }
    if (!real.done.has("expireUpload")) continue;
    for (const id of here.uploads) if (!uploads.has(id)) here.uploads.delete(id);
  }
}

async function listedKeys(index: Index): Promise<Set<string>> {
  const entries = await index.listDeletions({ after: null, limit: 1_000 });
  return new Set(
    entries.map(({ repository, digest, what, tags }) =>
      keyOf({ repository, digest, tag: what === "tag" ? (tags[0] ?? null) : null }),
    ),
  );
}

function keyOf({ repository, digest, tag }: Parameters<ModelDeletions["find"]>[0]): string {
  return `${repository} ${digest} ${tag}`;
}

function goneFrom(before: Iterable<Digest>, after: ReadonlySet<Digest> = new Set()): Digest[] {
  return [...before].filter((digest) => !after.has(digest));
}
