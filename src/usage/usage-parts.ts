// What the reports on space are made of: the look-ups that they need, no more.
import type { Clock } from "../registry/ports/clock.ts";
import type { Index, UsageIndex } from "../registry/ports/index.ts";
import type { Storage } from "../registry/ports/storage.ts";

export type UsageReading = Omit<UsageIndex, "recordUsage" | "recountUsage"> &
  Pick<
    Index,
    | "findManifest"
    | "findTag"
    | "listCondemned"
    | "listReferrers"
    | "manifestCandidates"
    | "manifestStandings"
    | "namedByManifest"
    | "namersOf"
  >;

export interface UsageParts {
  readonly index: UsageReading;
  readonly storage: Pick<Storage, "stat">;
  readonly clock: Clock;
  /** Waits; 0 only lets others have their turn. */
  readonly pause: (ms: number) => Promise<void>;
}

/** What walks and reads, and no bytes. */
export type ReadingParts = Pick<UsageParts, "index" | "clock" | "pause">;

/** Manifests and blobs that a report holds in memory at most: some 40 MB. Beyond, it says "at least". */
export const entriesMax = 100_000;
