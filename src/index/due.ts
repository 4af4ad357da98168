// Whether a collection would find anything to look at, and when: what the background asks, again and
// again, and so one statement that looks at the heads of the queues alone.
import type { CollectionDue, DueOptions } from "../registry/ports/index.ts";
import { blobState } from "./schema.ts";
import type { Sql } from "./sql.ts";

const due = `SELECT
    (EXISTS (SELECT 1 FROM blobs WHERE state = ${blobState.condemned})
      OR EXISTS (SELECT 1 FROM blob_candidates WHERE due_at <= ?1)
      OR EXISTS (SELECT 1 FROM manifest_candidates WHERE held = 0 AND due_at <= ?1)
      OR (?2 AND EXISTS (SELECT 1 FROM manifest_candidates
        WHERE held = 1 AND due_at <= ?1 AND untagged_since <= ?3))
      OR EXISTS (SELECT 1 FROM deletions WHERE deleted_at <= ?4)
      OR EXISTS (SELECT 1 FROM leases WHERE expires_at <= ?1)
      OR EXISTS (SELECT 1 FROM repository_candidates)
      OR EXISTS (SELECT 1 FROM uploads WHERE touched_at < ?5)) AS due,
    (SELECT min(due_at) FROM blob_candidates WHERE due_at > ?1) AS blobMs,
    (SELECT min(due_at) FROM manifest_candidates WHERE held = 0 AND due_at > ?1) AS manifestMs,
    (SELECT min(deleted_at) FROM deletions WHERE deleted_at > ?4) AS deletedMs`;

export function collectionDue(sql: Sql, options: DueOptions): CollectionDue {
  const { nowMs, policy, deletedBeforeMs } = options;
  const row = sql.get<{
    due: number;
    blobMs: number | null;
    manifestMs: number | null;
    deletedMs: number | null;
  }>(
    due,
    nowMs,
    policy.untagged ? 1 : 0,
    policy.untaggedBeforeMs,
    deletedBeforeMs,
    options.uploadsIdleSinceMs ?? -1,
  );
  const { blobMs = null, manifestMs = null, deletedMs = null } = row ?? {};
  const releasedMs = deletedMs === null ? null : deletedMs + nowMs - deletedBeforeMs;
  const times = [blobMs, manifestMs, releasedMs].filter((ms) => ms !== null);
  return { due: row?.due === 1, nextMs: times.length === 0 ? null : Math.min(...times) };
}
