// From the domain's names to row numbers and back.
import { type Digest, type RepositoryName, digestToBytes } from "../oci/index.ts";
import type { Sql } from "./sql.ts";

export interface BlobRow {
  readonly id: number;
  readonly size: number;
  readonly state: number;
}

/** A blob (layer, config or manifest) in a repository. */
export interface Leased {
  readonly repositoryId: number;
  readonly blobId: number;
}

export function findRepository(sql: Sql, name: RepositoryName): number | null {
  return sql.get<{ id: number }>("SELECT id FROM repositories WHERE name = ?", name)?.id ?? null;
}

export function ensureRepository(sql: Sql, name: RepositoryName): number {
  return (
    findRepository(sql, name) ?? sql.insert("INSERT INTO repositories (name) VALUES (?)", name)
  );
}

export function repositoryName(sql: Sql, id: number): RepositoryName {
  const row = sql.get<{ name: RepositoryName }>("SELECT name FROM repositories WHERE id = ?", id);
  if (row === null) throw new Error(`repository ${id} is in use but not in the index`);
  return row.name;
}

export function findBlobRow(sql: Sql, digest: Digest): BlobRow | null {
  return sql.get<BlobRow>(
    "SELECT id, size, state FROM blobs WHERE digest = ?",
    digestToBytes(digest),
  );
}

/** The row of a digest, made if need be: absent until its bytes are known to be there. */
export function ensureBlob(sql: Sql, digest: Digest): number {
  return (
    findBlobRow(sql, digest)?.id ??
    sql.insert("INSERT INTO blobs (digest) VALUES (?)", digestToBytes(digest))
  );
}

/** SQL: whether the repository with this number holds nothing at all. */
export const holdsNothing = (id: string): string => `
  NOT EXISTS (SELECT 1 FROM manifests WHERE repository_id = ${id})
  AND NOT EXISTS (SELECT 1 FROM tags WHERE repository_id = ${id})
  AND NOT EXISTS (SELECT 1 FROM layers WHERE repository_id = ${id})
  AND NOT EXISTS (SELECT 1 FROM uploads WHERE repository_id = ${id})
  AND NOT EXISTS (SELECT 1 FROM leases WHERE repository_id = ${id})`;
