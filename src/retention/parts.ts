// What retention is made of: the ports that it needs, no more.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { Index, RetentionIndex } from "../registry/ports/index.ts";

export interface RetentionParts {
  readonly index: RetentionIndex &
    Pick<Index, "listKnownRepositories" | "namedByManifest" | "namersOf" | "blobStandings">;
  readonly clock: Clock;
  /** Waits; 0 only lets others have their turn. Tests do not wait. */
  readonly pause: (ms: number) => Promise<void>;
  /** Pulls that have not reached the index yet (registry/pull-log.ts). */
  readonly pulls: {
    settle(): Promise<void>;
    isWaiting(repository: RepositoryName, digest: Digest): boolean;
  };
  /** Tags that may not be deleted, whatever a rule says. */
  readonly isProtected: (repository: RepositoryName, tag: Tag) => boolean;
  /** Lets the tree follow what has just been committed (INV-2). */
  readonly followTree: () => void;
  /** How long what goes can be brought back (`gc.keepdeleted`); 0: not at all. */
  readonly keepDeletedMs: number;
  /** Why nothing may be removed: read-only mode, or deletions are disabled; null: it may. */
  readonly refusal: string | null;
}

/** Look-ups are made inline, so a page of tags is what others wait for at most: under 1 ms. */
export const tagPageMax = 200;

/** Each untagged manifest is asked for what keeps it. */
export const untaggedPageMax = 50;

/** Images in one transaction: some 3 ms of the write lock, as the collector's manifests. */
export const imagesAtOnce = 10;

/** Between two batches, so that the requests that queued up behind one are served before the next. */
export const pauseBetweenBatchesMs = 2;

/**
 * Tags of one repository that are held while it is judged, some 400 bytes each. A repository with more is
 * left alone, and told.
 */
export const tagsMax = 200_000;
