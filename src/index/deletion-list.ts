// The list of deletions that can be undone, and the search in it. Reads only, a bounded number of rows each.
import {
  type Digest,
  digestFromBytes,
  digestToBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type {
  DeletedWhat,
  DeletionEntry,
  DeletionPage,
  FoundDeletion,
  RestoreWanted,
} from "../registry/ports/index.ts";
import { findManifest, findTag } from "./lookups.ts";
import type { Sql } from "./sql.ts";

interface DeletionRow {
  readonly id: number;
  readonly what: DeletedWhat;
  readonly repository: RepositoryName;
  readonly digest: Uint8Array;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly heldBytes: number;
  readonly nowMs: number;
  readonly deletedBy: string;
  readonly reason: string;
}

const columns = `d.id, d.what, d.repository, d.digest, d.media_type AS mediaType, d.size AS sizeBytes,
  d.held_bytes AS heldBytes, d.deleted_at AS nowMs, d.deleted_by AS deletedBy, d.reason`;

/** Tags of one deletion that are listed. */
const tagsMax = 100;

function entryOf(sql: Sql, row: DeletionRow): DeletionEntry {
  const tags = sql.all<{ tag: Tag }>(
    "SELECT tag FROM deletion_tags WHERE deletion_id = ? ORDER BY tag LIMIT ?",
    row.id,
    tagsMax + 1,
  );
  return {
    ...row,
    digest: digestFromBytes(row.digest),
    tags: tags.slice(0, tagsMax).map(({ tag }) => tag),
    tagCount: tags.length > tagsMax ? countTags(sql, row.id) : tags.length,
  };
}

function countTags(sql: Sql, id: number): number {
  const text = "SELECT count(*) AS n FROM deletion_tags WHERE deletion_id = ?";
  return sql.get<{ n: number }>(text, id)?.n ?? 0;
}

export function listDeletions(sql: Sql, page: DeletionPage): DeletionEntry[] {
  const [deletedAtMs, id] = page.after ?? [Number.MAX_SAFE_INTEGER, 0];
  const { repository } = page;
  const rows =
    repository === undefined
      ? sql.all<DeletionRow>(
          `SELECT ${columns} FROM deletions d WHERE (d.deleted_at, d.id) < (?, ?)
           ORDER BY d.deleted_at DESC, d.id DESC LIMIT ?`,
          deletedAtMs,
          id,
          page.limit,
        )
      : sql.all<DeletionRow>(
          `SELECT ${columns} FROM deletions d
           WHERE d.repository = ? AND (d.deleted_at, d.id) < (?, ?)
           ORDER BY d.deleted_at DESC, d.id DESC LIMIT ?`,
          repository,
          deletedAtMs,
          id,
          page.limit,
        );
  return rows.map((row) => entryOf(sql, row));
}

export function findDeletion(sql: Sql, wanted: RestoreWanted): FoundDeletion {
  const row = findRow(sql, wanted);
  if (row !== null) return { outcome: "found", deletion: entryOf(sql, row) };
  if ("id" in wanted) return { outcome: "unknown" };
  const { repository } = wanted;
  const there =
    "tag" in wanted
      ? findTag(sql, repository, wanted.tag)
      : findManifest(sql, repository, wanted.digest);
  if (there !== null) return { outcome: "there" };
  const released = findReleased(sql, wanted);
  return released === null ? { outcome: "unknown" } : { outcome: "gone", ...released };
}

function findRow(sql: Sql, wanted: RestoreWanted): DeletionRow | null {
  if ("id" in wanted) {
    return sql.get(`SELECT ${columns} FROM deletions d WHERE d.id = ?`, wanted.id);
  }
  if ("tag" in wanted) {
    return sql.get(
      `SELECT ${columns} FROM deletion_tags t CROSS JOIN deletions d
       WHERE t.repository = ? AND t.tag = ? AND d.id = t.deletion_id
       ORDER BY d.deleted_at DESC, d.id DESC LIMIT 1`,
      wanted.repository,
      wanted.tag,
    );
  }
  // The manifest's own deletion, with all its tags, before those of single tags.
  return sql.get(
    `SELECT ${columns} FROM deletions d WHERE d.repository = ? AND d.digest = ?
     ORDER BY d.tag = '' DESC, d.deleted_at DESC, d.id DESC LIMIT 1`,
    wanted.repository,
    digestToBytes(wanted.digest),
  );
}

function findReleased(
  sql: Sql,
  wanted: Exclude<RestoreWanted, { id: number }>,
): { deletedAtMs: number; releasedAtMs: number } | null {
  return sql.get(
    `SELECT deleted_at AS deletedAtMs, released_at AS releasedAtMs FROM released_deletions
     WHERE repository = ? AND name = ? ORDER BY id DESC LIMIT 1`,
    wanted.repository,
    "tag" in wanted ? wanted.tag : wanted.digest,
  );
}

export function heldManifests(
  sql: Sql,
  id: number,
  page: { readonly after: Digest | null; readonly limit: number },
): { digest: Digest; mediaType: string }[] {
  return sql
    .all<{ digest: Uint8Array; mediaType: string }>(
      `SELECT digest, media_type AS mediaType FROM deletion_holds
       WHERE deletion_id = ? AND digest > ? AND media_type IS NOT NULL ORDER BY digest LIMIT ?`,
      id,
      page.after === null ? new Uint8Array() : digestToBytes(page.after),
      page.limit,
    )
    .map(({ digest, mediaType }) => ({ digest: digestFromBytes(digest), mediaType }));
}
