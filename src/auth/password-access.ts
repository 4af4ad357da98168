// Access by passwords: htpasswd users and robot tokens, and, where the registry issues tokens itself,
// those tokens too. What may be done is the policy's to say, now, whatever a token once said: a token
// only narrows it.
import type {
  AccessController,
  Challenge,
  Credentials,
  Decision,
  Grant,
  Wanted,
} from "../registry/ports/access.ts";
import type { BearerTokens } from "./bearer-tokens.ts";
import type { HashSource, Passwords } from "./passwords.ts";
import { anonymous, type Policy, type Principal } from "./policy.ts";
import type { RobotTokens } from "./robot-tokens.ts";
import { type ClaimedAccess, scopesOf, scopeText } from "./scopes.ts";

/** Finds out who sends a user's name and a password. */
export class Logins {
  readonly #parts: {
    readonly passwords: Passwords;
    readonly users: HashSource;
    readonly robots: RobotTokens;
  };

  constructor(parts: {
    readonly passwords: Passwords;
    readonly users: HashSource;
    readonly robots: RobotTokens;
  }) {
    this.#parts = parts;
  }

  /** Null: nobody with these credentials. @throws UnavailableError */
  async find(user: string, password: string): Promise<Principal | null> {
    const { passwords, robots } = this.#parts;
    const robot = await robots.find(user, password);
    if (robot !== null) return robot;
    return (await passwords.areRight(user, password)) ? { kind: "user", user } : null;
  }

  /** Whether the password was right when it was last looked at, not long ago. */
  knows(user: string, password: string): boolean {
    return this.#parts.passwords.isKnown(user, password);
  }

  /** Whom a token of ours was given to, if they still exist. */
  async again(user: string, robotId: string | null): Promise<Principal | null> {
    if (user === "") return anonymous;
    const { users, robots } = this.#parts;
    if (robotId === null) return users.hashes.has(user) ? { kind: "user", user } : null;
    return await robots.findById(robotId);
  }
}

/** How the registry's own tokens are asked for; null: it issues none. */
export interface OwnTokens {
  readonly tokens: BearerTokens;
  /** Of the issuer as clients reach it; null: where they reach the registry. */
  readonly realm: string | null;
  readonly path: string;
  readonly service: string;
}

export interface PasswordAccessParts {
  readonly logins: Logins;
  readonly policy: Policy;
  readonly realm: string;
  readonly own: OwnTokens | null;
}

interface Known {
  readonly principal: Principal;
  /** What a token narrows it to; null: nothing does. */
  readonly claimed: ClaimedAccess | null;
}

export class PasswordAccess implements AccessController {
  readonly #parts: PasswordAccessParts;

  constructor(parts: PasswordAccessParts) {
    this.#parts = parts;
  }

  get passwordRealm(): string {
    return this.#parts.realm;
  }

  async decide(credentials: Credentials, wanted: readonly Wanted[]): Promise<Decision> {
    const known = await this.#identify(credentials);
    if (known === null) {
      const isToken = credentials.kind === "bearer" && this.#parts.own !== null;
      return this.#challenge(wanted, isToken ? "invalid_token" : null);
    }
    const { principal, claimed } = known;
    // Whoever only says hello is asked who they are: clients log in there.
    if (wanted.length === 0 && credentials.kind === "none") return this.#challenge(wanted, null);
    const needed = wanted.filter((one) => one.kind !== "repository" || one.isOptional !== true);
    if (!needed.every((one) => this.#parts.policy.grants(principal, one))) {
      if (principal.user !== null) return { kind: "denied", user: principal.user };
      return this.#challenge(wanted, claimed === null ? null : "insufficient_scope");
    }
    if (claimed !== null && !needed.every((one) => claimed.grants(one))) {
      return this.#challenge(wanted, "insufficient_scope");
    }
    const grant = this.#parts.policy.grantOf(principal);
    return { kind: "granted", grant: claimed === null ? grant : narrowed(grant, claimed) };
  }

  knows({ user, password }: Extract<Credentials, { kind: "basic" }>): boolean {
    return this.#parts.logins.knows(user, password);
  }

  async #identify(credentials: Credentials): Promise<Known | null> {
    const { logins, own } = this.#parts;
    if (credentials.kind === "none") return { principal: anonymous, claimed: null };
    if (credentials.kind === "basic") {
      const principal = await logins.find(credentials.user, credentials.password);
      return principal === null ? null : { principal, claimed: null };
    }
    const claims = (await own?.tokens.read(credentials.token)) ?? null;
    if (claims === null) return null;
    const principal = await logins.again(claims.subject, claims.robotId);
    return principal === null ? null : { principal, claimed: claims.access };
  }

  #challenge(
    wanted: readonly Wanted[],
    error: "invalid_token" | "insufficient_scope" | null,
  ): Decision {
    const { own, realm } = this.#parts;
    const challenge: Challenge =
      own === null
        ? { scheme: "basic", realm }
        : {
            scheme: "bearer",
            realm: own.realm,
            path: own.path,
            service: own.service,
            scope: scopeText(scopesOf(wanted)),
            error,
          };
    return { kind: "challenge", challenge };
  }
}

function narrowed(grant: Grant, claimed: ClaimedAccess): Grant {
  return {
    user: grant.user,
    may: (action, repository) => claimed.may(action, repository) && grant.may(action, repository),
    get isAdmin() {
      return claimed.isAdmin && grant.isAdmin;
    },
    get seen() {
      return grant.seen;
    },
  };
}
