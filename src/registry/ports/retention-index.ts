// What retention asks of the index, and does to it. Design: docs/design/retention.md.
import type { Digest, RepositoryName, Tag } from "../../oci/index.ts";
import type { RepositoryManifest } from "./collection-index.ts";
import type { Page } from "./facts.ts";
import type { Deletion } from "./deletion-index.ts";

/** A tag as a rule judges it. */
export interface TagFact {
  readonly tag: Tag;
  readonly digest: Digest;
  /** When the tag was pushed, that is, came to name this digest. */
  readonly pushedAtMs: number;
  /** When the manifest was last pushed, by whatever tag; null: there is no such manifest that can be read. */
  readonly imagePushedAtMs: number | null;
  /** When the manifest was last pulled, to the hour; null: never, as far as is known. */
  readonly pulledAtMs: number | null;
}

/** A digest and those of its tags that a rule would not keep, as they were judged. */
export interface RetiredImage {
  readonly digest: Digest;
  readonly imagePushedAtMs: number | null;
  readonly pulledAtMs: number | null;
  readonly tags: readonly { readonly tag: Tag; readonly pushedAtMs: number }[];
}

/**
 * `removed`: the image went with its tags, and what followed it. `untagged`: its tags went, and something
 * else needs the image. `changed`: it is not what was judged any more. `leased`: a push may be about to
 * refer to it. Of the last two nothing has gone.
 */
export type RetireResult = "removed" | "untagged" | "changed" | "leased";

export interface RetireOutcome {
  /**
   * `changed`: one of the tags that the judgement stands on is gone, so judge again. `unjudgeable`: the
   * repository cannot be judged (INV-7). Nothing has gone then.
   */
  readonly standing: "fits" | "changed" | "unjudgeable";
  /** One for each image, in order; none unless it fits. */
  readonly results: readonly RetireResult[];
  /** Tags of the images, and those that followed them (cosign's). */
  readonly tags: number;
  /** Manifests, and those that went with them. */
  readonly manifests: number;
  readonly departed: Departed;
}

/** What has left a repository, one by one: for those who are to be notified. */
export interface Departed {
  /** That went by themselves: their manifests stay. */
  readonly tags: readonly Tag[];
  /** With all their tags. */
  readonly manifests: readonly Digest[];
}

export interface UntaggedPage {
  /** The position of the last one of the page before; null: from the start. */
  readonly after: number | null;
  readonly limit: number;
  readonly untaggedBeforeMs: number;
  readonly nowMs: number;
}

export interface UntaggedManifest {
  readonly position: number;
  readonly digest: Digest;
  readonly untaggedSinceMs: number;
  /** Nothing keeps it, so that it would go. */
  readonly goes: boolean;
}

export interface UntaggedOutcome {
  /** Those of the manifests that went. */
  readonly gone: readonly Digest[];
  /** Attachments that followed. */
  readonly tags: number;
  /** With those that went with them. */
  readonly manifests: number;
  readonly departed: Departed;
}

/** What decides whether a manifest goes with others, and what goes with it. */
export interface ManifestTies {
  /** Manifests of the repository that have it as a part, at most `tiesMax` of each kind. */
  readonly parents: readonly Digest[];
  /** Its parts that are manifests of the repository. */
  readonly children: readonly Digest[];
  /** Its subject, if that is there. */
  readonly subject: Digest | null;
  readonly referrers: readonly Digest[];
  readonly tags: readonly Tag[];
  readonly isLeased: boolean;
}

/** A place among the manifests that hold a blob. */
export type HolderPosition = readonly [manifest: number, repository: number];

export interface HolderPage {
  /** The youngest first. */
  readonly holders: readonly RepositoryManifest[];
  /** Null: there are no more. */
  readonly next: HolderPosition | null;
}

export interface RetentionIndex {
  /** Tags of the repository in byte order; none when it is unknown. */
  retentionTags(repository: RepositoryName, page: Page): Promise<readonly TagFact[]>;
  /** Whether policies may remove anything in the repository now (INV-7). */
  isJudgeable(repository: RepositoryName): Promise<boolean>;
  /** Manifests without a tag that some event has made candidates, whether they would go or not. */
  untaggedManifests(
    repository: RepositoryName,
    page: UntaggedPage,
  ): Promise<readonly UntaggedManifest[]>;
  /** Null: there is no such manifest. */
  manifestTies(
    repository: RepositoryName,
    digest: Digest,
    nowMs: number,
  ): Promise<ManifestTies | null>;
  /**
   * Manifests that are the blob or name it, and those that cannot be read in a repository that links it and
   * so might (INV-7), in any repository, a page at a time. One may come twice.
   */
  holdersOf(
    digest: Digest,
    page: { readonly before: HolderPosition | null; readonly limit: number },
  ): Promise<HolderPage>;
  /**
   * Removes tags that a rule does not keep, each image with its last one, restorably. Decided again inside
   * the transaction: each tag still names what was judged and has not been pushed or pulled since; the image
   * has no other tag, nothing has it as a part, it hangs on no subject, and no lease is on it. Attachment tags go with their image. A few images at a time.
   */
  retireImages(work: {
    readonly repository: RepositoryName;
    readonly images: readonly RetiredImage[];
    /** Tags that must still be there, or the judgement does not hold: the newest ones that are kept, say. */
    readonly witnesses: readonly Tag[];
    readonly deletion: Deletion;
  }): Promise<RetireOutcome>;
  /** Removes those that still have had no tag for that long and that nothing keeps, restorably. */
  retireUntagged(work: {
    readonly repository: RepositoryName;
    readonly digests: readonly Digest[];
    readonly untaggedBeforeMs: number;
    readonly deletion: Deletion;
  }): Promise<UntaggedOutcome>;
  /** When each rule was last applied by the server itself. */
  retentionRuns(): Promise<ReadonlyMap<string, number>>;
  setRetentionRuns(lastRunMs: ReadonlyMap<string, number>): Promise<void>;
}
