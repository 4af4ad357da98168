// What the comparison of tree and index asks of the index, and does to it (INV-8).
// Also used to take over a classic tree: a comparison with an empty index.
import type {
  Digest,
  DigestAlgorithm,
  ParsedManifest,
  RepositoryName,
  Tag,
} from "../../oci/index.ts";
import type { Page, TreePlace } from "./facts.ts";

/** Something in the tree that could not be used, kept until the next comparison (INV-7). */
export interface TreeProblem {
  readonly kind:
    | "bad-link"
    | "dangling-link"
    | "dangling-revision"
    | "dangling-tag"
    | "unreadable-manifest"
    | "unreadable-tag"
    | "unlistable-directory"
    | "missing-directory"
    | "missing-data"
    | "leftover-file"
    | "unknown-name"
    | "unknown-algorithm"
    | "abandoned-upload"
    | "quarantined-file";
  /** Null where it is no repository's. */
  readonly repository: RepositoryName | null;
  /** The tag or digest concerned, where there is one: a push of it mends the problem. */
  readonly name: string | null;
  /** As in the tree, relative to the root; escaped where it is not UTF-8. */
  readonly path: string;
  readonly detail: string;
}

/** One thing that the tree has and the index has not, or the other way round. */
export type Difference =
  /** `sizeBytes` null: the bytes are not there. */
  | {
      readonly kind: "blob";
      readonly digest: Digest;
      readonly sizeBytes: number | null;
      readonly modifiedMs: number;
    }
  | {
      readonly kind: "layer";
      readonly repository: RepositoryName;
      readonly digest: Digest;
      readonly there: boolean;
    }
  /** `manifest` null with `there`: cannot be parsed (INV-7) or, with `sizeBytes` null, has no bytes. */
  | {
      readonly kind: "revision";
      readonly repository: RepositoryName;
      readonly digest: Digest;
      readonly there: boolean;
      readonly manifest: ParsedManifest | null;
      readonly sizeBytes: number | null;
    }
  | {
      readonly kind: "tag";
      readonly repository: RepositoryName;
      readonly tag: Tag;
      /** Null: no such tag in the tree. */
      readonly digest: Digest | null;
      readonly modifiedMs: number;
    }
  | {
      readonly kind: "tag-history";
      readonly repository: RepositoryName;
      readonly tag: Tag;
      readonly digest: Digest;
      readonly there: boolean;
    }
  | {
      readonly kind: "upload";
      readonly repository: RepositoryName;
      readonly id: string;
      /** Null: the session is not in the tree. */
      readonly startedAtMs: number | null;
    };

/** Looks at the tree again, synchronously, inside the write transaction. Null: not there. */
export interface TreeProbe {
  /** Content of the link at this place, trimmed; null when it is not there. */
  link(place: TreePlace): string | null;
  blobSizeBytes(digest: Digest): number | null;
}

/** What the index holds of one repository, for the comparison. */
export interface RepositoryFacts {
  readonly layers: ReadonlySet<Digest>;
  readonly revisions: ReadonlySet<Digest>;
  /** Those of the revisions whose content is not known, and why. */
  readonly unread: ReadonlyMap<Digest, "unreadable" | "absent">;
  readonly tags: ReadonlyMap<Tag, Digest>;
  readonly tagHistory: ReadonlyMap<Tag, ReadonlySet<Digest>>;
  readonly uploads: ReadonlySet<string>;
}

/** Who reads the bytes of all blobs, and goes on after a stop where it was. */
export type BlobReader = "verify" | "scrub";

export interface ComparisonIndex {
  /** Whether a first build or rebuild has been completed; until then the index counts for nothing. */
  isComplete(): Promise<boolean>;
  markComplete(): Promise<void>;
  /** Empties all facts that the tree holds too, and marks the index incomplete. */
  startRebuild(): Promise<void>;
  /**
   * Takes differences in. With `recheck`, each one only if no redo record covers its place and the tree,
   * looked at again inside the transaction, still says so (INV-8). Returns how many were taken in.
   */
  absorb(
    differences: readonly Difference[],
    options: { readonly nowMs: number; readonly recheck: boolean },
  ): Promise<number>;
  /**
   * The blob's bytes have been moved away, durably: it is absent from now on, unless it is condemned, which
   * it stays. Called under its exclusion. Idempotent; false: it was not present.
   */
  loseBytes(digest: Digest): Promise<boolean>;
  /** Repositories that the index knows, in byte order, those without manifests too. */
  listKnownRepositories(page: Page): Promise<readonly RepositoryName[]>;
  /** Facts of one repository, held in memory whole. */
  repositoryFacts(repository: RepositoryName): Promise<RepositoryFacts>;
  /** Blobs whose digest has this algorithm and begins with these two hex digits; condemned ones left out. */
  blobsWithPrefix(
    algorithm: DigestAlgorithm,
    hexPrefix: string,
  ): Promise<ReadonlyMap<Digest, number>>;
  /** Adds to the list of what was found odd; with `first` the list of the comparison before goes. */
  recordProblems(
    problems: readonly TreeProblem[],
    options: { readonly first: boolean },
  ): Promise<void>;
  listProblems(
    after: number,
    limit: number,
  ): Promise<readonly (TreeProblem & { readonly cursor: number })[]>;
  /** How far who reads all blobs has come, in its own words; null: it is not under way. */
  readingPosition(reader: BlobReader): Promise<string | null>;
  setReadingPosition(reader: BlobReader, position: string | null): Promise<void>;
  /** True while some directory could not be listed: no blob is condemned then (INV-7). */
  hasUnlistable(): Promise<boolean>;
}
