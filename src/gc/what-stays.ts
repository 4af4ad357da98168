// What a collection leaves and why: spared for a lease, spared as perhaps somebody else's push, kept for
// want of `-m`, and stepped over because it cannot be read. Reads only, and not much: each is bounded.
import type { Digest } from "../oci/index.ts";
import type {
  BlobStanding,
  HeldDigest,
  HeldPosition,
  QueuePosition,
} from "../registry/ports/index.ts";
import type { CollectionEvent, CollectionReport, Spared } from "./collection-events.ts";
import { type CollectionParts, pageMax } from "./collection-parts.ts";
import { type CollectionPlan, planCollection, type PlanOptions } from "./plan.ts";
import { areNamersDoomed } from "./planned-blobs.ts";
import { DoomedManifests } from "./planned-manifests.ts";

/** Candidates looked at for what is spared: some 60 ms; what is beyond is "at least". */
const sparedScanMax = 1_000;

/** Untagged manifests, and blobs that they name, looked at likewise: some 200 ms. */
const untaggedScanMax = 2_000;

/** Digests that deletions hold, looked at for the bytes that are kept: some 60 ms. */
const heldScanMax = 2_000;

/** Oddities of the tree told one by one, and counted; what is beyond is "at least". */
const oddToldMax = 100;
const oddCountedMax = 10_000;

/** Later than any lease ends: the whole queue is due then. */
const endOfTimeMs = Number.MAX_SAFE_INTEGER;

type ReadingParts = Pick<CollectionParts, "index" | "clock" | "pause">;

interface Sum {
  count: number;
  bytes: number;
  untilMs: number | null;
}

/** Blobs that nothing refers to and that stay all the same. */
export async function findSpared(parts: ReadingParts, foreignGraceMs: number): Promise<Spared> {
  const nowMs = parts.clock.now();
  const leased: Sum = { count: 0, bytes: 0, untilMs: null };
  const foreign: Sum = { count: 0, bytes: 0, untilMs: null };
  const seen = new Set<Digest>();
  let scanned = 0;
  let after: QueuePosition | null = null;
  do {
    const page: readonly BlobStanding[] = await parts.index.blobCandidates({
      after,
      limit: pageMax,
      nowMs: endOfTimeMs,
    });
    scanned += page.length;
    const fresh = page.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
    for (const standing of await parts.index.blobStandings(fresh, nowMs)) {
      if (!standing.present || standing.referenced || standing.heldSinceMs !== null) continue;
      const foreignUntilMs = (standing.foreignSinceMs ?? -Infinity) + foreignGraceMs;
      if (standing.leasedUntilMs !== null) add(leased, standing.sizeBytes, standing.leasedUntilMs);
      else if (foreignUntilMs > nowMs) add(foreign, standing.sizeBytes, foreignUntilMs);
    }
    after = page.length < pageMax ? null : (page.at(-1)?.position ?? null);
    await parts.pause(0);
  } while (after !== null && scanned < sparedScanMax);
  return { leased, foreign, atLeast: after !== null };
}

function add(sum: Sum, bytes: number, untilMs: number): void {
  sum.count += 1;
  sum.bytes += bytes;
  sum.untilMs = Math.max(sum.untilMs ?? 0, untilMs);
}

/** What `-m` would remove beyond a plan; `base` null: beyond what is there now. */
export async function findUntaggedKept(
  parts: ReadingParts,
  options: PlanOptions,
  base: CollectionPlan | null,
): Promise<CollectionReport["untaggedKept"]> {
  if (options.untagged) return { count: 0, bytes: 0, atLeast: false };
  const entriesMax = untaggedScanMax + (base?.manifests.length ?? 0);
  const plan = await planCollection(parts, { ...options, untagged: true, entriesMax });
  return {
    count: Math.max(0, plan.manifests.length - (base?.manifests.length ?? 0)),
    bytes: Math.max(0, bytesOf(plan) - (base === null ? 0 : bytesOf(base))),
    atLeast: plan.truncated || base?.truncated === true,
  };
}

/** What was condemned before goes in any case. */
function bytesOf({ blobs }: CollectionPlan): number {
  return blobs.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}

/**
 * Deletions that this run leaves, so that they can be undone, and the bytes that nothing else holds: once
 * what `plan` removes is gone or (null) as it is now.
 */
export async function findRestorable(
  parts: ReadingParts,
  keepDeletedMs: number,
  plan: CollectionPlan | null,
): Promise<CollectionReport["restorable"]> {
  const { index, clock, pause } = parts;
  const nowMs = clock.now();
  const deletedAfterMs = nowMs - keepDeletedMs;
  const { count, newestMs } = await index.keptDeletions(deletedAfterMs);
  const untilMs = newestMs === null ? null : newestMs + keepDeletedMs;
  const doomed = new DoomedManifests(plan?.manifests);
  const seen = new Set<Digest>();
  let bytes = 0;
  let scanned = 0;
  let after: HeldPosition | null = null;
  do {
    const page: readonly HeldDigest[] = await index.heldDigests({
      after,
      deletedAfterMs,
      deletedBeforeMs: endOfTimeMs,
      limit: pageMax,
    });
    scanned += page.length;
    const fresh = page
      .filter(({ digest }) => !seen.has(digest) && seen.add(digest))
      .map(({ digest }) => ({ repository: null, digest }));
    for (const { present, referenced, digest, sizeBytes } of await index.blobStandings(
      fresh,
      nowMs,
    )) {
      if (!present || (referenced && !(await areNamersDoomed({ parts, doomed }, digest, null)))) {
        continue;
      }
      bytes += sizeBytes;
    }
    after = page.length < pageMax ? null : (page.at(-1)?.position ?? null);
    await pause(0);
  } while (after !== null && scanned < heldScanMax);
  return { count, bytes, untilMs, atLeast: after !== null };
}

/** What could not be read in the tree and was therefore stepped over (INV-7). */
export async function tellSteppedOver(
  { index, pause }: Pick<CollectionParts, "index" | "pause">,
  tell: (event: CollectionEvent) => Promise<void>,
): Promise<CollectionReport["steppedOver"]> {
  let count = 0;
  let cursor = 0;
  for (;;) {
    const page = await index.listProblems(cursor, pageMax);
    for (const { cursor: at, ...problem } of page) {
      cursor = at;
      count += 1;
      if (count <= oddToldMax) await tell({ kind: "stepped-over", problem });
    }
    if (page.length < pageMax) return { count, atLeast: false };
    if (count >= oddCountedMax) return { count, atLeast: true };
    await pause(0);
  }
}
