// Counts what was written in bulk: the first build of an index, and an index of an older program. Pages of
// manifests in the order of their key; then the sums of repositories. From its page on the triggers keep
// the count of a manifest (usage-schema.ts), and from its sum on that of a repository, so that it does not
// matter what else is written between the pages.
import type { Sql } from "./sql.ts";
import { allCounted, contentOf, countedTotals, sumsOfHoldings } from "./usage-schema.ts";

const manifestsAtOnce = 1_000;
const repositoriesAtOnce = 50;

/** How long one transaction goes on with further pages. */
const stepMs = 100;

/** Before a bulk write: nothing counts until it has been counted. */
export function deferCount(sql: Sql): void {
  if (!isAllCounted(sql)) return;
  // None, but where a first build did not begin with an empty index.
  sql.run("DELETE FROM holdings");
  sql.run(
    "UPDATE usage_totals SET counted_repository = 0, counted_manifest = 0, summed_repository = 0",
  );
}

function isAllCounted(sql: Sql): boolean {
  return sql.has(`SELECT 1 FROM usage_totals WHERE summed_repository = ${allCounted}`);
}

/** Counts some more. True: all is counted. */
export function countStep(sql: Sql): boolean {
  const untilMs = performance.now() + stepMs;
  do {
    if (countPage(sql) && sumPage(sql)) return true;
  } while (performance.now() < untilMs);
  return false;
}

interface Key {
  readonly repository: number;
  readonly manifest: number;
}

/** The page's manifests, by the key before its first and that of its last. */
const page = `SELECT m.repository_id, m.blob_id FROM manifests m
  WHERE (m.repository_id, m.blob_id) > (?1, ?2) AND (m.repository_id, m.blob_id) <= (?3, ?4)`;

/** Counts the next manifests, no more than a page; true: every manifest is counted. */
export function countPage(sql: Sql): boolean {
  const counted = sql.get<Key>(
    `SELECT counted_repository AS repository, counted_manifest AS manifest FROM usage_totals
     WHERE counted_repository < ${allCounted}`,
  );
  if (counted === null) return true;
  const last = sql.get<Key>(
    `SELECT repository_id AS repository, blob_id AS manifest FROM (
       SELECT repository_id, blob_id FROM manifests
       WHERE (repository_id, blob_id) > (?, ?) ORDER BY repository_id, blob_id LIMIT ${manifestsAtOnce}
     ) ORDER BY repository_id DESC, blob_id DESC LIMIT 1`,
    counted.repository,
    counted.manifest,
  );
  if (last === null) {
    sql.run(
      `UPDATE usage_totals SET counted_repository = ${allCounted}, counted_manifest = ${allCounted}`,
    );
    return true;
  }
  const range = [counted.repository, counted.manifest, last.repository, last.manifest];
  sql.run("UPDATE usage_totals SET is_counting = 1");
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
    `UPDATE blobs SET (children, content_bytes) = (${contentOf("blobs.id")})
     WHERE id IN (SELECT blob_id FROM (${page}))`,
    ...range,
  );
  sql.run(
    "UPDATE usage_totals SET counted_repository = ?, counted_manifest = ?, is_counting = 0",
    last.repository,
    last.manifest,
  );
  return false;
}

/** Sums the next repositories up; true: every one is summed, and so are the totals. */
function sumPage(sql: Sql): boolean {
  const summed = sql.get<{ id: number }>(
    `SELECT summed_repository AS id FROM usage_totals WHERE summed_repository < ${allCounted}`,
  )?.id;
  if (summed === undefined) return true;
  const last = sql.get<{ id: number | null }>(
    `SELECT max(id) AS id FROM (
       SELECT id FROM repositories WHERE id > ? ORDER BY id LIMIT ${repositoriesAtOnce})`,
    summed,
  )?.id;
  if (last === null || last === undefined) {
    sql.run(
      `UPDATE usage_totals SET (held_bytes, logical_bytes) = (${countedTotals}),
         summed_repository = ${allCounted}`,
    );
    return true;
  }
  sql.run(
    `UPDATE repositories SET (logical_bytes, exclusive_bytes) = (${sumsOfHoldings("repositories.id")})
     WHERE id > ? AND id <= ?`,
    summed,
    last,
  );
  sql.run("UPDATE usage_totals SET summed_repository = ?", last);
  return false;
}

/** Of an index that an older program wrote, and that is complete but for this: before anybody uses it. */
export function countAll(sql: Sql): void {
  if (isAllCounted(sql) || !sql.has("SELECT 1 FROM meta WHERE key = 'complete'")) return;
  for (let isOver = false; !isOver;) {
    sql.script("BEGIN IMMEDIATE");
    isOver = countStep(sql);
    sql.script("COMMIT");
  }
}
