// What a collection asks of the index, and does to it. Design: docs/design/garbage-collection.md.
import type { Digest, RepositoryName, Tag } from "../../oci/index.ts";
import type { BlobFact } from "./facts.ts";

/** A blob or manifest that some event may have made garbage. `repository` null: no repository's. */
export interface Candidate {
  readonly repository: RepositoryName | null;
  readonly digest: Digest;
}

/** A place in the queue of candidates: when it was due, and its number. */
export type QueuePosition = readonly [dueMs: number, id: number];

export interface QueuePage {
  /** The position of the last candidate of the page before; null: from the start. */
  readonly after: QueuePosition | null;
  readonly limit: number;
  readonly nowMs: number;
}

/** What shall go of what no tag and no lease reaches. */
export interface RemovalPolicy {
  /** Also manifests that merely have no tag; without it only referrers whose subject was removed. */
  readonly untagged: boolean;
  /** With `untagged`: only those that have had no tag since then or longer. */
  readonly untaggedBeforeMs: number;
}

/**
 * Why a manifest stays: by itself (`tag`, `lease`), by what leads to it (`namer`), because its
 * repository cannot be judged (`unreadable`), or because the policy does not ask for it (`policy`).
 */
export type ManifestKeeper = "tag" | "lease" | "namer" | "unreadable" | "policy";

/** All that a decision on one manifest needs. */
export interface ManifestStanding {
  /** Null when it was asked for by name and is no candidate. */
  readonly position: QueuePosition | null;
  readonly repository: RepositoryName;
  readonly digest: Digest;
  /** Bytes of the manifest itself. */
  readonly sizeBytes: number;
  /** Null: nothing that stays reaches it (design §3, "the closure"), so it goes. */
  readonly keptBy: ManifestKeeper | null;
  /** End of the lease that keeps it, its own or of what leads to it; null: no lease does. */
  readonly leasedUntilMs: number | null;
}

/** All that a decision on one blob needs. */
export interface BlobStanding {
  /** Null when it was asked for by name and is no candidate. */
  readonly position: QueuePosition | null;
  readonly repository: RepositoryName | null;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Its bytes are there and it is not condemned yet. */
  readonly present: boolean;
  /** The repository has a layer link to it. */
  readonly linked: boolean;
  /** A manifest of this repository names it, or the repository cannot be judged (INV-7). */
  readonly neededHere: boolean;
  /** A live manifest anywhere is it or names it, or an unreadable repository links it. */
  readonly referenced: boolean;
  /** End of the longest live lease on it in this repository or, for the blob, in any; null: none. */
  readonly leasedHereUntilMs: number | null;
  readonly leasedUntilMs: number | null;
  /** When the youngest deletion that can be undone and needs it was made; null: none does. */
  readonly heldSinceMs: number | null;
  /** Taken in from the tree unreferenced, modified then: perhaps a foreign push under way (design §5). */
  readonly foreignSinceMs: number | null;
}

/** A manifest in a repository. */
export interface RepositoryManifest {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

export interface CondemnOptions {
  readonly nowMs: number;
  /** Bytes taken in from the tree younger than this are spared (design §5). */
  readonly foreignGraceMs: number;
  /** The transaction ends when it has taken this long, though candidates are left; absent: it does not. */
  readonly lockMsMax?: number;
}

export interface CondemnOutcome {
  /** How many of the candidates, the last ones, were left for want of time (`lockMsMax`); absent: none. */
  readonly left?: number;
  /** From now on these answer 404; their bytes may be unlinked under their exclusion (INV-3, INV-6). */
  readonly condemned: readonly BlobFact[];
  readonly linksRemoved: readonly {
    readonly repository: RepositoryName;
    readonly digest: Digest;
  }[];
}

/** What a look at the queues is about. */
export interface DueOptions {
  readonly nowMs: number;
  readonly policy: RemovalPolicy;
  readonly deletedBeforeMs: number;
  /** Uploads untouched since then are abandoned; null: none is. */
  readonly uploadsIdleSinceMs: number | null;
}

export interface CollectionDue {
  /** A collection would find something to look at now. */
  readonly due: boolean;
  /** When the next thing falls due after now; null: nothing that is known. */
  readonly nextMs: number | null;
}

/** One run of the collector, as it is kept. */
export interface RunRecord {
  readonly askedBy: "background" | "command" | "api";
  /** Of the command line or the API. */
  readonly user: string | null;
  /** `request`, or why a background run began. */
  readonly trigger: string;
  readonly startedAtMs: number;
  /** Null while it is under way, and of one that was killed. */
  readonly durationMs: number | null;
  readonly untagged: boolean;
  readonly full: boolean;
  /** Looked at. */
  readonly candidates: number;
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly links: number;
  /** Abandoned uploads that expired. */
  readonly uploads: number;
  readonly repositories: number;
  readonly steppedOver: { readonly count: number; readonly atLeast: boolean };
  readonly errors: readonly string[];
  /** Why it did not come to its end; null: it did, or is under way. `interrupted`: it was killed. */
  readonly stopped: string | null;
}

export interface RunEntry {
  readonly id: number;
  readonly isOver: boolean;
  readonly record: RunRecord;
}

/** A place among the digests that deletions hold. */
export type HeldPosition = readonly [deletedAtMs: number, id: number, digest: Digest];

export interface HeldDigest {
  readonly position: HeldPosition;
  readonly digest: Digest;
}

/** Digests held by deletions made in that time, the bounds being (after, before]. */
export interface HeldPage {
  readonly after: HeldPosition | null;
  readonly deletedAfterMs: number;
  readonly deletedBeforeMs: number;
  readonly limit: number;
}

export interface ReleasedDeletions {
  readonly released: number;
  /** There may be more of them. */
  readonly more: boolean;
}

/** Deletions that can be undone. */
export interface KeptDeletions {
  readonly count: number;
  /** When the youngest was made; null: there is none. */
  readonly newestMs: number | null;
}

export interface Totals {
  /** Blobs with bytes, condemned ones not counted; manifests' own bytes included. */
  readonly blobs: number;
  readonly blobBytes: number;
  /** Manifests over all repositories: one in two repositories counts twice. */
  readonly manifests: number;
  readonly repositories: number;
}

export interface RemovedManifest extends RepositoryManifest {
  /** Tags in whose history it stood; those entries go too. */
  readonly tagHistory: readonly Tag[];
}

/** A page of a table that a full collection walks, in key order. */
export interface EnqueuePage {
  readonly what: "blobs" | "layers" | "manifests" | "repositories";
  /** Opaque; what the page before returned as `next`, null at first. */
  readonly after: string | null;
  readonly limit: number;
  readonly nowMs: number;
}

export interface CollectionIndex {
  totals(): Promise<Totals>;

  /**
   * Manifests that may have become garbage and are due, in queue order, each with its standing. Those
   * that an earlier run left because nothing asked for untagged ones come only with `policy.untagged`.
   */
  manifestCandidates(
    page: QueuePage & { readonly policy: RemovalPolicy },
  ): Promise<readonly ManifestStanding[]>;
  /** The standing of those of the manifests that are there; they need not be candidates. */
  manifestStandings(
    manifests: readonly RepositoryManifest[],
    options: { readonly nowMs: number; readonly policy: RemovalPolicy },
  ): Promise<readonly ManifestStanding[]>;
  /** Blobs and layer links likewise. */
  blobCandidates(page: QueuePage): Promise<readonly BlobStanding[]>;
  /** The standing of blobs that need not be candidates (a dry run asks what a removal would free). */
  blobStandings(candidates: readonly Candidate[], nowMs: number): Promise<readonly BlobStanding[]>;
  /** What a manifest names, whatever the kind; itself not included. */
  namedByManifest(digest: Digest): Promise<readonly Digest[]>;
  /**
   * Live manifests that are this blob, name it, or cannot be read in a repository that links it and so
   * might (INV-7); in one repository or (null) in any; paged. One may come twice.
   */
  namersOf(
    digest: Digest,
    page: {
      readonly offset: number;
      readonly limit: number;
      readonly repository: RepositoryName | null;
    },
  ): Promise<readonly RepositoryManifest[]>;

  /** What releasing the deletions of that time would have looked at; the oldest first. */
  heldDigests(page: HeldPage): Promise<readonly HeldDigest[]>;
  /** The deletions made after that which can be undone. */
  keptDeletions(deletedAfterMs: number): Promise<KeptDeletions>;
  /**
   * Lets go of what the deletions made until then hold, oldest first, at most `limit` of them: they
   * cannot be undone any more, and what they held is due.
   */
  releaseDeletions(options: {
    readonly deletedBeforeMs: number;
    readonly nowMs: number;
    readonly limit: number;
  }): Promise<ReleasedDeletions>;

  /** Puts into the queue what nothing holds and the queue had missed (`--full`); how many that were. */
  enqueuePage(
    page: EnqueuePage,
  ): Promise<{ readonly next: string | null; readonly missed: number }>;

  /**
   * Settles manifest candidates, re-checked inside the transaction: removes those that nothing keeps,
   * and before each what names it in its repository, which nothing keeps either; a bounded number of
   * them, the rest stay due. Links, blobs and manifests that this may free become candidates. One that is kept leaves the queue,
   * one that is leased is postponed, and one that only the policy keeps is held in the queue.
   */
  removeManifests(
    manifests: readonly RepositoryManifest[],
    options: { readonly nowMs: number; readonly policy: RemovalPolicy },
  ): Promise<readonly RemovedManifest[]>;
  /**
   * Settles blob candidates, re-checked inside the transaction (INV-6): removes the layer link that
   * nothing needs, condemns the blob that nothing holds, postpones what is leased, leaves due what is
   * foreign and young, and drops from the queue what a reference or a deletion holds. At most 100 at a time.
   */
  condemn(candidates: readonly Candidate[], options: CondemnOptions): Promise<CondemnOutcome>;
  /** Blobs condemned and not yet forgotten, also those that a killed run left (INV-3); digest order. */
  listCondemned(page: {
    readonly after: Digest | null;
    readonly limit: number;
  }): Promise<readonly BlobFact[]>;
  /** Whether the blob is condemned in this state. Asked under its exclusion before the unlink. */
  isCondemned(digest: Digest): Promise<boolean>;
  /** The bytes are gone: forgets those that are still condemned. */
  forget(digests: readonly Digest[]): Promise<void>;
  /** Drops repositories that hold nothing any more, re-checked; which ones. */
  dropEmptyRepositories(limit: number): Promise<readonly RepositoryName[]>;
  /** Those that `dropEmptyRepositories` would drop now. */
  emptyRepositories(limit: number): Promise<readonly RepositoryName[]>;
  /** Whether there is anything for a collection to do. One look. */
  collectionDue(options: DueOptions): Promise<CollectionDue>;
  /** Begins the record of a run; its number. Of many, the oldest records are dropped. */
  beginRun(record: RunRecord): Promise<number>;
  endRun(id: number, record: RunRecord): Promise<void>;
  /** At a start: the records of runs that were killed say so from now on. How many those were. */
  interruptRuns(nowMs: number): Promise<number>;
  /** The youngest first, those before `before`. */
  listRuns(page: {
    readonly before: number | null;
    readonly limit: number;
  }): Promise<readonly RunEntry[]>;
  /** Forgets leases that are over; how many. Their blobs have been candidates since they began. */
  expireLeases(options: { readonly nowMs: number; readonly limit: number }): Promise<number>;
}
