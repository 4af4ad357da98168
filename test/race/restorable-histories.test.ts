// Random histories with deletions that can be undone: whatever is done meanwhile, what a restore needs
// stays until a run was asked to keep less; a dry run foretells the run; the queue misses nothing.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { enqueueMissed } from "../../src/gc/enqueue-missed.ts";
import { type Digest, digestOf, parseTag, type RepositoryName } from "../../src/oci/index.ts";
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

type Step =
  | { readonly do: "push" | "delete"; readonly n: number; readonly in: RepositoryName }
  | { readonly do: "untag"; readonly n: number; readonly in: RepositoryName }
  | { readonly do: "wait"; readonly share: number }
  | { readonly do: "collect"; readonly untagged: boolean; readonly keepMs: number };

const place = { n: fc.nat(contents.length - 1), in: fc.constantFrom(repository, otherRepository) };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("push" as const), ...place }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("untag" as const), ...place }) },
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

/** Deletions that can still be undone: what they need, and since when. */
type Kept = Map<string, { readonly sinceMs: number; readonly needed: readonly Digest[] }>;

async function push(
  world: World,
  kept: Kept,
  at: { n: number; in: RepositoryName },
): Promise<void> {
  const content = contents[at.n] ?? {};
  for (const child of content.children ?? []) {
    await push(world, kept, { n: contents.findIndex((_, n) => digestAt(n) === child), in: at.in });
  }
  for (const text of texts) await world.pushBlob(at.in, text);
  const digest = await world.pushManifest(at.in, content, { tag: parseTag(`t${at.n}`) });
  kept.delete(`${at.in} ${digest}`);
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
        else if (one.do === "untag") {
          await world.index.deleteTag(one.in, parseTag(`t${one.n}`), world.nowMs);
        } else {
          const { nowMs } = world;
          const digest = digestAt(one.n);
          const deletion = { nowMs, deletedBy: "ann", reason: "client" } as const;
          const { outcome } = await world.index.deleteRestorably(one.in, digest, deletion);
          if (outcome === "deleted") {
            const key = `${one.in} ${digest}`;
            kept.set(key, { sinceMs: nowMs, needed: await heldBy(world, one) });
          }
        }
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
