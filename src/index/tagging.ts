// Tags: where they point, where they pointed before, and what they leave behind when they move.
import { type Digest, digestFromBytes, type RepositoryName, type Tag } from "../oci/index.ts";
import { forgetTagDeletion } from "./deletion-records.ts";
import { dequeueManifest, enqueueManifest, enqueueRepository } from "./queue.ts";
import { oweTree } from "./redo.ts";
import type { Leased } from "./rows.ts";
import type { Sql } from "./sql.ts";

export interface TagRow {
  readonly repositoryId: number;
  readonly repository: RepositoryName;
  readonly tag: Tag;
}

interface TagEntry extends TagRow, Leased {
  readonly digest: Digest;
}

interface Change {
  readonly nowMs: number;
  /** Whether the tree owes this change; not when it was found in the tree. */
  readonly owe: boolean;
}

/** Points the tag to a manifest of the repository; what it pointed to before may be garbage now. */
export function pointTag(sql: Sql, row: TagEntry, change: Change): void {
  const before = tagTarget(sql, row);
  if (before === row.blobId) return;
  const { repositoryId, repository, tag, blobId } = row;
  sql.run(
    `INSERT INTO tags (repository_id, name, blob_id, moved_at) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT DO UPDATE SET blob_id = ?3, moved_at = ?4`,
    repositoryId,
    tag,
    blobId,
    change.nowMs,
  );
  if (change.owe) oweTree(sql, { kind: "tag", repository, tag });
  rememberTag(sql, row, change.owe);
  forgetTagDeletion(sql, row, change.nowMs);
  // Should it lose the tag again, its time without one begins anew.
  dequeueManifest(sql, { repositoryId, blobId });
  if (before !== null) leaveUntagged(sql, { repositoryId, blobId: before }, change.nowMs);
}

/** The entry that the classic layout keeps of everything a tag ever pointed to. */
function rememberTag(sql: Sql, row: TagEntry, owe: boolean): void {
  const added = sql.run(
    "INSERT OR IGNORE INTO tag_history (repository_id, name, blob_id) VALUES (?, ?, ?)",
    row.repositoryId,
    row.tag,
    row.blobId,
  );
  if (added > 0 && owe) {
    const { repository, tag, digest } = row;
    oweTree(sql, { kind: "tag-history", repository, tag, digest });
  }
}

export function tagTarget(sql: Sql, row: Pick<TagRow, "repositoryId" | "tag">): number | null {
  return (
    sql.get<{ blobId: number }>(
      "SELECT blob_id AS blobId FROM tags WHERE repository_id = ? AND name = ?",
      row.repositoryId,
      row.tag,
    )?.blobId ?? null
  );
}

/** Removes the tag and its history; the manifest stays. False: there was none. */
export function removeTag(sql: Sql, row: TagRow, change: Change): boolean {
  const before = tagTarget(sql, row);
  if (before === null) return false;
  const { repositoryId, repository, tag } = row;
  sql.run("DELETE FROM tags WHERE repository_id = ? AND name = ?", repositoryId, tag);
  if (change.owe) {
    oweTree(sql, { kind: "tag", repository, tag });
    forgetHistory(sql, row);
  }
  leaveUntagged(sql, { repositoryId, blobId: before }, change.nowMs);
  enqueueRepository(sql, repositoryId);
  return true;
}

function forgetHistory(sql: Sql, row: TagRow): void {
  const entries = sql.all<{ digest: Uint8Array; blobId: number }>(
    `SELECT b.digest, b.id AS blobId FROM tag_history h, blobs b
     WHERE h.repository_id = ? AND h.name = ? AND b.id = h.blob_id`,
    row.repositoryId,
    row.tag,
  );
  for (const entry of entries) {
    removeHistory(sql, { ...row, blobId: entry.blobId }, digestFromBytes(entry.digest));
  }
}

export function removeHistory(sql: Sql, row: TagRow & Leased, digest: Digest): void {
  sql.run(
    "DELETE FROM tag_history WHERE repository_id = ? AND name = ? AND blob_id = ?",
    row.repositoryId,
    row.tag,
    row.blobId,
  );
  oweTree(sql, { kind: "tag-history", repository: row.repository, tag: row.tag, digest });
}

function leaveUntagged(sql: Sql, manifest: Leased, nowMs: number): void {
  const tagged = sql.has(
    "SELECT 1 FROM tags WHERE repository_id = ? AND blob_id = ?",
    manifest.repositoryId,
    manifest.blobId,
  );
  if (!tagged) enqueueManifest(sql, manifest, { nowMs });
}
