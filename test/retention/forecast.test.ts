// What a preview foretells is what an application does: the tags, the manifests and, to the byte, what a
// collection gives back afterwards. Random registries: repositories that share layers, indexes, referrers,
// attachments, tags of parts.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Digest } from "../../src/oci/index.ts";
import { parseGlobs } from "../../src/oci/index.ts";
import type { RetentionParts } from "../../src/retention/parts.ts";
import type { RetentionRule } from "../../src/retention/rules.ts";
import { collect } from "../contract/index/collect.ts";
import { blobNo } from "../contract/index/world.ts";
import { Heard, SmallRegistry } from "./registry.ts";

const hourMs = 3_600_000;
const never = new AbortController().signal;
const runs = Number(process.env["PLIMSOLL_REGISTRIES"] ?? 150);

interface Step {
  readonly repository: "a" | "b";
  readonly kind: "image" | "index" | "referrer" | "attachment";
  readonly blobs: readonly number[];
  readonly tags: readonly string[];
  /** Which of the manifests that are there it names. */
  readonly of: readonly number[];
  readonly suffix: string;
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    repository: fc.constantFrom("a" as const, "b" as const),
    kind: fc.constantFrom("image" as const, "image" as const, "index", "referrer", "attachment"),
    blobs: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
    tags: fc.uniqueArray(fc.constantFrom("old-1", "old-2", "old-3", "v1", "v2"), { maxLength: 2 }),
    of: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
    suffix: fc.constantFrom("", ".sig", ".att", ".sbom"),
  }),
  { minLength: 3, maxLength: 14 },
);

const rule = (untagged: boolean): RetentionRule => ({
  name: "old",
  repositories: parseGlobs(["**"]),
  tags: parseGlobs(["*"]),
  keep: { newest: null, pushedWithinMs: null, pulledWithinMs: null, matching: parseGlobs(["v*"]) },
  untaggedOlderThanMs: untagged ? hourMs : null,
  intervalMs: hourMs,
  onPressure: false,
  allowEmpty: true,
});

/** As `immutable` in the configuration would: signatures stay. */
const signaturesStay: Partial<RetentionParts> = {
  isProtected: (_, tag) => tag.endsWith(".sig"),
  immutableIn: () => [{ name: "signatures", tags: ["*.sig"] }],
};

async function build(registry: SmallRegistry, given: readonly Step[]): Promise<void> {
  const { world } = registry;
  const there = { a: [] as Digest[], b: [] as Digest[] };
  for (const { repository, kind, blobs, tags, of, suffix } of given) {
    const here = there[repository];
    const named = of.map((n) => here[n % here.length]).filter((one) => one !== undefined);
    const [first] = named;
    const isImage = kind === "image" || first === undefined;
    if (isImage || kind !== "index") for (const n of blobs) await world.upload(repository, n);
    const layers = blobs.map(blobNo);
    const { digest } = isImage
      ? await world.put(repository, { layers, tags })
      : kind === "index"
        ? await world.put(repository, { children: [...new Set(named)], tags })
        : kind === "referrer"
          ? await world.put(repository, { layers, subject: first, tags })
          : await world.put(repository, {
              layers,
              // Two attachments of the same layers are not the same manifest.
              more: { annotations: { of: first, suffix } },
              tags: [`sha256-${first.slice(7)}${suffix}`],
            });
    here.push(digest);
    world.nowMs += 1;
  }
}

async function signaturesIn(registry: SmallRegistry): Promise<string[]> {
  const tags = [await registry.tags("a"), await registry.tags("b")].flat();
  return tags.filter((tag) => tag.endsWith(".sig"));
}

test(`${runs} random registries: the preview is what comes of it, to the byte`, async () => {
  let bytes = 0;
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), fc.boolean(), async (given, untagged, immutable) => {
      const registry = await new SmallRegistry(immutable ? signaturesStay : {}).open();
      const { world, index, retention } = registry;
      await build(registry, given);
      // Leases are over, and nothing else is garbage.
      world.nowMs += 3 * hourMs;
      await collect(index, { nowMs: world.nowMs, untagged: false });
      const rules = [rule(untagged)];
      const signatures = await signaturesIn(registry);
      const foretold = new Heard();
      const preview = await retention.preview({ rules, askedBy: "test" }, foretold.hear, never);
      const before = await index.totals();
      const heard = new Heard();
      const report = await retention.apply(
        { rules, askedBy: "test", countsBytes: true },
        heard.hear,
        never,
      );
      expect([report.tags, report.manifests, report.bytes]).toEqual([
        preview.tags,
        preview.manifests,
        preview.bytes,
      ]);
      expect(heard.tags.toSorted()).toEqual(foretold.tags.toSorted());
      if (immutable) expect(await signaturesIn(registry)).toEqual(signatures);
      const after = await index.totals();
      expect(before.manifests - after.manifests).toBe(report.manifests);
      await collect(index, { nowMs: world.nowMs, untagged: false, keepDeletedMs: 0 });
      const freed = before.blobBytes - (await index.totals()).blobBytes;
      expect(freed).toBe(report.bytes ?? -1);
      bytes += freed;
      const none = await retention.preview({ rules, askedBy: "test" }, () => undefined, never);
      expect([none.tags, none.manifests]).toEqual([0, 0]);
    }),
    { numRuns: runs },
  );
  console.log(`${runs} registries, ${bytes} bytes freed as foretold`);
}, 600_000);
