// What the index knows about space. Exact: kept in the transactions that change the facts, never estimated.
// What the figures mean: docs/usage.md.
import type { RepositoryName } from "../../oci/index.ts";

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

export interface UsageIndex {
  /** Null: the repository is unknown. One look, whatever the size of the registry. */
  repositoryUsage(repository: RepositoryName): Promise<RepositoryUsage | null>;
}
