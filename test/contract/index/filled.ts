// An index with so many rows that plans differ, for tests that look at them.
import { Database } from "bun:sqlite";
import { migrate, Sql } from "../../../src/index/sql.ts";

/** As many rows as make a difference, spread as a registry spreads them. */
export function filledIndex(): Sql {
  const sql = new Sql(new Database(":memory:", { strict: true }));
  migrate(sql);
  const rows = (into: string, values: string, count: number): void => {
    sql.script(`INSERT OR IGNORE INTO ${into}
      WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      SELECT ${values} FROM n`);
  };
  rows(
    "blobs (digest, size, state)",
    "CAST(printf('%033d', i * 7919 % 1000003) AS BLOB), i, 1",
    20_000,
  );
  rows("repositories (name)", "printf('r%d', i)", 500);
  rows("layers (repository_id, blob_id)", "i % 500 + 1, i", 20_000);
  rows(
    "manifests (repository_id, blob_id, media_type, pushed_at)",
    "i % 500 + 1, i, 'x', 0",
    3_000,
  );
  rows("named (manifest_id, blob_id, kind)", "i % 3000 + 1, i * 31 % 20000 + 1, 1", 30_000);
  rows(
    "tags (repository_id, name, blob_id, moved_at)",
    "i % 500 + 1, printf('t%d', i), i, 0",
    3_000,
  );
  rows("tag_history (repository_id, name, blob_id)", "i % 500 + 1, printf('t%d', i), i", 6_000);
  rows("leases (repository_id, caller, blob_id, expires_at)", "i % 500 + 1, 'me', i, i", 5_000);
  rows(
    "deletions (what, repository, digest, tag, media_type, size, held_bytes, deleted_at, deleted_by, reason)",
    "'image', printf('r%d', i % 500 + 1), CAST(i AS BLOB), '', 'x', 1, 1, i, 'me', 'client'",
    1_000,
  );
  rows("deletion_tags (deletion_id, repository, tag)", "i % 1000 + 1, 'r1', i", 3_000);
  rows(
    "released_deletions (repository, digest, tag, deleted_at, released_at)",
    "printf('r%d', i % 500 + 1), CAST(i AS BLOB), i, i, i",
    1_000,
  );
  rows("pulls", "printf('r%d', i % 500 + 1), CAST(i AS BLOB), i", 3_000);
  rows("runs (record)", "'{}'", 1_000);
  rows("deletion_holds (deletion_id, digest)", "i % 1000 + 1, CAST(i AS BLOB)", 10_000);
  rows("blob_candidates (repository_id, blob_id, due_at)", "i % 500 + 1, i, i", 5_000);
  return sql;
}
