// Checks signed tokens (JWT): signature, issuer, audience, times. What was found of a token is
// remembered while the token is valid, since a client sends the same one with every request of a pull.
// Source: distribution, "Token Authentication Specification"; RFC 7519.
import type { Clock } from "../registry/ports/clock.ts";
import { RecentVerdicts } from "./recent-verdicts.ts";
import { ClaimedAccess } from "./scopes.ts";

/** As the classic: the clocks of two machines differ. */
const leewaySeconds = 60;
const leewayMs = leewaySeconds * 1_000;
/** Of what is found to be invalid: enough for a client that repeats itself. */
const refusedForMs = 5_000;

/** A key for a token's header; undefined: none is trusted. */
export type KeyFinder = (header: TokenHeader) => Promise<VerifyKey | undefined>;

export interface TokenHeader {
  readonly alg?: string;
  readonly kid?: string;
  readonly x5c?: readonly string[];
}

export type VerifyKey = CryptoKey;

export interface TokenKeys {
  /** Changes with the keys. */
  readonly version: number;
  readonly find: KeyFinder;
}

export interface BearerOptions {
  readonly keys: TokenKeys;
  readonly issuer: string;
  readonly service: string;
  readonly algorithms: readonly string[];
  readonly clock: Clock;
}

export interface BearerClaims {
  /** "" for nobody. */
  readonly subject: string;
  /** Of the robot token that it was issued for, by our own issuer. */
  readonly robotId: string | null;
  readonly access: ClaimedAccess;
}

export class BearerTokens {
  readonly #options: BearerOptions;
  readonly #known = new RecentVerdicts<BearerClaims | null>((claims) => claims === null);
  #version = -1;

  constructor(options: BearerOptions) {
    this.#options = options;
  }

  /** Null: not valid here and now. */
  async read(token: string): Promise<BearerClaims | null> {
    const { keys, clock } = this.#options;
    const { version } = keys;
    if (version !== this.#version) {
      this.#version = version;
      this.#known.clear();
    }
    const key = this.#known.keyOf(token);
    const known = this.#known.get(key, clock.now());
    if (known !== undefined) return known;
    const { claims, untilMs } = await this.#verify(token);
    if (version === keys.version) this.#known.add(key, claims, untilMs);
    return claims;
  }

  async #verify(token: string): Promise<{ claims: BearerClaims | null; untilMs: number }> {
    const { keys, issuer, service, algorithms, clock } = this.#options;
    const nowMs = clock.now();
    const { jwtVerify, errors } = await import("jose");
    try {
      const { payload } = await jwtVerify(
        token,
        async (header) => {
          const key = await keys.find(header);
          if (key === undefined) throw new errors.JWKSNoMatchingKey();
          return key;
        },
        {
          issuer,
          audience: service,
          algorithms: [...algorithms],
          clockTolerance: leewaySeconds,
          currentDate: new Date(nowMs),
          requiredClaims: ["exp"],
        },
      );
      const { robot, access, exp = 0 } = payload;
      const sub: unknown = payload.sub ?? "";
      if (typeof sub !== "string") throw new errors.JWTInvalid("sub is no text");
      const claims: BearerClaims = {
        subject: sub,
        robotId: typeof robot === "string" ? robot : null,
        access: new ClaimedAccess(access),
      };
      return { claims, untilMs: exp * 1_000 + leewayMs };
    } catch {
      // Whatever is wrong with it: the client is told that it is invalid, and gets itself another one.
      return { claims: null, untilMs: nowMs + refusedForMs };
    }
  }
}
