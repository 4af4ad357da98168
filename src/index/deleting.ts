// The write operations of a deletion. They free nothing by themselves: what they may leave behind
// becomes a candidate in the same transaction.
import { type Digest, digestFromBytes, type RepositoryName, type Tag } from "../oci/index.ts";
import type {
  DeleteOutcome,
  DeletionTerms,
  ManifestDeletion,
  UnlinkOutcome,
} from "../registry/ports/index.ts";
import { findHeldTag, findHolderOf } from "./immutable.ts";
import { endAllLeases } from "./leases.ts";
import {
  dequeueManifest,
  enqueueBlob,
  enqueueManifest,
  enqueueRepository,
  enqueueWholeRepository,
  hastenManifest,
} from "./queue.ts";
import { oweTree } from "./redo.ts";
import { findBlobRow, findRepository, type Leased } from "./rows.ts";
import type { Sql } from "./sql.ts";
import { removeHistory, removeTag } from "./tagging.ts";

/** How many manifests a refused deletion of a blob names. */
const neededByMax = 10;

export function deleteManifest(
  sql: Sql,
  manifest: { readonly repository: RepositoryName; readonly digest: Digest },
  terms: number | DeletionTerms,
): ManifestDeletion {
  const { nowMs, immutable } = termsOf(terms);
  const row = manifestRow(sql, manifest);
  if (row === null) return { outcome: "unknown", tags: [] };
  const held = findHolderOf(sql, row, immutable);
  if (held !== null) return { outcome: "immutable", tags: [], held };
  return {
    outcome: "deleted",
    tags: removeManifest(sql, { ...manifest, ...row }, { nowMs, untaggedSinceMs: nowMs }).tags,
  };
}

function termsOf(terms: number | DeletionTerms): DeletionTerms {
  return typeof terms === "number" ? { nowMs: terms, immutable: [] } : terms;
}

export function manifestRow(
  sql: Sql,
  manifest: { readonly repository: RepositoryName; readonly digest: Digest },
): Leased | null {
  const repositoryId = findRepository(sql, manifest.repository);
  const blobId = findBlobRow(sql, manifest.digest)?.id;
  if (repositoryId === null || blobId === undefined) return null;
  const known = sql.has(
    "SELECT 1 FROM manifests WHERE repository_id = ? AND blob_id = ?",
    repositoryId,
    blobId,
  );
  return known ? { repositoryId, blobId } : null;
}

export interface ManifestRow extends Leased {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

export interface Removal {
  readonly nowMs: number;
  /** What it leaves behind untagged has been so since then, as far as removal by age goes. */
  readonly untaggedSinceMs: number;
}

/** Takes a manifest out of its repository: its tags, its history, its leases, its row. */
export function removeManifest(
  sql: Sql,
  row: ManifestRow,
  removal: Removal,
): { tags: Tag[]; tagHistory: Tag[] } {
  const { repositoryId, repository, blobId } = row;
  const { nowMs } = removal;
  const tags = sql
    .all<{ name: Tag }>(
      "SELECT name FROM tags WHERE repository_id = ? AND blob_id = ?",
      repositoryId,
      blobId,
    )
    .map(({ name }) => name);
  for (const tag of tags) {
    removeTag(sql, { repositoryId, repository, tag }, { nowMs, owe: true });
  }
  const tagHistory = sql
    .all<{ name: Tag }>(
      "SELECT name FROM tag_history WHERE repository_id = ? AND blob_id = ?",
      repositoryId,
      blobId,
    )
    .map(({ name }) => name);
  for (const tag of tagHistory) removeHistory(sql, { ...row, tag }, row.digest);
  enqueueLeftBehind(sql, row, removal);
  if (isUnreadable(sql, row)) enqueueWholeRepository(sql, repositoryId, nowMs);
  sql.run("DELETE FROM manifests WHERE repository_id = ? AND blob_id = ?", repositoryId, blobId);
  oweTree(sql, { kind: "revision", repository, digest: row.digest });
  dequeueManifest(sql, row);
  endAllLeases(sql, row);
  if (!sql.has("SELECT 1 FROM manifests WHERE blob_id = ?", blobId)) {
    sql.run("DELETE FROM named WHERE manifest_id = ?", blobId);
  }
  enqueueRepository(sql, repositoryId);
  return { tags, tagHistory };
}

function isUnreadable(sql: Sql, row: Leased): boolean {
  return sql.has(
    "SELECT 1 FROM manifests WHERE repository_id = ? AND blob_id = ? AND unreadable = 1",
    row.repositoryId,
    row.blobId,
  );
}

/** All that the manifest may have been the last to hold, and what held on to it. */
function enqueueLeftBehind(sql: Sql, row: ManifestRow, removal: Removal): void {
  const { repositoryId } = row;
  const named = sql.all<{ blobId: number }>(
    "SELECT blob_id AS blobId FROM named WHERE manifest_id = ?",
    row.blobId,
  );
  for (const { blobId } of [...named, row]) {
    ownBlob(sql, blobId);
    enqueueBlob(sql, { repositoryId, blobId }, removal.nowMs);
    enqueueManifest(sql, { repositoryId, blobId }, removal);
  }
  // Its referrers lose their subject; unless something else keeps them, they go with it (design §3).
  const referrers = sql.all<{ blobId: number }>(
    "SELECT blob_id AS blobId FROM manifests WHERE repository_id = ? AND subject_id = ?",
    repositoryId,
    row.blobId,
  );
  for (const { blobId } of referrers) {
    sql.run(
      "UPDATE manifests SET subject_removed = 1 WHERE repository_id = ? AND blob_id = ?",
      repositoryId,
      blobId,
    );
    enqueueManifest(sql, { repositoryId, blobId }, removal);
  }
}

/** We saw it lose a reference, so it is no foreign push under way (design §5). */
function ownBlob(sql: Sql, blobId: number): void {
  sql.run("UPDATE blobs SET foreign_since = NULL WHERE id = ? AND foreign_since NOT NULL", blobId);
}

export function deleteTag(
  sql: Sql,
  wanted: { readonly repository: RepositoryName; readonly tag: Tag },
  terms: number | DeletionTerms,
): DeleteOutcome {
  const { nowMs, immutable } = termsOf(terms);
  const repositoryId = findRepository(sql, wanted.repository);
  if (repositoryId === null) return "unknown";
  const any = { repositoryId, tags: [wanted.tag], digest: null };
  if (findHeldTag(sql, any, immutable) !== null) return "immutable";
  const removed = removeTag(sql, { repositoryId, ...wanted }, { nowMs, owe: true });
  return removed ? "deleted" : "unknown";
}

export function unlinkBlob(
  sql: Sql,
  wanted: { readonly repository: RepositoryName; readonly digest: Digest },
  nowMs: number,
): UnlinkOutcome {
  const repositoryId = findRepository(sql, wanted.repository);
  const blobId = findBlobRow(sql, wanted.digest)?.id;
  if (repositoryId === null || blobId === undefined) return { outcome: "unknown", neededBy: [] };
  const linked = sql.has(
    "SELECT 1 FROM layers WHERE repository_id = ? AND blob_id = ?",
    repositoryId,
    blobId,
  );
  if (!linked) return { outcome: "unknown", neededBy: [] };
  const neededBy = manifestsThatNeed(sql, { repositoryId, blobId });
  if (neededBy.length > 0) return { outcome: "needed", neededBy };
  removeLayer(sql, { ...wanted, repositoryId, blobId });
  ownBlob(sql, blobId);
  enqueueBlob(sql, { repositoryId, blobId }, nowMs);
  hastenManifest(sql, { repositoryId, blobId }, nowMs);
  return { outcome: "deleted", neededBy: [] };
}

/** Manifests that name the blob, and those that cannot be read and so might (INV-7). */
function manifestsThatNeed(sql: Sql, row: Leased): Digest[] {
  return sql
    .all<{ digest: Uint8Array }>(
      `SELECT b.digest FROM named n, manifests m, blobs b
       WHERE n.blob_id = ?2 AND m.repository_id = ?1 AND m.blob_id = n.manifest_id
         AND b.id = n.manifest_id
       UNION
       SELECT b.digest FROM manifests m, blobs b
       WHERE m.repository_id = ?1 AND m.unreadable = 1 AND b.id = m.blob_id
       LIMIT ?3`,
      row.repositoryId,
      row.blobId,
      neededByMax,
    )
    .map(({ digest }) => digestFromBytes(digest));
}

/** Removes a layer link and its leases; nothing in the repository can refer to the blob then. */
export function removeLayer(sql: Sql, row: ManifestRow): void {
  sql.run(
    "DELETE FROM layers WHERE repository_id = ? AND blob_id = ?",
    row.repositoryId,
    row.blobId,
  );
  oweTree(sql, { kind: "layer", repository: row.repository, digest: row.digest });
  endAllLeases(sql, row);
  enqueueRepository(sql, row.repositoryId);
}
