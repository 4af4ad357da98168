// Robot tokens. Their table is the index's own: a rebuild of the facts leaves it alone.
import type { Page, RobotToken, RobotTokenUse } from "../registry/ports/index.ts";
import type { Sql } from "./sql.ts";

/** A registry with more robots than that has a token server. Some 5 MB. */
const tokensMax = 10_000;

interface TokenRow {
  readonly id: string;
  readonly user: string;
  readonly secretHash: string;
  readonly rights: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly lastUsedAtMs: number | null;
}

const columns = `id, user, secret_hash AS secretHash, rights, created_at AS createdAtMs,
  expires_at AS expiresAtMs, last_used_at AS lastUsedAtMs`;

export function createToken(sql: Sql, token: RobotToken): boolean {
  const counted = sql.get<{ count: number }>("SELECT count(*) AS count FROM robot_tokens");
  if ((counted?.count ?? 0) >= tokensMax) return false;
  const { id, user, secretHash, repositories, actions, createdAtMs, expiresAtMs } = token;
  sql.run(
    `INSERT INTO robot_tokens (id, user, secret_hash, rights, created_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?)`,
    id,
    user,
    secretHash,
    JSON.stringify({ repositories, actions }),
    createdAtMs,
    expiresAtMs,
  );
  return true;
}

export function findToken(sql: Sql, id: string): RobotTokenUse | null {
  const row = sql.get<TokenRow>(`SELECT ${columns} FROM robot_tokens WHERE id = ?`, id);
  return row === null ? null : tokenOf(row);
}

export function listTokens(sql: Sql, page: Page): RobotTokenUse[] {
  return sql
    .all<TokenRow>(
      `SELECT ${columns} FROM robot_tokens WHERE id > ? ORDER BY id LIMIT ?`,
      page.after ?? "",
      page.limit,
    )
    .map(tokenOf);
}

export function revokeToken(sql: Sql, id: string): boolean {
  return sql.run("DELETE FROM robot_tokens WHERE id = ?", id) > 0;
}

export function noteTokenUse(sql: Sql, id: string, nowMs: number): void {
  sql.run("UPDATE robot_tokens SET last_used_at = ? WHERE id = ?", nowMs, id);
}

function tokenOf({ rights, ...row }: TokenRow): RobotTokenUse {
  return { ...row, ...(JSON.parse(rights) as Pick<RobotToken, "repositories" | "actions">) };
}
