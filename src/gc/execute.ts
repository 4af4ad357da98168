// A run: finishes what a killed one left, then removes manifests, then blobs, then what has become empty.
// Keeps no state of its own: what is done is in the index, so that it can stop between any two batches
// and the next run goes on (INV-3, INV-6). Design: docs/design/garbage-collection.md.
import type { Digest } from "../oci/index.ts";
import { inHalves, isFull } from "../registry/in-halves.ts";
import type {
  BlobFact,
  BlobStanding,
  ManifestStanding,
  QueuePosition,
  RemovalPolicy,
} from "../registry/ports/index.ts";
import type { CollectionEvent, CollectOptions } from "./collection-events.ts";
import { batchMax, type CollectionParts, lockMsMax, manifestBatchMax } from "./collection-parts.ts";
import { CandidateCount } from "./candidate-count.ts";
import { enqueueMissed } from "./enqueue-missed.ts";
import type { Pace } from "./pace.ts";
import { policyOf } from "./plan.ts";
import { messageOf } from "./run-record.ts";
import { removeBytes } from "./remove-bytes.ts";
import { tellMarks } from "./tell-listing.ts";

/** Chains of manifests that name each other are shorter; what is deeper waits for the next run. */
const manifestRoundsMax = 1_000;

/** A transaction that waited for others, or for a slow disk, is followed by no longer rest than this takes. */
const batchRestMsMax = 100;

/** Failures told in full; the rest are counted. */
const errorsMax = 20;

/** Rows in one transaction of what costs next to nothing each. */
const cheapBatchMax = 500;

export interface Execution {
  readonly parts: CollectionParts;
  readonly options: Omit<CollectOptions, "dryRun">;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** Something is about to be removed: from now on the run leaves a record. */
  readonly begin: () => Promise<void>;
  readonly tell: (event: CollectionEvent) => Promise<void>;
  /** Whether somebody asked for another look since this was last called. */
  readonly isAskedAgain: () => boolean;
}

/** What a run has done so far. */
export class Tally {
  manifests = 0;
  blobs = 0;
  bytes = 0;
  links = 0;
  repositories = 0;
  uploads = 0;
  candidates = 0;
  queueMissed: number | null = null;
  failures = 0;
  readonly errors: string[] = [];

  /** Nothing has been changed. */
  get isEmpty(): boolean {
    const { manifests, blobs, links, repositories, uploads } = this;
    return manifests + blobs + links + repositories + uploads === 0;
  }

  fail(message: string): void {
    this.failures += 1;
    if (this.errors.length < errorsMax) this.errors.push(message);
  }
}

/** True: to the end; false: stopped by the signal. */
export async function executeCollection(run: Execution, tally: Tally): Promise<boolean> {
  const { index } = run.parts;
  const now = monotonic(run);
  const isBackground = run.options.background !== undefined;
  if (!isBackground) await run.begin();
  await finishCondemned(run, tally);
  await expireUploads(run, tally);
  if (await index.hasUnlistable()) {
    tally.fail(
      "a directory of the tree cannot be listed, so nothing is known to be unreferenced: nothing was collected. Mend it (see what was stepped over) and start the registry again",
    );
  } else {
    if (run.options.full) tally.queueMissed = await enqueueMissed(run, now());
    let isFirst = true;
    do {
      const pass: Pass = { tally, nowMs: now(), isFirst };
      await releaseDeletions(run, pass.nowMs);
      await removeManifests(run, pass);
      if (isFirst && run.options.listing === "marks") await tellMarks(run.parts, run.tell);
      await removeBlobs(run, pass);
      isFirst = false;
    } while (!run.signal.aborted && run.isAskedAgain());
  }
  await tidy(run, tally, now);
  await letTreeFollow(run);
  // A run that has found nothing to do has nothing to give back either.
  if (!isBackground || !tally.isEmpty) await index.checkpoint();
  return !run.signal.aborted;
}

/** Abandoned uploads; what they held in the queue is looked at in this run. */
async function expireUploads({ parts, begin, signal }: Execution, tally: Tally): Promise<void> {
  if (signal.aborted || parts.expireUploads === undefined) return;
  try {
    tally.uploads = await parts.expireUploads();
  } catch (error) {
    // What is garbage besides them goes all the same.
    tally.fail(`abandoned uploads could not be ended: ${messageOf(error)}`);
  }
  if (tally.uploads > 0) await begin();
}

/** What was removed is gone from the tree when this resolves. */
async function letTreeFollow({ parts: { tree } }: Execution): Promise<void> {
  try {
    await tree.catchUp();
  } catch (error) {
    if (!isFull(error)) throw error;
    // Nothing could be freed: links of pushes go on waiting for space, which is no failure of a collection.
    tree.wake();
  }
}

/** Time within a run never goes back: what its first pass puts into the queue is due in the second. */
function monotonic({ parts }: Execution): () => number {
  let last = 0;
  return () => (last = Math.max(last, parts.clock.now()));
}

/** Blobs that a killed run condemned: their bytes may be there still. */
async function finishCondemned(run: Execution, tally: Tally): Promise<void> {
  let after: Digest | null = null;
  do {
    const page: readonly BlobFact[] = await run.parts.index.listCondemned({
      after,
      limit: batchMax,
    });
    await removeCondemned(run, tally, page);
    after = page.length < batchMax ? null : (page.at(-1)?.digest ?? null);
  } while (after !== null && !run.signal.aborted);
}

/**
 * One look at everything that is due at `nowMs`. What the pass itself leaves behind is due at once, what
 * clients leave behind meanwhile is not: so that deletions that go on cannot keep a run from ending.
 */
interface Pass {
  readonly tally: Tally;
  readonly nowMs: number;
  readonly isFirst: boolean;
}

/** What was deleted too long ago to be brought back is due from now on. */
async function releaseDeletions(run: Execution, nowMs: number): Promise<void> {
  const { parts, options, pace, signal } = run;
  const deletedBeforeMs = nowMs - (options.keepDeletedMs ?? 0);
  const limit = batchMax;
  while (!signal.aborted) {
    const { more } = await parts.index.releaseDeletions({ deletedBeforeMs, nowMs, limit });
    if (!more) return;
    await parts.pause(pace.pauseAfterBatchMs(lockMsMax));
  }
}

/** In rounds: what a removal leaves behind is due in the next one. */
async function removeManifests(run: Execution, { tally, nowMs }: Pass): Promise<void> {
  const policy = policyOf(run.options, nowMs);
  for (let round = 0; round < manifestRoundsMax && !run.signal.aborted; round++) {
    if ((await removeManifestsOnce(run, tally, { nowMs, policy })) === 0) return;
  }
}

async function removeManifestsOnce(
  run: Execution,
  tally: Tally,
  at: { readonly nowMs: number; readonly policy: RemovalPolicy },
): Promise<number> {
  const { parts, pace, signal, tell } = run;
  const { index, tree, pause } = parts;
  const limit = manifestBatchMax;
  let removedInRound = 0;
  let after: QueuePosition | null = null;
  do {
    const page: readonly ManifestStanding[] = await index.manifestCandidates({
      after,
      limit,
      ...at,
    });
    if (page.length === 0) break;
    tally.candidates += page.length;
    if (page.some(({ keptBy }) => keptBy === null)) await run.begin();
    const begunMs = performance.now();
    const keys = page.map(({ repository, digest }) => ({ repository, digest }));
    const removals = await inHalves(keys, (part) => index.removeManifests(part, at));
    const removed = removals.flat();
    removedInRound += removed.length;
    tally.manifests += removed.length;
    if (removed.length > 0) tree.wake();
    for (const { repository, digest, tagHistory } of removed) {
      await tell({ kind: "manifest-eligible", repository, digest });
      await tell({ kind: "manifest-removed", repository, digest, tagHistory });
    }
    after = page.length < limit ? null : (page.at(-1)?.position ?? null);
    await pause(pace.pauseAfterBatchMs(Math.min(performance.now() - begunMs, batchRestMsMax)));
  } while (after !== null && !signal.aborted);
  return removedInRound;
}

async function removeBlobs(run: Execution, pass: Pass): Promise<void> {
  const { index, clock, pause } = run.parts;
  const isBackground = run.options.background !== undefined;
  if (pass.isFirst && !isBackground) await countCandidates(run, pass);
  let after: QueuePosition | null = null;
  for (;;) {
    if (run.signal.aborted) return;
    const page: readonly BlobStanding[] = await index.blobCandidates({
      after,
      limit: batchMax,
      nowMs: pass.nowMs,
    });
    if (page.length === 0) return;
    const begunMs = performance.now();
    const keys = page.map(({ repository, digest }) => ({ repository, digest }));
    const { foreignGraceMs } = run.options;
    const terms = { nowMs: clock.now(), foreignGraceMs, lockMsMax };
    const outcomes = await inHalves(keys, (part) => index.condemn(part, terms));
    const tookMs = Math.min(performance.now() - begunMs, batchRestMsMax);
    const condemned = outcomes.flatMap((outcome) => outcome.condemned);
    const linksRemoved = outcomes.flatMap((outcome) => outcome.linksRemoved);
    const left = outcomes.reduce((sum, outcome) => sum + (outcome.left ?? 0), 0);
    pass.tally.candidates += page.length - left;
    if (linksRemoved.length > 0) await run.begin();
    pass.tally.links += linksRemoved.length;
    for (const { repository, digest } of linksRemoved) {
      await run.tell({ kind: "link-eligible", repository, digest });
      await run.tell({ kind: "link-removed", repository, digest });
    }
    if (linksRemoved.length > 0) run.parts.tree.wake();
    await removeCondemned(run, pass.tally, condemned);
    after = page[page.length - left - 1]?.position ?? null;
    if (page.length < batchMax && left === 0) return;
    await pause(run.pace.pauseAfterBatchMs(tookMs));
  }
}

/** How much is about to go, told before the first blob goes, as the classic registry does. */
async function countCandidates(run: Execution, { tally, nowMs }: Pass): Promise<void> {
  const { index } = run.parts;
  const totals = await index.totals();
  const { foreignGraceMs } = run.options;
  const count = await CandidateCount.take(run.parts, { nowMs, foreignGraceMs });
  await run.tell({
    kind: "counted",
    blobsMarked: totals.blobs - count.blobs,
    blobs: count.blobs + tally.blobs,
    bytes: count.bytes + tally.bytes,
    manifests: tally.manifests,
    atLeast: count.truncated,
  });
}

/** Facts were first (INV-3): now the bytes, then the last of the facts. */
async function removeCondemned(
  run: Execution,
  tally: Tally,
  condemned: readonly BlobFact[],
): Promise<void> {
  if (condemned.length === 0) return;
  await run.begin();
  for (const blob of condemned) await run.tell({ kind: "blob-eligible", ...blob });
  const { removed, failed } = await removeBytes(run, condemned);
  const digests = removed.map(({ digest }) => digest);
  await inHalves(digests, (part) => run.parts.index.forget(part));
  for (const blob of removed) {
    tally.blobs += 1;
    tally.bytes += blob.sizeBytes;
    await run.tell({ kind: "blob-removed", ...blob });
  }
  for (const { blob, error } of failed) {
    const message = messageOf(error);
    tally.fail(`failed to delete blob ${blob.digest}: ${message}`);
    await run.tell({ kind: "blob-failed", digest: blob.digest, message });
  }
}

/** Leases that are over, and repositories that hold nothing any more. */
async function tidy(run: Execution, tally: Tally, now: () => number): Promise<void> {
  const { index } = run.parts;
  const pause = (): Promise<void> => run.parts.pause(run.pace.pauseAfterBatchMs(lockMsMax));
  const limit = cheapBatchMax;
  while (!run.signal.aborted && (await index.expireLeases({ nowMs: now(), limit })) === limit) {
    await pause();
  }
  while (!run.signal.aborted) {
    const dropped = await index.dropEmptyRepositories(limit);
    tally.repositories += dropped.length;
    if (dropped.length > 0) await run.begin();
    for (const repository of dropped) await run.tell({ kind: "repository-removed", repository });
    // A batch in which none was empty is not the end: others may wait behind it.
    if ((await index.emptyRepositories(1)).length === 0) return;
    await pause();
  }
}
