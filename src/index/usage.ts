// What is asked about space. The sums are kept by triggers (usage-schema.ts); here they are only read.
import type { RepositoryName } from "../oci/index.ts";
import type { RepositoryUsage } from "../registry/ports/index.ts";
import { findRepository } from "./rows.ts";
import type { Sql } from "./sql.ts";

/**
 * A repository's usage as it is in this state; inside a write transaction, with all that the transaction
 * has changed so far.
 */
export function usageOf(sql: Sql, repositoryId: number): RepositoryUsage {
  const row = sql.get<RepositoryUsage>(
    `SELECT manifests, tags, logical_bytes AS logicalBytes, exclusive_bytes AS exclusiveBytes
     FROM repositories WHERE id = ?`,
    repositoryId,
  );
  if (row === null) throw new Error(`repository ${repositoryId} is in use but not in the index`);
  return row;
}

export function repositoryUsage(sql: Sql, repository: RepositoryName): RepositoryUsage | null {
  const id = findRepository(sql, repository);
  return id === null ? null : usageOf(sql, id);
}
