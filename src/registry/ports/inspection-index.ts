// What the API asks of the index to show what is there: repositories, tags, one image, and who else holds
// its blobs. Every method is one look-up of bounded size that changes nothing.
import type { Digest, RepositoryName, Tag } from "../../oci/index.ts";
import type { Page } from "./facts.ts";
import type { RepositoryUsage } from "./usage-index.ts";

export interface RepositoryFact extends RepositoryUsage {
  readonly name: RepositoryName;
  /** When a tag was last moved; null: it has none. */
  readonly newestTagMs: number | null;
}

export interface ListedTag {
  readonly tag: Tag;
  /** When the tag began to name this digest. */
  readonly pushedAtMs: number;
  readonly digest: Digest;
  /** Of the manifest's own bytes; null: they are not there, or cannot be read. */
  readonly sizeBytes: number | null;
  readonly mediaType: string | null;
  /**
   * Of the manifest and all that it names as its own, in turn, as far as it is here; what several children
   * share counts for each. Null: it is not there, or has more children than are added up here.
   */
  readonly imageBytes: number | null;
  /** When the manifest was last pulled, by whatever name, to the hour; null: never, as far as is known. */
  readonly pulledAtMs: number | null;
}

export interface TagPosition {
  readonly tag: Tag;
  readonly pushedAtMs: number;
}

export interface TagPage {
  readonly sort: "name" | "pushed";
  readonly descending: boolean;
  /** The last tag of the page before; null: from the start. */
  readonly after: TagPosition | null;
  readonly limit: number;
}

/** A manifest as its repository knows it. */
export interface ImageFact {
  readonly pushedAtMs: number;
  readonly artifactType: string | null;
  /** To the hour; null: never, as far as is known. */
  readonly pulledAtMs: number | null;
  /** Tags that name it, by name; at most as many as were asked for. */
  readonly tags: readonly Tag[];
}

/** A child of an index. */
export interface ChildFact {
  readonly digest: Digest;
  /** The repository holds it, and it can be pulled. */
  readonly isPresent: boolean;
  /** Of its config and layers, as far as they are here; null: it is not there. */
  readonly contentBytes: number | null;
}

export interface BlobUsers {
  /** Other repositories that hold the blob, the oldest first. */
  readonly repositories: readonly RepositoryName[];
  readonly count: number;
  /** There are more than were counted. */
  readonly atLeast: boolean;
}

export interface InspectionIndex {
  /** Repositories that hold at least one manifest, in byte order. */
  describeRepositories(page: Page): Promise<readonly RepositoryFact[]>;
  /** Null: no such repository. One whose last manifest has gone may still be there. */
  describeRepository(repository: RepositoryName): Promise<RepositoryFact | null>;
  /** Null: no such repository. Tags moved at the same time are in the order of their names. */
  describeTags(repository: RepositoryName, page: TagPage): Promise<readonly ListedTag[] | null>;
  /** Null: the repository has no such manifest. */
  describeImage(
    repository: RepositoryName,
    digest: Digest,
    tagsMax: number,
  ): Promise<ImageFact | null>;
  /** In the order of the digests. */
  describeChildren(
    repository: RepositoryName,
    digests: readonly Digest[],
  ): Promise<readonly ChildFact[]>;
  /** Who holds the blob besides this repository. */
  blobUsers(digest: Digest, besides: RepositoryName, namesMax: number): Promise<BlobUsers>;
}
