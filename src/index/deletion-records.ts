// The records of deletions that can be undone: what a client deleted, and every digest that bringing it back
// needs. They are no facts of the tree, and so hold by digest: a rebuild of the fact tables keeps them. A
// blob that one of them holds is not condemned (INV-6).
import {
  type Digest,
  digestFromBytes,
  digestToBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type { DeletedWhat, RestorableDeletion } from "../registry/ports/index.ts";
import { enqueueBlob, noRepository } from "./queue.ts";
import { findBlobRow, type Leased } from "./rows.ts";
import { blobState, manifestContent, namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";

/** Of a caller's name and of a reason, what is kept. */
const textLengthMax = 200;

/** A manifest in its repository, by number and by name. */
export interface DeletedManifest extends Leased {
  readonly repository: RepositoryName;
  readonly digest: Digest;
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

/**
 * Records what is about to be deleted, while it is there: a tag alone, or the manifest with all its tags.
 * Null: its content is not known, so that nothing could be restored of it.
 */
export function recordDeletion(
  sql: Sql,
  row: DeletedManifest,
  deletion: RestorableDeletion & { readonly what: DeletedWhat; readonly tag?: Tag },
): number | null {
  const manifest = sql.get<{ mediaType: string; size: number; content: number }>(
    `SELECT m.media_type AS mediaType, b.size, m.unreadable AS content FROM manifests m, blobs b
     WHERE m.repository_id = ? AND m.blob_id = ? AND b.id = m.blob_id`,
    row.repositoryId,
    row.blobId,
  );
  if (manifest?.content !== manifestContent.read) return null;
  const { tag } = deletion;
  // One may be left of a tree that had it again when the index was built from it.
  forgetRecord(sql, { ...row, tag: tag ?? "" }, deletion.nowMs);
  const id = insertRecord(sql, {
    ...deletion,
    ...row,
    tag: tag ?? "",
    mediaType: manifest.mediaType,
    sizeBytes: manifest.size,
    heldBytes: 0,
  });
  sql.run(
    `INSERT INTO deletion_tags (deletion_id, tag, repository)
     SELECT ?1, name, ?2 FROM tags INDEXED BY tags_by_manifest
     WHERE blob_id = ?3 AND repository_id = ?4 AND (?5 IS NULL OR name = ?5)`,
    id,
    row.repository,
    row.blobId,
    row.repositoryId,
    tag ?? null,
  );
  sql.run(
    `${neededToRestore}
     INSERT INTO deletion_holds (deletion_id, digest, media_type, linked, deleted_at)
     SELECT ?3, b.digest, m.media_type,
       EXISTS (SELECT 1 FROM layers l WHERE l.repository_id = ?1 AND l.blob_id = b.id), ?4
     FROM held CROSS JOIN blobs b LEFT JOIN manifests m
       ON m.repository_id = ?1 AND m.blob_id = b.id AND m.unreadable = ${manifestContent.read}
     WHERE b.id = held.id`,
    row.repositoryId,
    row.blobId,
    id,
    deletion.nowMs,
  );
  sql.run(
    `UPDATE deletions SET held_bytes = (
       SELECT coalesce(sum(b.size), 0) FROM deletion_holds h CROSS JOIN blobs b
       WHERE h.deletion_id = ?1 AND b.digest = h.digest AND b.state = ${blobState.present}
     ) WHERE id = ?1`,
    id,
  );
  return id;
}

interface DeletionRecord extends RestorableDeletion {
  readonly what: DeletedWhat;
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly tag: Tag | "";
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly heldBytes: number;
}

function insertRecord(sql: Sql, record: DeletionRecord): number {
  return sql.insert(
    `INSERT INTO deletions (what, repository, digest, tag, media_type, size, held_bytes, deleted_at,
       deleted_by, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    record.what,
    record.repository,
    digestToBytes(record.digest),
    record.tag,
    record.mediaType,
    record.sizeBytes,
    record.heldBytes,
    record.nowMs,
    record.deletedBy.slice(0, textLengthMax),
    record.reason.slice(0, textLengthMax),
  );
}

interface RecordKey {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

/** The manifest is there again: there is nothing left to restore of it, but tags that were deleted alone. */
export function forgetDeletion(sql: Sql, manifest: RecordKey, nowMs: number): void {
  forgetRecord(sql, { ...manifest, tag: "" }, nowMs);
}

/** The tag names again what it named when it was deleted. */
export function forgetTagDeletion(
  sql: Sql,
  tag: RecordKey & { readonly tag: Tag },
  nowMs: number,
): void {
  forgetRecord(sql, tag, nowMs);
}

function forgetRecord(sql: Sql, key: RecordKey & { readonly tag: Tag | "" }, nowMs: number): void {
  const id = findRecord(sql, key);
  if (id !== null) release(sql, id, nowMs);
}

/** The number of the record of exactly this. */
export function findRecord(sql: Sql, key: RecordKey & { readonly tag: Tag | "" }): number | null {
  return (
    sql.get<{ id: number }>(
      "SELECT id FROM deletions WHERE repository = ? AND digest = ? AND tag = ?",
      key.repository,
      digestToBytes(key.digest),
      key.tag,
    )?.id ?? null
  );
}

/** A tag of a record becomes a deletion by itself: the rest of the record is about to be over. */
export function splitTag(sql: Sql, id: number, tag: Tag): void {
  sql.run(
    `INSERT OR IGNORE INTO deletions (what, repository, digest, tag, media_type, size, held_bytes,
       deleted_at, deleted_by, reason)
     SELECT 'tag', repository, digest, ?2, media_type, size, held_bytes, deleted_at, deleted_by, reason
     FROM deletions WHERE id = ?1 AND tag = ''`,
    id,
    tag,
  );
  const split = sql.get<{ id: number; repository: RepositoryName }>(
    `SELECT t.id, t.repository FROM deletions d CROSS JOIN deletions t
     WHERE d.id = ?1 AND t.repository = d.repository AND t.digest = d.digest AND t.tag = ?2`,
    id,
    tag,
  );
  if (split === null || split.id === id) return;
  sql.run(
    "INSERT OR IGNORE INTO deletion_tags (deletion_id, tag, repository) VALUES (?, ?, ?)",
    split.id,
    tag,
    split.repository,
  );
  sql.run(
    `INSERT OR IGNORE INTO deletion_holds (deletion_id, digest, media_type, linked, deleted_at)
     SELECT ?2, digest, media_type, linked, deleted_at FROM deletion_holds WHERE deletion_id = ?1`,
    id,
    split.id,
  );
}

/** The record is over; what it held is looked at again. How many digests that were. */
export function release(sql: Sql, id: number, nowMs: number): number {
  const held = sql.all<{ digest: Uint8Array }>(
    "SELECT digest FROM deletion_holds WHERE deletion_id = ?",
    id,
  );
  for (const { digest } of held) {
    const blob = findBlobRow(sql, digestFromBytes(digest));
    if (blob !== null) enqueueBlob(sql, { repositoryId: noRepository, blobId: blob.id }, nowMs);
  }
  sql.run("DELETE FROM deletion_holds WHERE deletion_id = ?", id);
  sql.run("DELETE FROM deletion_tags WHERE deletion_id = ?", id);
  sql.run("DELETE FROM deletions WHERE id = ?", id);
  return held.length;
}

/** Names of what was released that are remembered, so that who comes too late is told so. */
const releasedMax = 10_000;
/** Of one deletion, its digest besides. */
const releasedTagsMax = 100;

/** The record is over because its time was: who asks for it is told when that was. */
export function letGo(sql: Sql, id: number, nowMs: number): number {
  const row = sql.get<{ repository: RepositoryName; digest: Uint8Array; deletedAt: number }>(
    "SELECT repository, digest, deleted_at AS deletedAt FROM deletions WHERE id = ?",
    id,
  );
  if (row === null) return 0;
  const tags = sql.all<{ tag: Tag }>(
    "SELECT tag FROM deletion_tags WHERE deletion_id = ? LIMIT ?",
    id,
    releasedTagsMax,
  );
  for (const name of [digestFromBytes(row.digest), ...tags.map(({ tag }) => tag)]) {
    const last = sql.insert(
      `INSERT INTO released_deletions (repository, name, deleted_at, released_at)
       VALUES (?, ?, ?, ?)`,
      row.repository,
      name,
      row.deletedAt,
      nowMs,
    );
    sql.run("DELETE FROM released_deletions WHERE id <= ?", last - releasedMax);
  }
  return release(sql, id, nowMs);
}
