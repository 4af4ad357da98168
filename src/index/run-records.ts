// Records of the collector's runs: a bounded history that a rebuild of the facts leaves alone. A record
// without an end is of a run that is under way, or of one that was killed.
import type { RunEntry, RunRecord } from "../registry/ports/index.ts";
import type { Sql } from "./sql.ts";

/** A few weeks of hourly runs, some 500 kB; one that finds nothing to do leaves no record. */
const runsMax = 1_000;

export function beginRun(sql: Sql, record: RunRecord): number {
  const id = sql.insert("INSERT INTO runs (record) VALUES (?)", JSON.stringify(record));
  sql.run("DELETE FROM runs WHERE id <= ?", id - runsMax);
  return id;
}

export function endRun(sql: Sql, id: number, record: RunRecord): void {
  sql.run(
    "UPDATE runs SET ended_at = ?, record = ? WHERE id = ?",
    record.startedAtMs + (record.durationMs ?? 0),
    JSON.stringify(record),
    id,
  );
}

/** Who begins knows that nobody else runs: what has no end was killed. How many those were. */
export function interruptRuns(sql: Sql, nowMs: number): number {
  const open = sql.all<{ id: number; record: string }>(
    "SELECT id, record FROM runs WHERE ended_at IS NULL ORDER BY id",
  );
  for (const { id, record } of open) {
    const interrupted = { ...(JSON.parse(record) as RunRecord), stopped: "interrupted" };
    sql.run(
      "UPDATE runs SET ended_at = ?, record = ? WHERE id = ?",
      nowMs,
      JSON.stringify(interrupted),
      id,
    );
  }
  return open.length;
}

export function listRuns(
  sql: Sql,
  page: { readonly before: number | null; readonly limit: number },
): RunEntry[] {
  return sql
    .all<{ id: number; record: string; ended: number }>(
      `SELECT id, record, ended_at IS NOT NULL AS ended FROM runs
       WHERE id < ? ORDER BY id DESC LIMIT ?`,
      page.before ?? Number.MAX_SAFE_INTEGER,
      page.limit,
    )
    .map(({ id, record, ended }) => ({
      id,
      isOver: ended === 1,
      record: JSON.parse(record) as RunRecord,
    }));
}
