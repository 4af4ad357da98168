// When manifests were last pulled, to the hour. By name and digest, for a rebuild of the facts keeps it.
import { type Digest, digestFromBytes, digestToBytes, type RepositoryName } from "../oci/index.ts";
import type { Pull, PullPosition, PullSweep } from "../registry/ports/index.ts";
import { getMeta, setMeta } from "./comparing.ts";
import { manifestRow } from "./deleting.ts";
import type { Sql } from "./sql.ts";

/** A pull is written once an hour: what is kept is exact to this much. */
const exactToMs = 3_600_000;

const sinceKey = "pull-times-since";

export function beginPullTimes(sql: Sql, nowMs: number): void {
  if (pullTimesSince(sql) === null) setMeta(sql, sinceKey, String(nowMs));
}

export function pullTimesSince(sql: Sql): number | null {
  const text = getMeta(sql, sinceKey);
  return text === null ? null : Number(text);
}

export function recordPulls(
  sql: Sql,
  pulls: readonly Pull[],
  sweep: PullSweep,
): PullPosition | null {
  // While the facts are built anew a manifest that is not known may well be there.
  const isComplete = getMeta(sql, "complete") !== null;
  const [first] = pulls;
  if (first !== undefined) beginPullTimes(sql, first.pulledAtMs);
  for (const pull of pulls) {
    if (isComplete && manifestRow(sql, pull) === null) continue;
    sql.run(
      `INSERT INTO pulls (repository, digest, pulled_at) VALUES (?1, ?2, ?3)
       ON CONFLICT DO UPDATE SET pulled_at = ?3 WHERE pulled_at <= ?3 - ${exactToMs}`,
      pull.repository,
      digestToBytes(pull.digest),
      pull.pulledAtMs,
    );
  }
  return isComplete ? forgetGone(sql, sweep) : null;
}

function forgetGone(sql: Sql, { after, limit }: PullSweep): PullPosition | null {
  const rows = sql.all<{ repository: RepositoryName; digest: Uint8Array }>(
    `SELECT repository, digest FROM pulls WHERE (repository, digest) > (?, ?)
     ORDER BY repository, digest LIMIT ?`,
    after?.[0] ?? "",
    after === null ? new Uint8Array() : digestToBytes(after[1]),
    limit,
  );
  let last: PullPosition | null = null;
  for (const { repository, digest: bytes } of rows) {
    const digest = digestFromBytes(bytes);
    last = [repository, digest];
    if (manifestRow(sql, { repository, digest }) !== null) continue;
    // What can still come back comes back with the time of its pull.
    if (canComeBack(sql, repository, bytes)) continue;
    sql.run("DELETE FROM pulls WHERE repository = ? AND digest = ?", repository, bytes);
  }
  return rows.length < limit ? null : last;
}

function canComeBack(sql: Sql, repository: RepositoryName, digest: Uint8Array): boolean {
  return sql.has("SELECT 1 FROM deletions WHERE repository = ? AND digest = ?", repository, digest);
}

/** Null: never, as far as is known. */
export function pulledAt(sql: Sql, repository: RepositoryName, digest: Digest): number | null {
  return (
    sql.get<{ pulledAt: number }>(
      "SELECT pulled_at AS pulledAt FROM pulls WHERE repository = ? AND digest = ?",
      repository,
      digestToBytes(digest),
    )?.pulledAt ?? null
  );
}
