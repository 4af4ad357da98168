// The queue of what may have become garbage. An entry is put in by the transaction whose fact makes it
// so, and says nothing more than "look at this, not before then": being in the queue never condemns.
import type { Leased } from "./rows.ts";
import type { Sql } from "./sql.ts";

/** Entries that belong to no repository: a blob that nothing links. */
export const noRepository = 0;

/** A layer link, and the blob behind it, may be garbage. An entry that is there keeps the earlier time. */
export function enqueueBlob(sql: Sql, leased: Leased, dueAtMs: number): void {
  sql.run(
    `INSERT INTO blob_candidates (repository_id, blob_id, due_at) VALUES (?, ?, ?3)
     ON CONFLICT DO UPDATE SET due_at = min(due_at, ?3)`,
    leased.repositoryId,
    leased.blobId,
    dueAtMs,
  );
}

/**
 * A manifest may have lost what kept it: a tag, an index, its subject. It is looked at again at once,
 * though a lease that has ended early may have put it off.
 */
export function enqueueManifest(
  sql: Sql,
  manifest: Leased,
  since: { readonly nowMs: number; readonly untaggedSinceMs?: number },
): void {
  sql.run(
    `INSERT INTO manifest_candidates (repository_id, blob_id, untagged_since, due_at)
     SELECT ?1, ?2, ?3, ?4
     WHERE EXISTS (SELECT 1 FROM manifests WHERE repository_id = ?1 AND blob_id = ?2)
     ON CONFLICT DO UPDATE SET held = 0, due_at = min(due_at, ?4)`,
    manifest.repositoryId,
    manifest.blobId,
    since.untaggedSinceMs ?? since.nowMs,
    since.nowMs,
  );
}

/**
 * A lease on it has ended early: it is not put off to that lease's end any more. Manifests' bytes are
 * blobs, too; one that is not in the queue is held by something else than a lease.
 */
export function hastenManifest(sql: Sql, manifest: Leased, nowMs: number): void {
  sql.run(
    `UPDATE manifest_candidates SET held = 0, due_at = min(due_at, ?3)
     WHERE repository_id = ?1 AND blob_id = ?2`,
    manifest.repositoryId,
    manifest.blobId,
    nowMs,
  );
}

export function dequeueManifest(sql: Sql, manifest: Leased): void {
  sql.run(
    "DELETE FROM manifest_candidates WHERE repository_id = ? AND blob_id = ?",
    manifest.repositoryId,
    manifest.blobId,
  );
}

export function dequeueBlob(sql: Sql, leased: Leased): void {
  sql.run(
    "DELETE FROM blob_candidates WHERE repository_id = ? AND blob_id = ?",
    leased.repositoryId,
    leased.blobId,
  );
}

/** What a manifest names is needed by it: the links to it are not garbage now. */
export function dequeueNamed(sql: Sql, manifest: Leased): void {
  sql.run(
    `DELETE FROM blob_candidates WHERE repository_id = ?1
       AND blob_id IN (SELECT blob_id FROM named WHERE manifest_id = ?2)`,
    manifest.repositoryId,
    manifest.blobId,
  );
}

/** The repository may hold nothing any more. */
export function enqueueRepository(sql: Sql, repositoryId: number): void {
  sql.run("INSERT OR IGNORE INTO repository_candidates VALUES (?)", repositoryId);
}

/** What an unreadable manifest held is to be looked at again (INV-7): all of its repository. */
export function enqueueWholeRepository(sql: Sql, repositoryId: number, nowMs: number): void {
  sql.run(
    `INSERT OR IGNORE INTO blob_candidates (repository_id, blob_id, due_at)
     SELECT repository_id, blob_id, ?2 FROM layers WHERE repository_id = ?1`,
    repositoryId,
    nowMs,
  );
  sql.run(
    `INSERT OR IGNORE INTO manifest_candidates (repository_id, blob_id, untagged_since, due_at)
     SELECT repository_id, blob_id, ?2, ?2 FROM manifests WHERE repository_id = ?1`,
    repositoryId,
    nowMs,
  );
}
