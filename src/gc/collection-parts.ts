// What a collection is made of: the ports that it needs, no more, and the pace at which it works.
import type { Clock } from "../registry/ports/clock.ts";
import type { CollectionIndex, Index, RunRecord } from "../registry/ports/index.ts";
import type { DigestLocks } from "../registry/keyed-locks.ts";
import type { Storage } from "../registry/ports/storage.ts";

export type CollectorIndex = CollectionIndex &
  Pick<
    Index,
    "listKnownRepositories" | "repositoryFacts" | "listProblems" | "hasUnlistable" | "checkpoint"
  >;

export interface CollectionParts {
  readonly index: CollectorIndex;
  readonly storage: Pick<Storage, "remove" | "removeEmptyDirectories">;
  /** The exclusion of a digest, the same that uploads and manifests take (INV-3). */
  readonly locks: Pick<DigestLocks, "run">;
  readonly clock: Clock;
  /** Makes the tree follow the facts (INV-2). */
  readonly tree: { wake(): void; catchUp(): Promise<void> };
  /** Ends uploads that nobody has touched for long; how many. Absent: they are left alone. */
  readonly expireUploads?: () => Promise<number>;
  /** Does a run, and knows then what was done in it. Absent: nobody wants to know. */
  readonly within?: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Logs a run that is over. */
  readonly logRun?: (record: RunRecord) => void;
  /** Waits; 0 only lets others have their turn. Tests do not wait. */
  readonly pause: (ms: number) => Promise<void>;
}

export function pauseFor(ms: number): Promise<void> {
  return ms > 0 ? Bun.sleep(ms) : new Promise((resolve) => setImmediate(resolve));
}

/**
 * Look-ups are made inline, so a page of them is what others wait for at most: under 1 ms for this many
 * candidates.
 */
export const pageMax = 50;

/** Most blobs in one transaction (design §3): measured some 3 ms of the write lock. */
export const batchMax = 100;

/**
 * Manifests in one transaction. Each lets go of all that it names: measured 10 to 20 ms for 50 manifests of
 * 15 references, so some 3 ms for this many.
 */
export const manifestBatchMax = 10;

/** Where a batch of blobs takes longer, the transaction ends here, and the rest of the batch comes in the next. */
export const lockMsMax = 5;
