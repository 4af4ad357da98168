// What metrics ask of the index each time they are read: look-ups whose cost does not grow with the
// registry. Counts of tables that do grow come in pages.

/** Answers that were in memory already, and answers that had to be looked up, since the index was opened. */
export interface CacheCounts {
  readonly hits: number;
  readonly misses: number;
}

export interface IndexGauges {
  /** Blobs with bytes, condemned ones not counted; manifests' own bytes included. */
  readonly blobs: number;
  readonly blobBytes: number;
  /** Manifests over all repositories: one in two repositories counts twice. */
  readonly manifests: number;
  /** When the first candidate of each queue falls or fell due; null: the queue is empty. */
  readonly blobDueMs: number | null;
  readonly manifestDueMs: number | null;
  readonly cache: CacheCounts;
}

/**
 * `repositories`: those that are listed. Candidates: of either queue, due or not. `events`: those that
 * some endpoint has not had.
 */
export type Countable =
  "repositories" | "blob-candidates" | "manifest-candidates" | "uploads" | "events";

export interface CountPage {
  readonly what: Countable;
  /** `last` of the page before; null: from the start. */
  readonly after: string | number | null;
  readonly limit: number;
}

export interface MetricsIndex {
  /** A few look-ups in one state. */
  gauges(): Promise<IndexGauges>;
  /** Counts at most `limit` rows, in key order; fewer: they were the last ones. */
  countPage(
    page: CountPage,
  ): Promise<{ readonly count: number; readonly last: string | number | null }>;
}
