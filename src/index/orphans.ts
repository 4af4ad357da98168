// What nothing holds and the queue of candidates does not know: it would stay for good, or until a
// collection with `--full`. For verify; paged by key, none of it is on a request path.
import { type Digest, digestFromBytes, type RepositoryName } from "../oci/index.ts";
import { isKnownLink, isMissedBlob } from "./snapshots.ts";
import type { Sql } from "./sql.ts";

interface Orphan {
  /** Null: the blob itself; else its link in this repository. */
  readonly repository: RepositoryName | null;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

interface OrphanRow {
  readonly repository: RepositoryName | null;
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
}

/** A page of blobs, by number, and of them those that are orphans. */
export function orphanBlobs(
  sql: Sql,
  after: number,
  limit: number,
): { readonly next: number | null; readonly orphans: readonly Orphan[] } {
  const last = sql.get<{ id: number | null }>(
    "SELECT max(id) AS id FROM (SELECT id FROM blobs WHERE id > ? ORDER BY id LIMIT ?)",
    after,
    limit,
  )?.id;
  if (last === null || last === undefined) return { next: null, orphans: [] };
  const rows = sql.all<OrphanRow>(
    `SELECT NULL AS repository, b.digest, b.size AS sizeBytes FROM blobs b
     WHERE b.id > ? AND b.id <= ? AND ${isMissedBlob}`,
    after,
    last,
  );
  return { next: last, orphans: rows.map(orphanOf) };
}

/** A page of layer links, by repository and blob, and of them those that are orphans. */
export function orphanLinks(
  sql: Sql,
  after: readonly [number, number],
  limit: number,
): { readonly next: readonly [number, number] | null; readonly orphans: readonly Orphan[] } {
  const last = sql.get<{ repositoryId: number; blobId: number }>(
    `SELECT repository_id AS repositoryId, blob_id AS blobId FROM (
       SELECT repository_id, blob_id FROM layers
       WHERE (repository_id, blob_id) > (?, ?) ORDER BY repository_id, blob_id LIMIT ?
     ) ORDER BY repository_id DESC, blob_id DESC LIMIT 1`,
    ...after,
    limit,
  );
  if (last === null) return { next: null, orphans: [] };
  const rows = sql.all<OrphanRow>(
    `SELECT r.name AS repository, b.digest, b.size AS sizeBytes
     FROM layers x, repositories r, blobs b
     WHERE (x.repository_id, x.blob_id) > (?, ?) AND (x.repository_id, x.blob_id) <= (?, ?)
       AND r.id = x.repository_id AND b.id = x.blob_id AND NOT (${isKnownLink})`,
    ...after,
    last.repositoryId,
    last.blobId,
  );
  return { next: [last.repositoryId, last.blobId], orphans: rows.map(orphanOf) };
}

function orphanOf({ repository, digest, sizeBytes }: OrphanRow): Orphan {
  return { repository, digest: digestFromBytes(digest), sizeBytes };
}
