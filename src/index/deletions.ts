// Deletions that can still be undone: what a client deleted, and every digest that bringing it back needs.
// They are no facts of the tree, and so hold by digest: a rebuild of the fact tables keeps them. A blob
// that one of them holds is not condemned (INV-6).
import { type Digest, digestFromBytes, digestToBytes, type RepositoryName } from "../oci/index.ts";
import type {
  HeldDigest,
  HeldPage,
  KeptDeletions,
  ManifestDeletion,
  ReleasedDeletions,
  RestorableDeletion,
} from "../registry/ports/index.ts";
import { manifestRow, removeManifest } from "./deleting.ts";
import { findHolderOf } from "./immutable.ts";
import { enqueueBlob, noRepository } from "./queue.ts";
import { findBlobRow, type Leased } from "./rows.ts";
import { manifestContent, namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";

/** As deleteManifest, and leaves what is needed to undo it. */
export function deleteRestorably(
  sql: Sql,
  manifest: { readonly repository: RepositoryName; readonly digest: Digest },
  deletion: RestorableDeletion,
): ManifestDeletion {
  const row = manifestRow(sql, manifest);
  if (row === null) return { outcome: "unknown", tags: [] };
  const held = findHolderOf(sql, row, deletion.immutable);
  if (held !== null) return { outcome: "immutable", tags: [], held };
  // What it holds is read while it is there; its tags are known once they are gone.
  const id = recordDeletion(sql, { ...manifest, ...row }, deletion);
  const { nowMs } = deletion;
  const { tags } = removeManifest(sql, { ...manifest, ...row }, { nowMs, untaggedSinceMs: nowMs });
  if (id !== null) {
    sql.run("UPDATE deletions SET tags = ? WHERE id = ?", JSON.stringify(tags), id);
  }
  return { outcome: "deleted", tags };
}

/**
 * What the manifest (?2) needs in its repository (?1) to be whole again: itself and all that it names,
 * its referrers, and all of these in turn; its subject, which need not be there, left out.
 */
const neededToRestore = `WITH RECURSIVE held(id) AS (
    VALUES (?2)
    UNION
    SELECT n.blob_id FROM held CROSS JOIN named n
    WHERE n.manifest_id = held.id AND n.kind <> ${namedKind.subject}
    UNION
    SELECT r.blob_id FROM held CROSS JOIN manifests r
    WHERE r.repository_id = ?1 AND r.subject_id = held.id
  )`;

/** Null: its content is not known, so that nothing could be restored of it. */
function recordDeletion(
  sql: Sql,
  row: Leased & { readonly repository: RepositoryName; readonly digest: Digest },
  deletion: RestorableDeletion,
): number | null {
  const manifest = sql.get<{ mediaType: string; size: number; content: number }>(
    `SELECT m.media_type AS mediaType, b.size, m.unreadable AS content FROM manifests m, blobs b
     WHERE m.repository_id = ? AND m.blob_id = ? AND b.id = m.blob_id`,
    row.repositoryId,
    row.blobId,
  );
  if (manifest?.content !== manifestContent.read) return null;
  // One may be left of a tree that had the manifest again when the index was built from it.
  forgetDeletion(sql, row, deletion.nowMs);
  const id = sql.insert(
    `INSERT INTO deletions (repository, digest, media_type, size, deleted_at, deleted_by, reason, tags)
     VALUES (?, ?, ?, ?, ?, ?, ?, '[]')`,
    row.repository,
    digestToBytes(row.digest),
    manifest.mediaType,
    manifest.size,
    deletion.nowMs,
    deletion.deletedBy,
    deletion.reason,
  );
  sql.run(
    `${neededToRestore}
     INSERT INTO deletion_holds (deletion_id, digest, media_type)
     SELECT ?3, b.digest, m.media_type FROM held CROSS JOIN blobs b
       LEFT JOIN manifests m ON m.repository_id = ?1 AND m.blob_id = b.id
     WHERE b.id = held.id`,
    row.repositoryId,
    row.blobId,
    id,
  );
  return id;
}

/** The manifest is there again: there is nothing left to restore. */
export function forgetDeletion(
  sql: Sql,
  manifest: { readonly repository: RepositoryName; readonly digest: Digest },
  nowMs: number,
): void {
  const deletion = sql.get<{ id: number }>(
    "SELECT id FROM deletions WHERE repository = ? AND digest = ?",
    manifest.repository,
    digestToBytes(manifest.digest),
  );
  if (deletion !== null) release(sql, deletion.id, nowMs);
}

/** Holds let go in one transaction: some 3 ms of the write lock. One deletion goes as a whole. */
const holdsAtOnce = 500;

export function releaseDeletions(
  sql: Sql,
  options: { readonly deletedBeforeMs: number; readonly nowMs: number; readonly limit: number },
): ReleasedDeletions {
  const due = sql.all<{ id: number }>(
    "SELECT id FROM deletions WHERE deleted_at <= ? ORDER BY deleted_at, id LIMIT ?",
    options.deletedBeforeMs,
    options.limit,
  );
  let released = 0;
  let holds = 0;
  for (const { id } of due) {
    if (holds >= holdsAtOnce) break;
    holds += release(sql, id, options.nowMs);
    released += 1;
  }
  return { released, more: released < due.length || due.length === options.limit };
}

/** What it held is looked at again. How many digests that were. */
function release(sql: Sql, id: number, nowMs: number): number {
  const held = sql.all<{ digest: Uint8Array }>(
    "SELECT digest FROM deletion_holds WHERE deletion_id = ?",
    id,
  );
  for (const { digest } of held) {
    const blob = findBlobRow(sql, digestFromBytes(digest));
    if (blob !== null) enqueueBlob(sql, { repositoryId: noRepository, blobId: blob.id }, nowMs);
  }
  sql.run("DELETE FROM deletion_holds WHERE deletion_id = ?", id);
  sql.run("DELETE FROM deletions WHERE id = ?", id);
  return held.length;
}

export function heldDigests(sql: Sql, page: HeldPage): HeldDigest[] {
  const [deletedAtMs, id, digest] = page.after ?? [0, 0, null];
  const after = digest === null ? new Uint8Array() : digestToBytes(digest);
  return sql
    .all<{ deletedAtMs: number; id: number; digest: Uint8Array }>(
      `SELECT d.deleted_at AS deletedAtMs, d.id, h.digest
       FROM deletions d CROSS JOIN deletion_holds h ON h.deletion_id = d.id
       WHERE d.deleted_at > ?1 AND d.deleted_at <= ?2 AND d.deleted_at >= ?3
         AND (d.deleted_at, d.id, h.digest) > (?3, ?4, ?5)
       ORDER BY d.deleted_at, d.id, h.digest LIMIT ?6`,
      page.deletedAfterMs,
      page.deletedBeforeMs,
      deletedAtMs,
      id,
      after,
      page.limit,
    )
    .map((row) => {
      const held = digestFromBytes(row.digest);
      return { position: [row.deletedAtMs, row.id, held], digest: held };
    });
}

export function keptDeletions(sql: Sql, deletedAfterMs: number): KeptDeletions {
  const kept = sql.get<{ count: number; newest: number | null }>(
    "SELECT count(*) AS count, max(deleted_at) AS newest FROM deletions WHERE deleted_at > ?",
    deletedAfterMs,
  );
  return { count: kept?.count ?? 0, newestMs: kept?.newest ?? null };
}
