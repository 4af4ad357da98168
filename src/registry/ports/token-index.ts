// What the index knows of robot tokens: passwords for programs, with rights of their own. Only a hash
// of the secret is kept. A rebuild of the facts leaves them alone: the tree does not know them.
import type { Page } from "./facts.ts";
import type { AccessAction } from "./access.ts";

export interface RobotToken {
  /** Public: it names the token in lists, and when it is revoked. */
  readonly id: string;
  /** Who logs in with it. */
  readonly user: string;
  /** SHA-256 of the secret, in hexadecimal. The secret is random, so nothing slower is needed. */
  readonly secretHash: string;
  /** Globs. */
  readonly repositories: readonly string[];
  readonly actions: readonly AccessAction[];
  readonly createdAtMs: number;
  /** Null: never. */
  readonly expiresAtMs: number | null;
}

export interface RobotTokenUse extends RobotToken {
  /** To the hour; null: never used. */
  readonly lastUsedAtMs: number | null;
}

export interface TokenIndex {
  /** False: there are as many as there may be (10,000). */
  createToken(token: RobotToken): Promise<boolean>;
  findToken(id: string): Promise<RobotTokenUse | null>;
  /** In the order of their ids. */
  listTokens(page: Page): Promise<readonly RobotTokenUse[]>;
  /** Whether there was one. It is refused from then on. */
  revokeToken(id: string): Promise<boolean>;
  /** It was used now. What was revoked meanwhile stays so. */
  noteTokenUse(id: string, nowMs: number): Promise<void>;
}
