// What metrics ask each time they are read. Every statement looks at one row, at the head of a queue, or
// at one page of a key: none walks a table that grows with the registry.
import type { Countable, CountPage, IndexGauges } from "../registry/ports/index.ts";
import type { Sql } from "./sql.ts";

const gaugeStatements = {
  totals: "SELECT blobs, bytes AS blobBytes, manifests FROM totals",
  blobDue: "SELECT min(due_at) AS dueMs FROM blob_candidates",
  manifestDue: "SELECT min(due_at) AS dueMs FROM manifest_candidates WHERE held = 0",
} as const;

/** Of one page: how many rows, and the key of the last. */
const countStatements: Readonly<Record<Countable, string>> = {
  repositories: pageOf("name", "repositories WHERE manifests > 0 AND name > ?1"),
  "blob-candidates": pageOf("id", "blob_candidates WHERE id > ?1"),
  "manifest-candidates": pageOf("id", "manifest_candidates WHERE id > ?1"),
  uploads: pageOf("id", "uploads WHERE id > ?1"),
  events: pageOf("id", "events WHERE id > ?1"),
};

/** Before every key of the kind. */
const first: Readonly<Record<Countable, string | number>> = {
  repositories: "",
  "blob-candidates": 0,
  "manifest-candidates": 0,
  uploads: "",
  events: 0,
};

function pageOf(key: string, rows: string): string {
  return `SELECT count(*) AS count, max(key) AS last
    FROM (SELECT ${key} AS key FROM ${rows} ORDER BY ${key} LIMIT ?2)`;
}

export function gauges(sql: Sql): Omit<IndexGauges, "cache"> {
  const totals = sql.get<Pick<IndexGauges, "blobs" | "blobBytes" | "manifests">>(
    gaugeStatements.totals,
  );
  const due = (statement: string): number | null =>
    sql.get<{ dueMs: number | null }>(statement)?.dueMs ?? null;
  return {
    blobs: totals?.blobs ?? 0,
    blobBytes: totals?.blobBytes ?? 0,
    manifests: totals?.manifests ?? 0,
    blobDueMs: due(gaugeStatements.blobDue),
    manifestDueMs: due(gaugeStatements.manifestDue),
  };
}

export function countPage(
  sql: Sql,
  { what, after, limit }: CountPage,
): { readonly count: number; readonly last: string | number | null } {
  const row = sql.get<{ count: number; last: string | number | null }>(
    countStatements[what],
    after ?? first[what],
    limit,
  );
  return row ?? { count: 0, last: null };
}
