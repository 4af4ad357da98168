// What is asked about space: sums and single looks. The sums are kept by triggers (usage-schema.ts); here
// they are only read. Walks: usage-scans.ts.
import { type Digest, digestFromBytes, digestToBytes, type RepositoryName } from "../oci/index.ts";
import type {
  BlobHolder,
  BlobHolders,
  RepositoryManifest,
  RepositoryUsage,
  Scan,
  ScanPage,
  UsageSample,
  UsageTotals,
} from "../registry/ports/index.ts";
import { totals } from "./collecting.ts";
import { findRepository } from "./rows.ts";
import type { Sql } from "./sql.ts";
import { blobState } from "./stored-numbers.ts";

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

export function usageTotals(sql: Sql): UsageTotals {
  const { blobBytes, ...counts } = totals(sql);
  const sums = sql.get<{ heldBytes: number; logicalBytes: number }>(
    "SELECT held_bytes AS heldBytes, logical_bytes AS logicalBytes FROM usage_totals",
  );
  const unreadable = sql.get<{ n: number }>(
    "SELECT count(*) AS n FROM manifests INDEXED BY manifests_unreadable WHERE unreadable = 1",
  );
  return {
    ...counts,
    storedBytes: blobBytes,
    heldBytes: sums?.heldBytes ?? 0,
    logicalBytes: sums?.logicalBytes ?? 0,
    unreadableManifests: unreadable?.n ?? 0,
  };
}

interface BlobRow {
  readonly id: number;
  readonly size: number;
}

export function blobHolders(sql: Sql, digests: readonly Digest[], page: ScanPage): BlobHolders[] {
  return digests.flatMap((digest) => {
    const blob = sql.get<BlobRow>(
      `SELECT id, size FROM blobs WHERE digest = ? AND state = ${blobState.present}`,
      digestToBytes(digest),
    );
    if (blob === null) return [];
    const holders = holdersOf(sql, blob.id, page);
    return [{ digest, sizeBytes: blob.size, holders, mayHold: mayHold(sql, blob.id, page.limit) }];
  });
}

function holdersOf(sql: Sql, blobId: number, page: ScanPage): Scan<BlobHolder> {
  const rows = sql.all<BlobHolder & { id: number }>(
    `SELECT h.repository_id AS id, r.name AS repository, h.manifests
     FROM holdings h CROSS JOIN repositories r
     WHERE h.blob_id = ? AND h.repository_id > ? AND r.id = h.repository_id
     ORDER BY h.repository_id LIMIT ?`,
    blobId,
    Number(page.after ?? 0),
    page.limit,
  );
  const next = rows.length < page.limit ? null : String(rows.at(-1)?.id);
  return { next, rows: rows.map(({ repository, manifests }) => ({ repository, manifests })) };
}

function mayHold(sql: Sql, blobId: number, limit: number): RepositoryManifest[] {
  if (!sql.has("SELECT 1 FROM manifests INDEXED BY manifests_unreadable WHERE unreadable = 1")) {
    return [];
  }
  return sql
    .all<{ repository: RepositoryName; digest: Uint8Array }>(
      `SELECT r.name AS repository, b.digest
       FROM manifests m INDEXED BY manifests_unreadable CROSS JOIN layers l CROSS JOIN repositories r
         CROSS JOIN blobs b
       WHERE m.unreadable = 1 AND l.repository_id = m.repository_id AND l.blob_id = ?
         AND r.id = m.repository_id AND b.id = m.blob_id LIMIT ?`,
      blobId,
      limit,
    )
    .map(({ repository, digest }) => ({ repository, digest: digestFromBytes(digest) }));
}

/** A year and a month: growth can be told over a year. */
const samplesMax = 400;

export function recordUsage(sql: Sql, at: { readonly day: number; readonly nowMs: number }): void {
  const now = usageTotals(sql);
  sql.run(
    `INSERT OR REPLACE INTO usage_history (day, taken_at, blobs, stored_bytes, held_bytes, logical_bytes,
       manifests, repositories) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    at.day,
    at.nowMs,
    now.blobs,
    now.storedBytes,
    now.heldBytes,
    now.logicalBytes,
    now.manifests,
    now.repositories,
  );
  sql.run(
    `DELETE FROM usage_history WHERE day <= (
       SELECT day FROM usage_history ORDER BY day DESC LIMIT 1 OFFSET ${samplesMax})`,
  );
}

export function usageHistory(sql: Sql, limit: number): UsageSample[] {
  return sql.all(
    `SELECT day, taken_at AS takenAtMs, blobs, stored_bytes AS storedBytes, held_bytes AS heldBytes,
       logical_bytes AS logicalBytes, manifests, repositories
     FROM usage_history ORDER BY day DESC LIMIT ?`,
    limit,
  );
}
