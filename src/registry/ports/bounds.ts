// What the configuration allows a repository to hold and to change, as plain data: it goes into the
// transaction that accepts or deletes, so that no race gets past it. Only the rules that concern the
// repository are handed over. Who decides which those are: registry/bounds.ts.
import type { Digest, Reference, RepositoryName, Tag } from "../../oci/index.ts";

/** Tags that are never moved and never deleted by a client, once they name a manifest. */
export interface ImmutableRule {
  readonly name: string;
  /** Globs of tags, as `parseGlobs` reads them. */
  readonly tags: readonly string[];
}

export interface BoundsIndex {
  /** The tag that would keep this one, or (a digest) this manifest, from being deleted now; null: none. */
  findHeld(
    repository: RepositoryName,
    reference: Reference,
    immutable: readonly ImmutableRule[],
  ): Promise<HeldTag | null>;
  /** Bytes of all blobs that are there, condemned ones not counted. One row. */
  blobBytes(): Promise<number>;
}

/** What is counted of a repository: distinct bytes of its manifests and all that they need. */
export interface RepositoryUse {
  readonly bytes: number;
  readonly manifests: number;
  readonly tags: number;
}

export type Measure = keyof RepositoryUse;

export interface Quota {
  readonly name: string;
  /** The most of each that the repository may hold; what is not there is not bounded. */
  readonly limits: Partial<RepositoryUse>;
  /** Whom to ask for more. */
  readonly contact: string | null;
}

export interface PushBounds {
  readonly immutable: readonly ImmutableRule[];
  readonly quotas: readonly Quota[];
}

/** How much of one limit is in use. */
export interface QuotaUse {
  readonly quota: Quota;
  readonly measure: Measure;
  readonly use: number;
  readonly limit: number;
}

/** The tag that a rule keeps where it is, and what it names. */
export interface HeldTag {
  readonly rule: string;
  readonly tag: Tag;
  readonly digest: Digest;
}

/** Why a push was refused; nothing was changed. */
export type Denial =
  ({ readonly kind: "immutable" } & HeldTag) | ({ readonly kind: "quota" } & QuotaUse);

/** When a client deletes, and by which rules of the repository something stays. */
export interface DeletionTerms {
  readonly nowMs: number;
  readonly immutable: readonly ImmutableRule[];
}

/** `immutable`: nothing was changed, for the sake of the tag that is held. */
export type DeleteOutcome = "deleted" | "unknown" | "immutable";

export interface ManifestDeletion {
  readonly outcome: DeleteOutcome;
  readonly tags: readonly Tag[];
  /** With `immutable`. */
  readonly held?: HeldTag;
}
