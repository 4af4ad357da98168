// What the services of this room are made of, and the two things that they all do.
import type { Digest, Reference, RepositoryName } from "../oci/index.ts";
import type { Audit } from "./audit.ts";
import type { Bounds } from "./bounds.ts";
import type { ContentLimits } from "./content-limits.ts";
import type { DigestLocks } from "./keyed-locks.ts";
import type { LoadLine } from "./load-line.ts";
import type { Clock } from "./ports/clock.ts";
import type { Caller, Index, LeaseTerms, RestoreWanted } from "./ports/index.ts";
import type { Storage } from "./ports/storage.ts";

/** What happens outside a request and must not be lost without a word. */
export interface Reports {
  readonly error: (message: string, error: unknown) => void;
  readonly info: (message: string) => void;
}

/**
 * Looks at the tree for what the index does not know, while the two are being compared (INV-8).
 * True: something was taken in, so ask the index again.
 */
export interface TreeLookup {
  manifest(repository: RepositoryName, reference: Reference): Promise<boolean>;
  blob(repository: RepositoryName, digest: Digest): Promise<boolean>;
  /** Its tags. */
  repository(repository: RepositoryName): Promise<boolean>;
  /** Its tags and manifests: all that leads to anything in it. */
  everything(repository: RepositoryName): Promise<boolean>;
}

export interface ServiceParts {
  readonly index: Index;
  readonly storage: Storage;
  readonly locks: DigestLocks;
  readonly clock: Clock;
  readonly reports: Reports;
  /** Lets the tree follow what has just been committed (INV-2). */
  readonly followTree: () => void;
  /** Null once tree and index are known to agree. */
  readonly treeLookup: () => TreeLookup | null;
  /** What repositories may hold and change; absent: anything. */
  readonly bounds?: Bounds;
  /** How large what is pushed may be; absent: as large as can be read again. */
  readonly content?: ContentLimits;
  /** Watches how full the storage is; absent: nobody does. */
  readonly loadLine?: LoadLine;
  /** Hears of deletions and restores; absent: nobody does. */
  readonly audit?: Audit;
  /** Hears of pulls; absent: nobody does (in read-only mode). */
  readonly pulls?: { note(repository: RepositoryName, digest: Digest): void };
  /** Computes a digest, and is told how long that took; absent: nobody wants to know. */
  readonly digesting?: <Result>(work: () => Promise<Result>) => Promise<Result>;
  readonly options: ServiceOptions;
}

export interface ServiceOptions {
  /** How long a lease lasts (`gc.grace`). */
  readonly graceMs: number;
  /** How long a deleted manifest can be brought back (`gc.keepdeleted`); absent or 0: not at all. */
  readonly keepDeletedMs?: number;
  /** `storage.delete.enabled`; absent: enabled. Asked for by what is no request of the OCI API. */
  readonly deleteEnabled?: boolean;
  /** `storage.maintenance.readonly`: then nothing is written, leases neither (INV-5). */
  readonly readOnly: boolean;
  readonly validation: ManifestValidation;
}

export interface ManifestValidation {
  /** URLs of foreign layers; null: any http or https URL. */
  readonly urlsAllow: readonly RegExp[] | null;
  readonly urlsDeny: readonly RegExp[];
  /** Which children of an index must be there: all, none, or those of these platforms. */
  readonly indexChildren:
    | "all"
    | "none"
    | readonly { readonly os: string; readonly architecture: string; readonly variant?: string }[];
}

export function leaseTerms(parts: ServiceParts, caller: Caller): LeaseTerms {
  return { caller, nowMs: parts.clock.now(), graceMs: parts.options.graceMs };
}

/**
 * Until when what has just been deleted can be restored; null: not at all, because nothing is kept, or because
 * nothing is known of its content.
 */
export async function restorableUntilMs(
  { options, clock, index }: ServiceParts,
  deleted: RestoreWanted,
): Promise<number | null> {
  const { keepDeletedMs = 0 } = options;
  if (keepDeletedMs <= 0) return null;
  const { outcome } = await index.findDeletion(deleted);
  return outcome === "found" ? clock.now() + keepDeletedMs : null;
}
