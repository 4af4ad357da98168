// Counts what was written in bulk: the first build of an index, and an index of an older program. Pages of
// manifests in the order of their key, each one transaction: from then on the triggers keep their count
// (usage-schema.ts), so that it does not matter what else is written between the pages.
import type { Sql } from "./sql.ts";
import { blobState, namedKind } from "./stored-numbers.ts";
import { allCounted } from "./usage-schema.ts";

/** Manifests of one page. */
const pageSize = 500;

/** Before a bulk write: nothing counts until it has been counted. */
export function deferCount(sql: Sql): void {
  if (!isAllCounted(sql)) return;
  // None, but where a first build did not begin with an empty index.
  sql.run("DELETE FROM holdings");
  sql.run("UPDATE usage_totals SET counted_repository = 0, counted_manifest = 0");
}

function isAllCounted(sql: Sql): boolean {
  return sql.has(`SELECT 1 FROM usage_totals WHERE counted_repository = ${allCounted}`);
}

/** The page's manifests, by its first (exclusive) and last key. */
const page = `SELECT m.repository_id, m.blob_id FROM manifests m
  WHERE (m.repository_id, m.blob_id) > (?1, ?2) AND (m.repository_id, m.blob_id) <= (?3, ?4)`;

/** Counts the next page. True: all is counted. */
export function countPage(sql: Sql): boolean {
  const counted = sql.get<{ repository: number; manifest: number }>(
    `SELECT counted_repository AS repository, counted_manifest AS manifest FROM usage_totals
     WHERE counted_repository < ${allCounted}`,
  );
  if (counted === null) return true;
  const after = [counted.repository, counted.manifest] as const;
  const last = sql.get<{ repository: number; manifest: number }>(
    `SELECT repository_id AS repository, blob_id AS manifest FROM (
       SELECT repository_id, blob_id FROM manifests
       WHERE (repository_id, blob_id) > (?, ?) ORDER BY repository_id, blob_id LIMIT ${pageSize}
     ) ORDER BY repository_id DESC, blob_id DESC LIMIT 1`,
    ...after,
  );
  if (last === null) {
    sql.run(
      `UPDATE usage_totals SET counted_repository = ${allCounted}, counted_manifest = ${allCounted}`,
    );
    return true;
  }
  const range = [...after, last.repository, last.manifest];
  sql.run(
    `INSERT INTO holdings (repository_id, blob_id, manifests)
     SELECT repository_id, id, count(*) FROM (
       SELECT p.repository_id, n.blob_id AS id FROM (${page}) p CROSS JOIN named n
       WHERE n.manifest_id = p.blob_id AND n.blob_id <> p.blob_id
       UNION ALL ${page})
     GROUP BY repository_id, id
     ON CONFLICT (repository_id, blob_id) DO UPDATE SET manifests = manifests + excluded.manifests`,
    ...range,
  );
  sql.run(
    `UPDATE blobs SET
       children = (SELECT count(*) FROM named n
         WHERE n.manifest_id = blobs.id AND n.kind = ${namedKind.manifest}),
       content_bytes = (SELECT ifnull(sum(b.size), 0) FROM named n CROSS JOIN blobs b
         WHERE n.manifest_id = blobs.id AND n.kind = ${namedKind.blob}
           AND b.id = n.blob_id AND b.state = ${blobState.present})
     WHERE id IN (SELECT blob_id FROM (${page}))`,
    ...range,
  );
  sql.run(
    "UPDATE usage_totals SET counted_repository = ?, counted_manifest = ?",
    last.repository,
    last.manifest,
  );
  return false;
}

/** Of an index that an older program wrote, and that is complete but for this: before anybody uses it. */
export function countAll(sql: Sql): void {
  if (isAllCounted(sql) || !sql.has("SELECT 1 FROM meta WHERE key = 'complete'")) return;
  for (let isOver = false; !isOver;) {
    sql.script("BEGIN IMMEDIATE");
    isOver = countPage(sql);
    sql.script("COMMIT");
  }
}
