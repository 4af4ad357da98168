// Whether what is kept about space is what a count finds, and the count itself: for verify, which looks on
// a connection of its own, and for its repair. A repository is counted in one state, however large.
import type { RepositoryName } from "../oci/index.ts";
import { findRepository, repositoryName } from "./rows.ts";
import type { Sql } from "./sql.ts";
import { blobState, namedKind } from "./stored-numbers.ts";

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

const contentBytes = (manifest: string): string => `(
  SELECT ifnull(sum(b.size), 0) FROM named n CROSS JOIN blobs b
  WHERE n.manifest_id = ${manifest} AND n.kind = ${namedKind.blob}
    AND b.id = n.blob_id AND b.state = ${blobState.present})`;

const childrenOf = (manifest: string): string => `(
  SELECT count(*) FROM named n WHERE n.manifest_id = ${manifest} AND n.kind = ${namedKind.manifest})`;

/** Of a repository: its sums as its holdings give them. */
const countedSums = (id: string): string => `
  (SELECT count(*) FROM manifests WHERE repository_id = ${id}) AS manifests,
  (SELECT count(*) FROM tags WHERE repository_id = ${id}) AS tags,
  (SELECT ifnull(sum(b.size), 0) FROM holdings h CROSS JOIN blobs b
    WHERE h.repository_id = ${id} AND b.id = h.blob_id AND b.state = ${blobState.present}) AS logical,
  (SELECT ifnull(sum(b.size), 0) FROM holdings h CROSS JOIN blobs b
    WHERE h.repository_id = ${id} AND b.id = h.blob_id AND b.state = ${blobState.present}
      AND NOT EXISTS (SELECT 1 FROM holdings o
        WHERE o.blob_id = h.blob_id AND o.repository_id <> ${id})) AS exclusive`;

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
  const counted = sql.get<Sums>(`SELECT ${countedSums("?1")}`, id);
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
       AND (p.content_bytes <> ${contentBytes("p.id")} OR p.children <> ${childrenOf("p.id")})`,
    id,
  );
  return found?.wrong ?? 0;
}

const countedTotals = `
  (SELECT ifnull(sum(size), 0) FROM blobs b WHERE state = ${blobState.present}
    AND EXISTS (SELECT 1 FROM holdings WHERE blob_id = b.id)) AS held,
  (SELECT ifnull(sum(logical_bytes), 0) FROM repositories) AS logical`;

/** Looks at every blob: for a thread that has the time. */
export function totalsDrift(sql: Sql): UsageDrift | null {
  const kept = sql.get<{ held: number; logical: number }>(
    "SELECT held_bytes AS held, logical_bytes AS logical FROM usage_totals",
  );
  const counted = sql.get<{ held: number; logical: number }>(`SELECT ${countedTotals}`);
  if (kept?.held === counted?.held && kept?.logical === counted?.logical) return null;
  const detail = `held ${kept?.held} and logical ${kept?.logical} bytes instead of ${counted?.held} and ${counted?.logical}`;
  return { repository: null, detail };
}

/** Counts a repository, or (null) the totals, again. What it took from others is found with them. */
export function recountUsage(sql: Sql, repository: RepositoryName | null): void {
  if (repository === null) {
    sql.run(
      `UPDATE usage_totals SET (held_bytes, logical_bytes)
         = (SELECT held, logical FROM (SELECT ${countedTotals}))`,
    );
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
    `UPDATE blobs SET content_bytes = ${contentBytes("blobs.id")}, children = ${childrenOf("blobs.id")}
     WHERE id IN (SELECT blob_id FROM manifests WHERE repository_id = ?)`,
    id,
  );
  sql.run(
    `UPDATE repositories SET (manifests, tags, logical_bytes, exclusive_bytes)
       = (SELECT manifests, tags, logical, exclusive FROM (SELECT ${countedSums("?1")}))
     WHERE id = ?1`,
    id,
  );
}
