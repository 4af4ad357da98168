// Robot tokens as passwords: made, told from other passwords by their form, and checked. The secret is
// random, so its hash needs no salt and no slowness; it is shown once and kept nowhere.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { parseGlobs } from "../oci/index.ts";
import type { AccessAction } from "../registry/ports/access.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { RobotToken, TokenIndex } from "../registry/ports/token-index.ts";
import type { Robot } from "./policy.ts";

/** Recognisable, so that scanners for leaked secrets can find them. */
const form = /^plimsoll_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

/** The last use is noted once in this time: it is for people who tidy up. */
const noteEveryMs = 3_600_000;

export interface NewRobotToken {
  readonly user: string;
  readonly repositories: readonly string[];
  readonly actions: readonly AccessAction[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
}

/** `password` is the only time that the secret is seen. */
export function makeRobotToken(wanted: NewRobotToken): {
  readonly token: RobotToken;
  readonly password: string;
} {
  const id = randomBytes(8).toString("hex");
  const secret = randomBytes(32).toString("base64url");
  return {
    token: { ...wanted, id, secretHash: hashOf(secret).toString("hex") },
    password: `plimsoll_${id}_${secret}`,
  };
}

function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

export class RobotTokens {
  readonly #index: TokenIndex;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  /** When uses that are being noted were begun: one note at a time for each. */
  readonly #noting = new Set<string>();

  constructor(index: TokenIndex, clock: Clock, onError: (error: unknown) => void) {
    this.#index = index;
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Null: the password is no valid token of this user. */
  async find(user: string, password: string): Promise<Robot | null> {
    const [, id, secret] = form.exec(password) ?? [];
    if (id === undefined || secret === undefined) return null;
    const token = await this.#index.findToken(id);
    if (token === null || token.user !== user) return null;
    if (!timingSafeEqual(hashOf(secret), Buffer.from(token.secretHash, "hex"))) return null;
    return await this.findById(id);
  }

  /** Null: expired or revoked. */
  async findById(id: string): Promise<Robot | null> {
    const token = await this.#index.findToken(id);
    const nowMs = this.#clock.now();
    if (token === null) return null;
    if (token.expiresAtMs !== null && token.expiresAtMs <= nowMs) return null;
    if (token.lastUsedAtMs === null || nowMs - token.lastUsedAtMs >= noteEveryMs) {
      this.#note(id, nowMs);
    }
    return {
      kind: "robot",
      user: token.user,
      tokenId: id,
      repositories: parseGlobs(token.repositories),
      actions: new Set(token.actions),
    };
  }

  /** Nobody waits for it: a disk that is full must not keep robots out. */
  #note(id: string, nowMs: number): void {
    if (this.#noting.has(id)) return;
    this.#noting.add(id);
    this.#index
      .noteTokenUse(id, nowMs)
      .catch(this.#onError)
      .finally(() => this.#noting.delete(id));
  }
}
