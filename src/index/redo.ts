// Redo records: what the tree still owes to the facts (INV-2). A record names a place and a version, not
// a value; its value is read when it is applied, so an old record never overwrites a newer change.
import {
  type Digest,
  digestFromBytes,
  digestToBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type { RedoRecord, TreePlace } from "../registry/ports/index.ts";
import { findBlobRow, findRepository } from "./rows.ts";
import { placeKind } from "./schema.ts";
import type { Sql } from "./sql.ts";

interface PlaceKey {
  readonly kind: number;
  readonly repository: RepositoryName;
  readonly tag: string;
  readonly digest: Uint8Array;
}

function keyOf(place: TreePlace): PlaceKey {
  return {
    kind: placeKind[place.kind],
    repository: place.repository,
    tag: "tag" in place ? place.tag : "",
    digest: "digest" in place ? digestToBytes(place.digest) : new Uint8Array(),
  };
}

function placeOf(key: PlaceKey): TreePlace {
  const { repository } = key;
  switch (key.kind) {
    case placeKind.layer:
      return { kind: "layer", repository, digest: digestFromBytes(key.digest) };
    case placeKind.revision:
      return { kind: "revision", repository, digest: digestFromBytes(key.digest) };
    case placeKind.tag:
      return { kind: "tag", repository, tag: key.tag as Tag };
    case placeKind["tag-history"]:
      return {
        kind: "tag-history",
        repository,
        tag: key.tag as Tag,
        digest: digestFromBytes(key.digest),
      };
    default:
      return { kind: "repository", repository };
  }
}

/** The fact at this place has changed: the tree owes it, under a new version. */
export function oweTree(sql: Sql, place: TreePlace): void {
  const key = keyOf(place);
  sql.run(
    "INSERT OR REPLACE INTO redo (kind, repository, tag, digest) VALUES (?, ?, ?, ?)",
    key.kind,
    key.repository,
    key.tag,
    key.digest,
  );
}

/** Whether the tree still owes something at this place: then the index is right, not the tree. */
export function isOwed(sql: Sql, place: TreePlace): boolean {
  const key = keyOf(place);
  return sql.has(
    "SELECT 1 FROM redo WHERE kind = ? AND repository = ? AND tag = ? AND digest = ?",
    key.kind,
    key.repository,
    key.tag,
    key.digest,
  );
}

/** The fact at a place, and whether the tree still owes it. */
export function factOf(
  sql: Sql,
  place: TreePlace,
): { readonly value: Digest | null; readonly owed: boolean } {
  return { value: factAt(sql, place).value, owed: isOwed(sql, place) };
}

export function pendingRedo(sql: Sql, limit: number): RedoRecord[] {
  const rows = sql.all<PlaceKey & { version: number }>(
    "SELECT version, kind, repository, tag, digest FROM redo ORDER BY version LIMIT ?",
    limit,
  );
  return rows.map((row) => {
    const place = placeOf(row);
    return { place, version: row.version, ...factAt(sql, place) };
  });
}

export function newestRedo(sql: Sql): number {
  return (
    sql.get<{ version: number | null }>("SELECT max(version) AS version FROM redo")?.version ?? 0
  );
}

export function clearRedo(sql: Sql, records: readonly RedoRecord[]): void {
  for (const { version } of records) sql.run("DELETE FROM redo WHERE version = ?", version);
}

function factAt(sql: Sql, place: TreePlace): { stands: boolean; value: Digest | null } {
  const repositoryId = findRepository(sql, place.repository);
  if (repositoryId === null) return { stands: false, value: null };
  if (place.kind === "repository") return { stands: true, value: null };
  if (place.kind === "tag") {
    const row = sql.get<{ digest: Uint8Array }>(
      "SELECT b.digest FROM tags t, blobs b WHERE t.repository_id = ? AND t.name = ? AND b.id = t.blob_id",
      repositoryId,
      place.tag,
    );
    return { stands: row !== null, value: row === null ? null : digestFromBytes(row.digest) };
  }
  const blobId = findBlobRow(sql, place.digest)?.id;
  const stands = blobId !== undefined && linkStands(sql, place, { repositoryId, blobId });
  return { stands, value: stands ? place.digest : null };
}

function linkStands(
  sql: Sql,
  place: Exclude<TreePlace, { kind: "tag" | "repository" }>,
  row: { readonly repositoryId: number; readonly blobId: number },
): boolean {
  const { repositoryId, blobId } = row;
  switch (place.kind) {
    case "layer":
      return sql.has(
        "SELECT 1 FROM layers WHERE repository_id = ? AND blob_id = ?",
        repositoryId,
        blobId,
      );
    case "revision":
      return sql.has(
        "SELECT 1 FROM manifests WHERE repository_id = ? AND blob_id = ?",
        repositoryId,
        blobId,
      );
    case "tag-history":
      return sql.has(
        "SELECT 1 FROM tag_history WHERE repository_id = ? AND name = ? AND blob_id = ?",
        repositoryId,
        place.tag,
        blobId,
      );
  }
}
