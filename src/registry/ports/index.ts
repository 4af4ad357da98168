// The port to the facts: which repository holds which manifest, what refers to what, sizes, tags,
// leases, what the tree still owes, what may be garbage. Every method is one whole domain operation and
// one atomic, serialisable transaction; no transaction is ever handed out. A method that changes
// something resolves when the change is durable (but `beginUpload` and `touchUpload`). All may be called during a collection.
// Design: docs/design/write-ordering.md (INV-1 to INV-9).
import type {
  Digest,
  ParsedManifest,
  ReferenceKind,
  RepositoryName,
  Tag,
} from "../../oci/index.ts";
import type {
  BlobFact,
  LeaseTerms,
  ManifestFact,
  Page,
  ReferrerFact,
  TreePlace,
  UploadFact,
} from "./facts.ts";
import type {
  BoundsIndex,
  DeleteOutcome,
  DeletionTerms,
  Denial,
  ManifestDeletion,
  PushBounds,
  QuotaUse,
} from "./bounds.ts";
import type { CollectionIndex } from "./collection-index.ts";
import type { ComparisonIndex } from "./comparison-index.ts";
import type { EventIndex } from "./event-index.ts";
import type { MetricsIndex } from "./metrics-index.ts";
import type { DeletionIndex } from "./deletion-index.ts";
import type { InspectionIndex } from "./inspection-index.ts";
import type { UsageIndex } from "./usage-index.ts";
import type { PullIndex } from "./pull-index.ts";
import type { RetentionIndex } from "./retention-index.ts";
import type { TokenIndex } from "./token-index.ts";

export interface AcceptManifest {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly manifest: ParsedManifest;
  /** Tags that shall name it, deduplicated. */
  readonly tags: readonly Tag[];
  /** Whether the manifest was pushed by digest, and so is leased itself (INV-5). */
  readonly leaseManifest: boolean;
  /**
   * What must be there (INV-4), a subset of the manifest's references: already without what is exempt.
   * A `manifest` may also be a blob of the repository.
   */
  readonly required: readonly { readonly digest: Digest; readonly kind: ReferenceKind }[];
  /** Absent: nothing bounds the repository. */
  readonly bounds?: PushBounds;
  /** Levels of indexes in each other, of what is there; absent or null: any number. */
  readonly indexLevelsMax?: number | null;
  readonly terms: LeaseTerms;
}

/**
 * `near`: limits of which most is in use now. `denied`: a bound of the repository forbids it. `isTooDeep`:
 * there would be more levels of indexes.
 */
export type AcceptOutcome =
  | { readonly accepted: true; readonly near?: readonly QuotaUse[] }
  | {
      readonly accepted: false;
      readonly missing: readonly Digest[];
      readonly denied?: Denial;
      readonly isTooDeep?: true;
    };

export interface RedoRecord {
  readonly place: TreePlace;
  readonly version: number;
  /** Whether the fact stands now; if not, its place in the tree shall be empty. */
  readonly stands: boolean;
  /** What the link shall hold; null where the fact does not stand, and for repositories. */
  readonly value: Digest | null;
}

export interface UnlinkOutcome {
  readonly outcome: "deleted" | "unknown" | "needed";
  /** With `needed`: manifests of the repository that refer to the blob, at most 10. */
  readonly neededBy: readonly Digest[];
}

export type * from "./bounds.ts";
export type * from "./collection-index.ts";
export type * from "./comparison-index.ts";
export type * from "./deletion-index.ts";
export type * from "./event-index.ts";
export type * from "./facts.ts";
export type * from "./inspection-index.ts";
export type * from "./metrics-index.ts";
export type * from "./pull-index.ts";
export type * from "./retention-index.ts";
export type * from "./token-index.ts";
export type * from "./usage-index.ts";

export interface Index
  extends
    BoundsIndex,
    CollectionIndex,
    ComparisonIndex,
    DeletionIndex,
    EventIndex,
    InspectionIndex,
    MetricsIndex,
    PullIndex,
    RetentionIndex,
    TokenIndex,
    UsageIndex {
  // Look-ups. Each sees one consistent, durable state.

  /** The blob if it is linked in the repository (layers, configs) or is one of its manifests. */
  findBlob(repository: RepositoryName, digest: Digest): Promise<BlobFact | null>;
  /** The blob if its bytes are there and not condemned, wherever it is linked. */
  findBlobAnywhere(digest: Digest): Promise<BlobFact | null>;
  findManifest(repository: RepositoryName, digest: Digest): Promise<ManifestFact | null>;
  findTag(repository: RepositoryName, tag: Tag): Promise<ManifestFact | null>;
  /** Sizes of those of the digests that have bytes; one look-up for all. */
  findSizes(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, number>>;
  /** Tags in byte order; null when the repository is unknown. */
  listTags(repository: RepositoryName, page: Page): Promise<readonly Tag[] | null>;
  /** Repositories that hold at least one manifest, in byte order. */
  listRepositories(page: Page): Promise<readonly RepositoryName[]>;
  /** Manifests of the repository that name the subject, in digest order. */
  listReferrers(
    repository: RepositoryName,
    subject: Digest,
    page: Page<Digest> & { readonly artifactType: string | null },
  ): Promise<readonly ReferrerFact[]>;
  /** Repositories that a blob can be mounted from, in an order of the index's own. */
  listHolders(
    digest: Digest,
    page: { readonly offset: number; readonly limit: number },
  ): Promise<readonly RepositoryName[]>;
  findUpload(repository: RepositoryName, id: string): Promise<UploadFact | null>;
  /** Uploads untouched since `beforeMs`, oldest first. */
  listIdleUploads(beforeMs: number, limit: number): Promise<readonly UploadFact[]>;

  // Pushing.

  /**
   * Opens a session. This and `touchUpload` survive the process, and a power cut only once something else
   * that was changed later is durable: until it ends, an upload's bytes are not durable either.
   * False, and nothing was changed: the repository has `sessionsMax` of them (null: any number may be open).
   */
  beginUpload(
    upload: UploadFact & { readonly terms: LeaseTerms; readonly sessionsMax?: number | null },
  ): Promise<boolean>;
  /** The upload receives bytes: it stays, and so do its caller's leases in that repository (INV-5). */
  touchUpload(upload: {
    readonly id: string;
    readonly repository: RepositoryName;
    readonly terms: LeaseTerms;
  }): Promise<void>;
  /** Forgets the upload if nothing has touched it since then; whether that was so. */
  expireUpload(id: string, idleSinceMs: number): Promise<boolean>;
  /** Forgets the upload. Forgetting what is not there is not an error. */
  endUpload(id: string): Promise<void>;
  /**
   * The bytes are at their final path (INV-1): the blob exists, is linked in the repository, leased to
   * the caller, no longer condemned, and the upload is over. Idempotent.
   */
  finishUpload(finished: {
    readonly id: string | null;
    readonly repository: RepositoryName;
    readonly digest: Digest;
    readonly sizeBytes: number;
    readonly terms: LeaseTerms;
  }): Promise<void>;
  /**
   * Links the blob in another repository, leases it there and moves the caller's lease. `from` null:
   * wherever it is linked. False when it is not in `from` or is condemned.
   */
  mountBlob(mount: {
    readonly digest: Digest;
    readonly from: RepositoryName | null;
    readonly to: RepositoryName;
    readonly terms: LeaseTerms;
  }): Promise<BlobFact | null>;
  /** Looks the blob up and leases it in the same transaction (HEAD by a caller who may push). */
  findAndLeaseBlob(
    repository: RepositoryName,
    digest: Digest,
    terms: LeaseTerms,
  ): Promise<BlobFact | null>;
  /** Likewise for a manifest (HEAD by digest). */
  findAndLeaseManifest(
    repository: RepositoryName,
    digest: Digest,
    terms: LeaseTerms,
  ): Promise<ManifestFact | null>;
  /**
   * The manifest's own bytes are at their final path: it exists in the repository, with its tags (INV-4),
   * unless a bound of the repository forbids any part of it: then nothing is changed.
   */
  acceptManifest(accept: AcceptManifest): Promise<AcceptOutcome>;

  // Deleting.

  /**
   * The manifest leaves the repository, its tags with it. Nothing is left to bring it back. What a tag
   * names that is held, and an index's children with it, stays. `terms` a number: when; nothing is held.
   */
  deleteManifest(
    repository: RepositoryName,
    digest: Digest,
    terms: number | DeletionTerms,
  ): Promise<ManifestDeletion>;
  /**
   * The tag goes, unless it is held, and nothing is left to bring it back. `terms` a number: when; nothing
   * is held. Deletions that can be undone: deletion-index.ts.
   */
  deleteTag(
    repository: RepositoryName,
    tag: Tag,
    terms: number | DeletionTerms,
  ): Promise<DeleteOutcome>;
  /** Takes a blob out of a repository, unless one of its manifests needs it. */
  unlinkBlob(repository: RepositoryName, digest: Digest, nowMs: number): Promise<UnlinkOutcome>;

  // The tree follows (INV-2).

  /** The oldest redo records, each with the value that the fact has in this state. */
  pendingRedo(limit: number): Promise<readonly RedoRecord[]>;
  /** The version of the newest record; 0: the tree owes nothing. */
  newestRedo(): Promise<number>;
  /** Clears records whose places are durable in the tree; one that was renewed meanwhile stays. */
  clearRedo(records: readonly RedoRecord[]): Promise<void>;

  // Life.

  /** The random id that root and index share; null until `setRootId`. */
  rootId(): Promise<string | null>;
  setRootId(id: string): Promise<void>;
  /** Writes the whole log into the database file and empties it. */
  checkpoint(): Promise<void>;
  /** Checkpoints and closes. Nothing may be called afterwards. Idempotent. */
  close(): Promise<void>;
}
