// The plan of a collection: what a run would remove now. Changes nothing; it is the dry run, and the
// figure for what `-m` would free beyond. A run decides everything again and never acts on a plan.
// Design: docs/design/garbage-collection.md.
import type { Digest } from "../oci/index.ts";
import type { BlobFact, RemovalPolicy, RepositoryManifest } from "../registry/ports/index.ts";
import { type CollectionParts, pageMax } from "./collection-parts.ts";
import { findFreedBlobs } from "./planned-blobs.ts";
import { findDoomedManifests } from "./planned-manifests.ts";

/**
 * Most manifests, and most blob candidates, that a plan holds: some 30 MB of digests and keys, so that a
 * dry run fits beside a running server. A run needs no such bound.
 */
const planEntriesMax = 100_000;

export interface PlanOptions {
  readonly untagged: boolean;
  readonly foreignGraceMs: number;
  readonly keepDeletedMs?: number;
  readonly untaggedOlderThanMs?: number;
  readonly entriesMax?: number;
}

export interface CollectionPlan {
  readonly manifests: readonly RepositoryManifest[];
  readonly links: readonly RepositoryManifest[];
  readonly blobs: readonly BlobFact[];
  /** Condemned by a run that was killed; their bytes only wait to be unlinked. */
  readonly condemned: readonly BlobFact[];
  /** Bytes of `blobs` and `condemned`. */
  readonly bytes: number;
  /** There is more than the plan could hold. */
  readonly truncated: boolean;
}

export async function planCollection(
  parts: Pick<CollectionParts, "index" | "clock" | "pause">,
  options: PlanOptions,
): Promise<CollectionPlan> {
  const { index } = parts;
  const entriesMax = options.entriesMax ?? planEntriesMax;
  const nowMs = parts.clock.now();
  const condemned = await listCondemned(parts, entriesMax);
  // Nothing is removed while some directory cannot be listed (INV-7); what was condemned before is.
  if (await index.hasUnlistable()) {
    return { manifests: [], links: [], blobs: [], truncated: false, ...totalsOf(condemned, []) };
  }
  const policy = policyOf(options, nowMs);
  const doomed = await findDoomedManifests({ parts, nowMs, policy, entriesMax });
  const { foreignGraceMs } = options;
  const releasedUntilMs = nowMs - (options.keepDeletedMs ?? 0);
  const freed = await findFreedBlobs({
    parts,
    nowMs,
    foreignGraceMs,
    releasedUntilMs,
    doomed,
    entriesMax,
  });
  return {
    manifests: [...doomed.values()],
    links: freed.links,
    blobs: freed.blobs,
    truncated: doomed.truncated || freed.truncated || condemned.length >= entriesMax,
    ...totalsOf(condemned, freed.blobs),
  };
}

export function policyOf(
  options: Pick<PlanOptions, "untagged" | "untaggedOlderThanMs">,
  nowMs: number,
): RemovalPolicy {
  return {
    untagged: options.untagged,
    untaggedBeforeMs: nowMs - (options.untaggedOlderThanMs ?? 0),
  };
}

function totalsOf(
  condemned: readonly BlobFact[],
  blobs: readonly BlobFact[],
): Pick<CollectionPlan, "condemned" | "bytes"> {
  const bytes = [...condemned, ...blobs].reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  return { condemned, bytes };
}

async function listCondemned(
  { index, pause }: Pick<CollectionParts, "index" | "pause">,
  entriesMax: number,
): Promise<BlobFact[]> {
  const condemned: BlobFact[] = [];
  let after: Digest | null = null;
  do {
    const page: readonly BlobFact[] = await index.listCondemned({ after, limit: pageMax });
    condemned.push(...page);
    after = page.length < pageMax ? null : (page.at(-1)?.digest ?? null);
    await pause(0);
  } while (after !== null && condemned.length < entriesMax);
  return condemned;
}
