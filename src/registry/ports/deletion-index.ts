// What deleting and undoing ask of the index: deletions that leave a record of what bringing them back
// needs, the list of these records, and the restore of one. A record holds blobs (INV-6) until it is
// restored, made void by a push, or released by a collection. Design: docs/design/garbage-collection.md.
import type { Digest, ParsedManifest, RepositoryName, Tag } from "../../oci/index.ts";
import type { Denial, HeldTag, ImmutableRule, ManifestDeletion, PushBounds } from "./bounds.ts";
import type { Caller, LeaseTerms, Page } from "./facts.ts";

/** Who deletes, when, and why. */
export interface RestorableDeletion {
  readonly nowMs: number;
  readonly deletedBy: Caller;
  /** `client`, `api`, `command`, `retention rule <name>`; what is longer than 200 characters is cut. */
  readonly reason: string;
  /** Rules of the repository: what they hold stays (`immutable`, and nothing has changed). Absent: none. */
  readonly immutable?: readonly ImmutableRule[];
}

export interface Deletion extends RestorableDeletion {
  /** False: nothing is kept to bring it back (`gc.keepdeleted` is 0). */
  readonly isRestorable: boolean;
}

export interface TagDeletion {
  /** `changed`: the tag names another digest than was expected, and stays. */
  readonly outcome: "deleted" | "unknown" | "changed" | "immutable";
  /** What it named, or (`changed`, `immutable`) names; null: there is no such tag. */
  readonly digest: Digest | null;
  /** With `immutable`. */
  readonly held?: HeldTag;
}

export interface ImageDeletion {
  readonly outcome: "deleted" | "unknown" | "immutable";
  /** With `immutable`. */
  readonly held?: HeldTag;
  /** The tags of the manifest, which went with it. */
  readonly tags: readonly Tag[];
  /** All that went: the manifest first, then children and referrers. */
  readonly manifests: readonly Digest[];
}

export interface RepositoryDeletion {
  /** `unknown`: nothing in the repository could be deleted. */
  readonly outcome: "deleted" | "unknown" | "immutable";
  /** With `immutable`: what the page ended at; what it met before is gone. */
  readonly held?: HeldTag;
  readonly images: number;
  readonly manifests: number;
  readonly tags: number;
  /** There is more of it: call again. */
  readonly more: boolean;
}

/** What was deleted: a tag alone; a manifest with its tags; the same with children and referrers. */
export type DeletedWhat = "tag" | "manifest" | "image";

/** A deletion that can be undone. */
export interface DeletionEntry extends RestorableDeletion {
  readonly id: number;
  readonly what: DeletedWhat;
  readonly repository: RepositoryName;
  /** Of a tag: what it named. */
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes of the manifest itself. */
  readonly sizeBytes: number;
  /** Tags that went and can come back, in byte order, at most 100 of them. */
  readonly tags: readonly Tag[];
  readonly tagCount: number;
  /** Bytes of all that it holds, when it was made; other things may hold them too. */
  readonly heldBytes: number;
}

/** A place in the list of deletions, the youngest first. */
export type DeletionPosition = readonly [deletedAtMs: number, id: number];

export interface DeletionPage {
  /** Of the last entry of the page before; null: from the start. */
  readonly after: DeletionPosition | null;
  readonly limit: number;
  readonly repository?: RepositoryName;
}

/** What to bring back, by the number of its deletion or by name: then the youngest deletion of it. */
export type RestoreWanted =
  | { readonly id: number }
  | { readonly repository: RepositoryName; readonly digest: Digest }
  | { readonly repository: RepositoryName; readonly tag: Tag };

export type FoundDeletion =
  | { readonly outcome: "found"; readonly deletion: DeletionEntry }
  /** Nothing to bring back: the repository has it. */
  | { readonly outcome: "there" }
  /** It could be undone until then. */
  | { readonly outcome: "gone"; readonly deletedAtMs: number; readonly releasedAtMs: number }
  /** Never deleted here, or too long ago for anybody to remember. */
  | { readonly outcome: "unknown" };

/** A manifest that a deletion holds, read from its bytes. */
export interface HeldManifest {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly manifest: ParsedManifest;
  /** What must be there for it to be accepted (INV-4). */
  readonly required: readonly Digest[];
}

export interface Restore {
  readonly id: number;
  /**
   * Of a tag: the deletion of its manifest, which this one ends, so that what that one holds comes back as
   * well. Null: there is none. `unknown` when that has changed. Absent: it is not asked about.
   */
  readonly ownId?: number | null;
  /** All manifests that the deletions hold, but those whose bytes are `lost`. */
  readonly manifests: readonly HeldManifest[];
  /** Digests that were found to have no bytes, or other ones (INV-9). */
  readonly lost: readonly Digest[];
  /** Tags that name something else by now are moved, but those that are held. */
  readonly forceTags: boolean;
  /** Of the repository; absent: none. */
  readonly bounds?: PushBounds;
  /** Whoever restores: a manifest that comes back without a tag is leased to them (INV-5). */
  readonly terms: LeaseTerms;
}

/** A tag that names something else by now. */
export interface TakenTag {
  readonly tag: Tag;
  readonly digest: Digest;
}

export type RestoreOutcome =
  | {
      readonly outcome: "restored";
      /** Manifests that came back. */
      readonly manifests: readonly Digest[];
      readonly tags: readonly Tag[];
      /** Not moved; these stay restorable, each by itself. */
      readonly taken: readonly TakenTag[];
      /** Referrers that could not come with it, something that they need being gone. */
      readonly leftOut: readonly Digest[];
    }
  /** The deletion was of a tag, which names something else by now: nothing has changed. */
  | { readonly outcome: "taken"; readonly taken: readonly TakenTag[] }
  /** Something that it needs is not there: nothing has changed (INV-4). */
  | { readonly outcome: "missing"; readonly missing: readonly Digest[] }
  /** A quota of the repository forbids it: nothing has changed. */
  | { readonly outcome: "denied"; readonly denied: Denial }
  /** Restored, pushed again or released meanwhile. */
  | { readonly outcome: "unknown" };

export interface DeletionIndex {
  /**
   * The manifest leaves the repository, its tags with it; children and referrers stay. What a restore needs
   * is held until the deletion is released (INV-6).
   */
  deleteRestorably(
    repository: RepositoryName,
    digest: Digest,
    deletion: RestorableDeletion,
  ): Promise<ManifestDeletion>;
  /**
   * The tag goes, the manifest stays; both can come back as long as the deletion is kept. `expected`: only
   * if the tag still names that digest.
   */
  deleteTagRestorably(
    wanted: {
      readonly repository: RepositoryName;
      readonly tag: Tag;
      readonly expected?: Digest;
    },
    deletion: Deletion,
  ): Promise<TagDeletion>;
  /**
   * The manifest, its tags, children that nothing else names or tags, and referrers of all that goes, in
   * turn, as one deletion. What has a tag or a live lease of its own stays, and so does everything but the
   * manifest itself in a repository that cannot be judged (INV-7). A bounded number; the rest is left to the collector.
   */
  deleteImage(
    image: { readonly repository: RepositoryName; readonly digest: Digest },
    deletion: Deletion,
  ): Promise<ImageDeletion>;
  /**
   * A page of the repository's images, each a deletion of its own; then tags that lead nowhere. Layer links
   * stay: those without a lease are the collector's, those with one belong to a push under way.
   */
  deleteRepository(repository: RepositoryName, deletion: Deletion): Promise<RepositoryDeletion>;
  /** What `deleteImage` would take now. Changes nothing. */
  previewImageDeletion(
    image: { readonly repository: RepositoryName; readonly digest: Digest },
    nowMs: number,
  ): Promise<ImageDeletion>;
  /** What is in a repository for `deleteRepository` to take, tags counted up to 10,000; null: nothing. */
  previewRepositoryDeletion(
    repository: RepositoryName,
  ): Promise<{ readonly manifests: number; readonly tags: number } | null>;
  /** Uploads of the repository that are open, in byte order. */
  listUploads(repository: RepositoryName, page: Page): Promise<readonly string[]>;

  /** The youngest first; stable under change: an entry comes once or, made or ended meanwhile, not at all. */
  listDeletions(page: DeletionPage): Promise<readonly DeletionEntry[]>;
  findDeletion(wanted: RestoreWanted): Promise<FoundDeletion>;
  /** Manifests that a deletion holds, in digest order, with the media types that they had. */
  heldManifests(
    id: number,
    page: { readonly after: Digest | null; readonly limit: number },
  ): Promise<readonly { readonly digest: Digest; readonly mediaType: string }[]>;
  /** What `restoreDeletion` would do now, quotas aside. Changes nothing. */
  previewRestore(restore: Restore): Promise<RestoreOutcome>;
  /**
   * An acceptance (INV-4): the manifest comes back with its tags, what it names and its referrers, with
   * their layer links, if all that it needs is there and not condemned. The deletion is over then.
   */
  restoreDeletion(restore: Restore): Promise<RestoreOutcome>;
}
