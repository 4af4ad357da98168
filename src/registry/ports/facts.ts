// The facts that the index tells, as values.
import type { Digest, RepositoryName, Tag } from "../../oci/index.ts";

/** The user, or else the address (INV-5). */
export type Caller = string;

/** How long a lease of this kind of event lasts, and since when it may be renewed by looking alone. */
export interface LeaseTerms {
  readonly caller: Caller;
  readonly nowMs: number;
  readonly graceMs: number;
}

export interface BlobFact {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface ManifestFact {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
}

export interface ReferrerFact extends ManifestFact {
  readonly artifactType: string | null;
  readonly annotations: Readonly<Record<string, string>> | null;
}

/** Names after `after` in byte order, at most `limit`. */
export interface Page<Key extends string = string> {
  readonly after: Key | null;
  readonly limit: number;
}

export interface UploadFact {
  readonly id: string;
  readonly repository: RepositoryName;
  /** The user who began it; null: nobody who was logged in, or not known (found in the tree). */
  readonly owner: string | null;
  readonly startedAtMs: number;
}

/**
 * A place in the tree that follows a fact. A redo record names one of these; applying it reads the fact
 * as it is now (INV-2).
 */
export type TreePlace =
  | { readonly kind: "layer"; readonly repository: RepositoryName; readonly digest: Digest }
  | { readonly kind: "revision"; readonly repository: RepositoryName; readonly digest: Digest }
  | { readonly kind: "tag"; readonly repository: RepositoryName; readonly tag: Tag }
  | {
      readonly kind: "tag-history";
      readonly repository: RepositoryName;
      readonly tag: Tag;
      readonly digest: Digest;
    }
  /** Its empty directories go once the index does not know the repository any more. */
  | { readonly kind: "repository"; readonly repository: RepositoryName };
