// Deletions that can be undone, as the collector meets them: what they hold, and how they are released.
// What is recorded of them: deletion-records.ts.
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
import { letGo, recordDeletion } from "./deletion-records.ts";
import { findHolderOf } from "./immutable.ts";
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
  recordDeletion(sql, { ...manifest, ...row }, { ...deletion, what: "manifest" });
  const { nowMs } = deletion;
  const { tags } = removeManifest(sql, { ...manifest, ...row }, { nowMs, untaggedSinceMs: nowMs });
  return { outcome: "deleted", tags };
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
    holds += letGo(sql, id, options.nowMs);
    released += 1;
  }
  return { released, more: released < due.length || due.length === options.limit };
}
export function heldDigests(sql: Sql, page: HeldPage): HeldDigest[] {
  const [deletedAtMs, id, digest] = page.after ?? [0, 0, null];
  const after = digest === null ? new Uint8Array() : digestToBytes(digest);
  return sql
    .all<{ deletedAtMs: number; id: number; digest: Uint8Array }>(
      `SELECT d.deleted_at AS deletedAtMs, d.id, h.digest
       FROM deletions d CROSS JOIN deletion_holds h ON h.deletion_id = d.id
         AND h.digest > CASE WHEN d.deleted_at = ?3 AND d.id = ?4 THEN ?5 ELSE x'' END
       WHERE d.deleted_at > max(?1, ?3 - 1) AND d.deleted_at <= ?2
         AND (d.deleted_at > ?3 OR d.id >= ?4)
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
