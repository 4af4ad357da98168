// What retention is made of: the ports that it needs, no more.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { Audit } from "../registry/audit.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { ImmutableRule, Index, RetentionIndex } from "../registry/ports/index.ts";
import type { RetentionRun } from "./events.ts";

export interface RetentionParts {
  readonly index: RetentionIndex &
    Pick<Index, "pullTimesSince" | "listKnownRepositories" | "namedByManifest" | "findSizes">;
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
  /** The rules behind that: asked again when something goes, for it takes its attachments along. */
  readonly immutableIn: (repository: RepositoryName) => readonly ImmutableRule[];
  /** Lets the tree follow what has just been committed (INV-2). */
  readonly followTree: () => void;
  /** How long what goes can be brought back (`gc.keepdeleted`); 0: not at all. */
  readonly keepDeletedMs: number;
  /** Hears of every application that is over; absent: nobody does. */
  readonly logRun?: (run: RetentionRun) => void;
  /** Hears of each tag and image that has gone; absent: nobody does. */
  readonly audit?: Audit;
  /** Why nothing may be removed: read-only mode, or deletions are disabled; null: it may. */
  readonly refusal: string | null;
}

/** Look-ups are made inline, so a page of tags is what others wait for at most: under 1 ms. */
export const tagPageMax = 200;

/** Each untagged manifest is asked for what keeps it. */
export const untaggedPageMax = 50;

/** Images in one transaction: some 3 ms of the write lock, as the collector's manifests. */
export const imagesAtOnce = 10;

/** Tags in one transaction: an image may have thousands, and each is a deletion that can be undone. */
export const tagsAtOnce = 50;

/** Between two batches, so that the requests that queued up behind one are served before the next. */
export const pauseBetweenBatchesMs = 2;

/**
 * Tags of one repository that are held while it is judged: measured 1.4 kB each in a preview that lets all of
 * them go, so 170 MB for as many. A repository with more is left alone, and told.
 */
export const tagsMax = 120_000;

/** Lets others have their turn every so many steps of a long loop. */
export class Breather {
  readonly #pause: RetentionParts["pause"];
  #steps = 0;

  constructor({ pause }: Pick<RetentionParts, "pause">) {
    this.#pause = pause;
  }

  async step(): Promise<void> {
    this.#steps += 1;
    if (this.#steps % stepsAtOnce === 0) await this.#pause(0);
  }
}

/** Steps of a microsecond or a few each. */
const stepsAtOnce = 250;
