// Random histories with deletions that can be undone: whatever is done meanwhile, what a restore needs
// stays until a run was asked to keep less; a dry run foretells the run; the queue misses nothing.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { enqueueMissed } from "../../src/gc/enqueue-missed.ts";
import {
  type Digest,
  digestOf,
  parseManifest,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../../src/oci/index.ts";
import type { HeldManifest } from "../../src/registry/ports/index.ts";
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

const texts = ["layer 0", "layer 1", "layer 2"] as const;
const [l0, l1, l2] = texts.map((text) => digestOf(bytesOf(text))) as [Digest, Digest, Digest];
const contents: Content[] = [{ layers: [l0, l1] }, { layers: [l1, l2] }];
const digestAt = (n: number): Digest => digestOf(manifestBytes(contents[n] ?? {}));
contents.push(
  { children: [digestAt(0), digestAt(1)] },
  { subject: digestAt(0), note: "signature of an image" },
  { subject: digestAt(2), layers: [l2], note: "signature of an index" },
);

/** What a manifest and all that it names, in turn, needs to be pulled. */
function needs(n: number): Digest[] {
  const { layers = [], children } = contents[n] ?? {};
  const inner = (children ?? []).flatMap((child) =>
    needs(contents.findIndex((_, at) => digestAt(at) === child)),
  );
  const config = children === undefined ? [digestOf(emptyConfig)] : [];
  return [digestAt(n), ...layers, ...config, ...inner];
}

/** Without children that were deleted before it: they have deletions of their own, which may be over. */
async function heldBy(
  world: World,
  { n, in: name }: { readonly n: number; readonly in: RepositoryName },
): Promise<Digest[]> {
  const { children = [] } = contents[n] ?? {};
  for (const child of children) {
    if ((await world.index.findManifest(name, child)) === null) return [digestAt(n)];
  }
  return needs(n);
}

interface At {
  readonly n: number;
  readonly in: RepositoryName;
}

type Removal = At & { readonly do: "delete" | "delete image" | "untag" };

type Step =
  | ({ readonly do: "push" } & At)
  | ({ readonly do: "restore" } & At)
  | Removal
  | { readonly do: "wait"; readonly share: number }
  | { readonly do: "collect"; readonly untagged: boolean; readonly keepMs: number };

const place = { n: fc.nat(contents.length - 1), in: fc.constantFrom(repository, otherRepository) };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("push" as const), ...place }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), ...place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete image" as const), ...place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("untag" as const), ...place }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("restore" as const), ...place }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), share: fc.constantFrom(0.3, 1.1) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("collect" as const),
      untagged: fc.boolean(),
      keepMs: fc.constantFrom(0, graceMs, 3 * graceMs),
    }),
  },
);

interface KeptDeletion {
  readonly sinceMs: number;
  readonly needed: readonly Digest[];
  readonly isTagged: boolean;
}

/** Deletions that can still be undone, by what was deleted (`keyOf`, `tagKeyOf`). */
type Kept = Map<string, KeptDeletion>;

const keyOf = (at: At): string => `${at.in} ${digestAt(at.n)}`;
const tagKeyOf = (at: At): string => `${keyOf(at)} tag`;
const tagOf = (n: number): Tag => parseTag(`t${n}`);
const numberOf = (digest: Digest): number => contents.findIndex((_, n) => digestAt(n) === digest);

async function push(world: World, kept: Kept, at: At): Promise<void> {
  const content = contents[at.n] ?? {};
  for (const child of content.children ?? []) {
    await push(world, kept, { n: numberOf(child), in: at.in });
  }
  for (const text of texts) await world.pushBlob(at.in, text);
  await world.pushManifest(at.in, content, { tag: tagOf(at.n) });
  kept.delete(keyOf(at));
  kept.delete(tagKeyOf(at));
}

async function remove(world: World, kept: Kept, { do: how, ...at }: Removal): Promise<void> {
  const { index, nowMs } = world;
  const named = { repository: at.in, digest: digestAt(at.n) };
  const needed = await heldBy(world, at);
  const isTagged = (await index.findTag(at.in, tagOf(at.n))) !== null;
  const deletion = { nowMs, deletedBy: "ann", reason: "test", isRestorable: true };
  const { outcome } =
    how === "untag"
      ? await index.deleteTagRestorably({ repository: at.in, tag: tagOf(at.n) }, deletion)
      : how === "delete"
        ? await index.deleteRestorably(named.repository, named.digest, deletion)
        : await index.deleteImage(named, deletion);
  if (outcome !== "deleted") return;
  kept.set(how === "untag" ? tagKeyOf(at) : keyOf(at), { sinceMs: nowMs, needed, isTagged });
}

/** What is kept comes back and can be pulled, unless a child of it was deleted before it. */
async function restore(world: World, kept: Kept, at: At): Promise<void> {
  const { index } = world;
  const key = kept.has(keyOf(at)) ? keyOf(at) : tagKeyOf(at);
  const found = await index.findDeletion({ repository: at.in, digest: digestAt(at.n) });
  expect(found.outcome === "found").toBe(kept.has(key));
  if (found.outcome !== "found") return;
  const held = await index.heldManifests(found.deletion.id, { after: null, limit: 99 });
  const outcome = await index.restoreDeletion({
    id: found.deletion.id,
    manifests: held.map(({ digest }) => heldManifest(digest)),
    lost: [],
    forceTags: false,
    terms: world.terms(),
  });
  if (outcome.outcome === "missing") {
    for (const digest of outcome.missing) expect(contents[at.n]?.children).toContain(digest);
    return;
  }
  expect(outcome).toMatchObject({ outcome: "restored", taken: [], leftOut: [] });
  if (outcome.outcome !== "restored") return;
  // What was deleted by itself and comes back with it: its tag can still be restored.
  for (const digest of outcome.manifests) {
    const other = { n: numberOf(digest), in: at.in };
    const own = kept.get(keyOf(other));
    if (own === undefined || keyOf(other) === key) continue;
    kept.delete(keyOf(other));
    if (own.isTagged) kept.set(tagKeyOf(other), own);
  }
  kept.delete(key);
  if (outcome.tags.length > 0) kept.delete(tagKeyOf(at));
  // One that was there all the time may have lost a child to a client.
  if (!outcome.manifests.includes(digestAt(at.n))) return;
  expect(await world.isPullable(at.in, digestAt(at.n), contents[at.n] ?? {})).toBe(true);
}

function heldManifest(digest: Digest): HeldManifest {
  const bytes = manifestBytes(contents[numberOf(digest)] ?? {});
  const manifest = parseManifest(bytes, "");
  const required = manifest.references.filter(({ kind }) => kind !== "subject");
  return {
    digest,
    sizeBytes: bytes.length,
    manifest,
    required: required.map((one) => one.digest),
  };
}

async function collect(world: World, kept: Kept, asked: { untagged: boolean; keepMs: number }) {
  const options = { untagged: asked.untagged, keepDeletedMs: asked.keepMs };
  const dry = await world.collect({ ...options, dryRun: true });
  const { report } = await world.collect(options);
  const { manifests, blobs, bytes, links, restorable } = report;
  expect(report.ok).toBe(true);
  expect(dry.report).toMatchObject({ manifests, blobs, bytes, links, restorable });
  for (const [key, { sinceMs }] of kept) {
    if (sinceMs <= world.nowMs - asked.keepMs) kept.delete(key);
  }
  expect(restorable.count).toBe(kept.size);
  const { signal } = new AbortController();
  expect(await enqueueMissed({ parts: world.parts, signal }, world.nowMs)).toBe(0);
}

test("what a restore needs stays as long as it is kept, and a dry run foretells the run", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), async (steps) => {
      const world = new World();
      const kept: Kept = new Map();
      for (const one of steps) {
        if (one.do === "push") await push(world, kept, one);
        else if (one.do === "wait") world.nowMs += Math.round(one.share * graceMs);
        else if (one.do === "collect") await collect(world, kept, one);
        else if (one.do === "restore") await restore(world, kept, one);
        else await remove(world, kept, one);
        for (const { needed } of kept.values()) {
          for (const digest of needed) expect(await world.hasBytes(digest)).toBe(true);
        }
      }
      // In the end everything is let go, and nothing is left.
      for (const name of [repository, otherRepository]) {
        for (const n of contents.keys()) {
          await world.index.deleteManifest(name, digestAt(n), world.nowMs);
        }
      }
      world.nowMs += 2 * graceMs;
      await collect(world, kept, { untagged: true, keepMs: 0 });
      expect(await world.stored()).toEqual([]);
    }),
    { numRuns: Number(process.env["MODEL_RUNS"] ?? 100) },
  );
}, 300_000);
