// Whether what is kept about space is what a count finds, and the count itself: for verify, which looks on
// a connection of its own, and for its repair. A repository is counted in one state, however large.
import type { RepositoryName } from "../oci/index.ts";
import { findRepository, repositoryName } from "./rows.ts";
import type { Sql } from "./sql.ts";
import { contentOf, countedTotals, sumsOfHoldings } from "./usage-schema.ts";

/** What differs, in words. `repository` null: the totals. */
export interface UsageDrift {
  readonly repository: RepositoryName | null;
  readonly detail: string;
}

/** Of a repository (?1): what its manifests are and name, and how many of them each. */
const countedHoldings = `SELECT id AS blob_id, count(*) AS manifests FROM (
    SELECT n.blob_id AS id FROM manifests m CROSS JOIN named n
    WHERE m.repository_id = ?1 AND n.manifest_id = m.blob_id AND n.blob_id <> m.blob_id
    UNION ALL SELECT blob_id FROM manifests WHERE repository_id = ?1)
  GROUP BY id`;

/** Of a repository: its sums as its manifests, tags and holdings give them. */
const countedSums = (id: string): string => `
  SELECT (SELECT count(*) FROM manifests WHERE repository_id = ${id}) AS manifests,
    (SELECT count(*) FROM tags WHERE repository_id = ${id}) AS tags, logical, exclusive
  FROM (${sumsOfHoldings(id)})`;

interface Sums {
  readonly manifests: number;
  readonly tags: number;
  readonly logical: number;
  readonly exclusive: number;
}

/** Looks at the next repository, by number; `next` null: there is none. */
export function repositoryDrift(
  sql: Sql,
  after: number,
): { readonly next: number | null; readonly drift: UsageDrift | null } {
  const id = sql.get<{ id: number }>(
    "SELECT id FROM repositories WHERE id > ? ORDER BY id LIMIT 1",
    after,
  )?.id;
  if (id === undefined) return { next: null, drift: null };
  const kept = sql.get<Sums>(
    `SELECT manifests, tags, logical_bytes AS logical, exclusive_bytes AS exclusive
     FROM repositories WHERE id = ?`,
    id,
  );
  const counted = sql.get<Sums>(countedSums("?1"), id);
  const differing = (["manifests", "tags", "logical", "exclusive"] as const)
    .filter((name) => kept?.[name] !== counted?.[name])
    .map((name) => `${name} ${kept?.[name]} instead of ${counted?.[name]}`);
  const holdings = wrongHoldings(sql, id);
  if (holdings > 0) differing.push(`${holdings} holdings are wrong`);
  const manifests = wrongContents(sql, id);
  if (manifests > 0) differing.push(`the contents of ${manifests} manifests are wrong`);
  if (differing.length === 0) return { next: id, drift: null };
  return { next: id, drift: { repository: repositoryName(sql, id), detail: differing.join(", ") } };
}

function wrongHoldings(sql: Sql, id: number): number {
  const found = sql.get<{ counted: number; right: number; kept: number }>(
    `SELECT count(*) AS counted, ifnull(sum(h.manifests = c.manifests), 0) AS right,
       (SELECT count(*) FROM holdings WHERE repository_id = ?1) AS kept
     FROM (${countedHoldings}) c
       LEFT JOIN holdings h ON h.repository_id = ?1 AND h.blob_id = c.blob_id`,
    id,
  );
  if (found === null) return 0;
  return Math.max(found.counted, found.kept) - found.right;
}

function wrongContents(sql: Sql, id: number): number {
  const found = sql.get<{ wrong: number }>(
    `SELECT count(*) AS wrong FROM manifests m CROSS JOIN blobs p
     WHERE m.repository_id = ? AND p.id = m.blob_id
       AND (p.children, p.content_bytes) <> (${contentOf("p.id")})`,
    id,
  );
  return found?.wrong ?? 0;
}

/** Looks at every blob: for a thread that has the time. */
export function totalsDrift(sql: Sql): UsageDrift | null {
  const kept = sql.get<{ held: number; logical: number }>(
    "SELECT held_bytes AS held, logical_bytes AS logical FROM usage_totals",
  );
  const counted = sql.get<{ held: number; logical: number }>(countedTotals);
  if (kept?.held === counted?.held && kept?.logical === counted?.logical) return null;
  const detail = `held ${kept?.held} and logical ${kept?.logical} bytes instead of ${counted?.held} and ${counted?.logical}`;
  return { repository: null, detail };
}

/** Counts a repository, or (null) the totals, again. What it took from others is found with them. */
export function recountUsage(sql: Sql, repository: RepositoryName | null): void {
  if (repository === null) {
    sql.run(`UPDATE usage_totals SET (held_bytes, logical_bytes) = (${countedTotals})`);
    return;
  }
  const id = findRepository(sql, repository);
  if (id === null) return;
  sql.run("DELETE FROM holdings WHERE repository_id = ?", id);
  sql.run(
    `INSERT INTO holdings (repository_id, blob_id, manifests)
     SELECT ?1, blob_id, manifests FROM (${countedHoldings})`,
    id,
  );
  sql.run(
    `UPDATE blobs SET (children, content_bytes) = (${contentOf("blobs.id")})
     WHERE id IN (SELECT blob_id FROM manifests WHERE repository_id = ?)`,
    id,
  );
  sql.run(
    `UPDATE repositories SET (manifests, tags, logical_bytes, exclusive_bytes)
       = (${countedSums("?1")})
     WHERE id = ?1`,
    id,
  );
}
