// What the index knows about space. Exact: kept in the transactions that change the facts, never estimated.
// A *scan* walks a table in pages, each one short look; its cursor is opaque. What the figures mean:
// docs/usage.md.
import type { Digest, ReferenceKind, RepositoryName, Tag } from "../../oci/index.ts";
import type { RepositoryManifest } from "./collection-index.ts";
import type { BlobFact } from "./facts.ts";

/**
 * A repository *holds* a blob when one of its manifests is the blob or names it, in whatever way: as the
 * collector sees it (INV-6). Only bytes that are there count.
 */
export interface RepositoryUsage {
  readonly manifests: number;
  readonly tags: number;
  /** Of the distinct blobs that it holds. */
  readonly logicalBytes: number;
  /** Of those that no other repository holds: what deleting the repository and collecting would free. */
  readonly exclusiveBytes: number;
}

export interface NamedUsage extends RepositoryUsage {
  readonly repository: RepositoryName;
}

export interface UsageTotals {
  /** Blobs with bytes, manifests' own included; condemned ones left out. */
  readonly blobs: number;
  readonly storedBytes: number;
  /** Of those that some repository holds. */
  readonly heldBytes: number;
  /** Summed over all repositories: what they would take if nothing were shared. */
  readonly logicalBytes: number;
  readonly manifests: number;
  /** Those that hold a manifest. */
  readonly repositories: number;
  /** Manifests that cannot be read, and so hold whatever their repository links (INV-7). */
  readonly unreadableManifests: number;
}

/** The totals as they were on a day. */
export interface UsageSample extends Omit<UsageTotals, "unreadableManifests"> {
  /** Days since the epoch, in UTC. */
  readonly day: number;
  readonly takenAtMs: number;
}

export interface ScanPage {
  /** What the page before returned as `next`; null at first. */
  readonly after: string | null;
  /** Rows to look at; not all need be answered. */
  readonly limit: number;
}

export interface Scan<Row> {
  /** Null: that was the last page. */
  readonly next: string | null;
  readonly rows: readonly Row[];
}

export interface TaggedImage extends RepositoryManifest {
  readonly tag: Tag;
  readonly pushedAtMs: number;
  /** Of the manifest and all that it names as its own, in turn; blobs that children share count for each. */
  readonly bytesAtMost: number;
}

/** A manifest's own bytes and those of the blobs that it names as its own; children are by themselves. */
export interface ManifestBytes {
  readonly repository: RepositoryName;
  readonly pushedAtMs: number;
  readonly bytes: number;
}

export interface NamedBlob extends BlobFact {
  readonly kind: ReferenceKind;
  /** It is a manifest of the same repository. */
  readonly isManifest: boolean;
}

export interface HeldBlob extends BlobFact {
  /** Other repositories that hold it; some of them, if there are many. */
  readonly sharedWith: readonly RepositoryName[];
  readonly isSharedWithMore: boolean;
}

export interface BlobHolder {
  readonly repository: RepositoryName;
  /** How many of its manifests are the blob or name it. */
  readonly manifests: number;
}

export interface BlobHolders extends BlobFact {
  readonly holders: Scan<BlobHolder>;
  /** Manifests that cannot be read, in repositories that link the blob, and so may name it (INV-7). */
  readonly mayHold: readonly RepositoryManifest[];
}

/** A blob with bytes that no repository holds. */
export interface UnheldBlob extends BlobFact {
  readonly isLeased: boolean;
  /** A deletion that can be undone needs it. */
  readonly isRestorable: boolean;
  /** An unreadable manifest may name it (INV-7). */
  readonly mayBeHeld: boolean;
}

export interface UsageIndex {
  /** Null: the repository is unknown. One look, whatever the size of the registry. */
  repositoryUsage(repository: RepositoryName): Promise<RepositoryUsage | null>;
  usageTotals(): Promise<UsageTotals>;
  /** Every repository that the index knows, in byte order of the names; `after` is one. */
  scanRepositoryUsage(page: ScanPage): Promise<Scan<NamedUsage>>;
  /** Every tag whose image may have so many bytes or more. */
  scanTaggedImages(page: ScanPage & { readonly bytesMin: number }): Promise<Scan<TaggedImage>>;
  /** Every manifest. */
  scanManifestBytes(page: ScanPage): Promise<Scan<ManifestBytes>>;
  /** Every blob of so many bytes or more. */
  scanBlobs(page: ScanPage & { readonly bytesMin: number }): Promise<Scan<BlobFact>>;
  /** What a repository holds, with whom it shares it: at most so many names a blob. */
  scanHeldBlobs(
    repository: RepositoryName,
    page: ScanPage & { readonly sharedWithMax: number },
  ): Promise<Scan<HeldBlob>>;
  /** The manifests of a repository. */
  scanManifests(
    repository: RepositoryName,
    page: ScanPage,
  ): Promise<Scan<RepositoryManifest & { readonly sizeBytes: number }>>;
  /** What a manifest names, itself left out; `sizeBytes` 0: not there. */
  scanNamed(manifest: RepositoryManifest, page: ScanPage): Promise<Scan<NamedBlob>>;
  /** Tags of a manifest in byte order; `after` is one. */
  scanTagsOf(manifest: RepositoryManifest, page: ScanPage): Promise<Scan<Tag>>;
  /** Who holds those of the digests whose bytes are there: at most `limit` repositories each. */
  blobHolders(digests: readonly Digest[], page: ScanPage): Promise<readonly BlobHolders[]>;
  /** Of the collector's candidates, those that no repository holds. */
  scanUnheldBlobs(page: ScanPage & { readonly nowMs: number }): Promise<Scan<UnheldBlob>>;
  /** What deletions that can be undone hold and no repository does. */
  scanRestorableBlobs(page: ScanPage): Promise<Scan<BlobFact>>;
  /** All upload sessions. */
  scanUploads(
    page: ScanPage,
  ): Promise<Scan<{ readonly id: string; readonly repository: RepositoryName }>>;

  /** Keeps the totals as they are now as those of that day, one sample a day; the oldest go. */
  recordUsage(at: { readonly day: number; readonly nowMs: number }): Promise<void>;
  /** The youngest first. */
  usageHistory(limit: number): Promise<readonly UsageSample[]>;
  /** Counts a repository again from what its manifests name, or (null) the totals; for verify's repairs. */
  recountUsage(repository: RepositoryName | null): Promise<void>;
}
