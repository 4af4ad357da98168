// How much the index knows to be stored.
import type { Page, UploadFact } from "../registry/ports/index.ts";
import type { Sql } from "./sql.ts";

export function blobBytes(sql: Sql): number {
  return sql.get<{ bytes: number }>("SELECT bytes FROM totals")?.bytes ?? 0;
}

export function openUploads(sql: Sql, page: Page): UploadFact[] {
  return sql.all<UploadFact>(
    `SELECT u.id, u.started_at AS startedAtMs, r.name AS repository
     FROM uploads u CROSS JOIN repositories r ON r.id = u.repository_id
     WHERE u.id > ? ORDER BY u.id LIMIT ?`,
    page.after ?? "",
    page.limit,
  );
}
