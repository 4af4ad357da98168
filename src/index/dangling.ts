// What names nothing: links, manifests and tags whose bytes or manifests are not there. For the report of
// a comparison and for verify; paged by key, none of it is on a request path.
import { type Digest, digestFromBytes, type RepositoryName, type Tag } from "../oci/index.ts";
import { blobState } from "./schema.ts";
import type { Sql } from "./sql.ts";

export interface Dangling {
  readonly what: "layer" | "revision" | "tag";
  readonly repository: RepositoryName;
  /** Null: not a tag. */
  readonly tag: Tag | null;
  readonly digest: Digest;
}

interface Row {
  readonly id: number;
  readonly digest: Uint8Array;
  readonly state: number;
}

/** A page of blobs, by number, with all that hangs on those whose bytes are not there. */
export function danglingPage(
  sql: Sql,
  after: number,
  limit: number,
): { readonly next: number | null; readonly found: readonly Dangling[] } {
  const last = sql.get<{ id: number | null }>(
    "SELECT max(id) AS id FROM (SELECT id FROM blobs WHERE id > ? ORDER BY id LIMIT ?)",
    after,
    limit,
  )?.id;
  if (last === null || last === undefined) return { next: null, found: [] };
  const rows = sql.all<Row>(
    `SELECT id, digest, state FROM blobs WHERE id > ? AND id <= ? AND state = ${blobState.absent}`,
    after,
    last,
  );
  return {
    next: last,
    found: [...rows.flatMap((row) => hanging(sql, row)), ...danglingTags(sql, after, last)],
  };
}

function hanging(sql: Sql, { id, digest }: Row): Dangling[] {
  const held = (what: "layer" | "revision", table: "layers" | "manifests"): Dangling[] =>
    sql
      .all<{ repository: RepositoryName }>(
        `SELECT r.name AS repository FROM ${table} x, repositories r
         WHERE x.blob_id = ? AND r.id = x.repository_id`,
        id,
      )
      .map(({ repository }) => ({ what, repository, tag: null, digest: digestFromBytes(digest) }));
  return [...held("layer", "layers"), ...held("revision", "manifests")];
}

/** Tags that name what is no manifest of their repository. */
function danglingTags(sql: Sql, after: number, last: number): Dangling[] {
  return sql
    .all<{ repository: RepositoryName; tag: Tag; digest: Uint8Array }>(
      `SELECT r.name AS repository, t.name AS tag, b.digest FROM tags t, repositories r, blobs b
       WHERE t.blob_id > ? AND t.blob_id <= ? AND b.id = t.blob_id AND r.id = t.repository_id
         AND NOT EXISTS (SELECT 1 FROM manifests m
           WHERE m.repository_id = t.repository_id AND m.blob_id = t.blob_id)`,
      after,
      last,
    )
    .map((row) => ({ what: "tag", ...row, digest: digestFromBytes(row.digest) }));
}
