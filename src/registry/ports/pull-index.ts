// When manifests were last pulled. Only the index knows it, so it outlives a rebuild from the tree.
import type { Digest, RepositoryName } from "../../oci/index.ts";

export interface Pull {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly pulledAtMs: number;
}

/** A place among the pull times. */
export type PullPosition = readonly [repository: RepositoryName, digest: Digest];

export interface PullSweep {
  /** Null: from the start. */
  readonly after: PullPosition | null;
  readonly limit: number;
}

export interface PullIndex {
  /** Pulls are noted from now on, unless they were before: what is not known of earlier ones is not "never". */
  beginPullTimes(nowMs: number): Promise<void>;
  /** Since when pulls are noted; null: they are not. */
  pullTimesSince(): Promise<number | null>;
  /**
   * Keeps the times of pulls, each to the hour: one that is known from less than an hour before is not
   * written again, and one of a manifest that is not there is left out. Forgets, of the next `limit` times
   * after `sweep.after`, those whose manifest has gone and cannot be restored. Idempotent. Returns where to sweep next; null: the
   * end was reached, or nothing is swept while the index is built anew.
   */
  recordPulls(pulls: readonly Pull[], sweep: PullSweep): Promise<PullPosition | null>;
}
