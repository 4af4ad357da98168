// What somebody who is known may do: by the access rules, by a robot token's own rights, or, where there
// are no rules, everything once logged in, as in the classic registry.
import type { NameGlobs, RepositoryName } from "../oci/index.ts";
import type {
  AccessAction,
  Grant,
  NamesSeen,
  RepositoryAction,
  Wanted,
} from "../registry/ports/access.ts";
import { type AccessRules, joinSeen, namesSeen } from "./rules.ts";

export interface Robot {
  readonly kind: "robot";
  readonly user: string;
  readonly tokenId: string;
  readonly repositories: NameGlobs;
  readonly actions: ReadonlySet<AccessAction>;
}

export type Principal =
  | { readonly kind: "anonymous"; readonly user: null }
  | { readonly kind: "user"; readonly user: string }
  | Robot;

export const anonymous: Principal = { kind: "anonymous", user: null };

export class Policy {
  readonly #rules: AccessRules | null;

  /** @param rules null: there are none, and whoever is logged in may do everything. */
  constructor(rules: AccessRules | null) {
    this.#rules = rules;
  }

  may(principal: Principal, action: RepositoryAction, repository: RepositoryName): boolean {
    if (
      principal.kind === "robot" &&
      principal.actions.has(action) &&
      principal.repositories.matches(repository)
    ) {
      return true;
    }
    if (this.#rules === null) return principal.kind === "user";
    // A robot is no user, but what everybody may do, it may too.
    const user = principal.kind === "user" ? principal.user : null;
    return this.#rules.find(user, action, repository) !== null;
  }

  isAdmin(principal: Principal): boolean {
    if (principal.kind === "robot") return principal.actions.has("admin");
    if (this.#rules === null) return principal.kind === "user";
    return this.#rules.find(principal.user, "admin", null) !== null;
  }

  /** Null: every repository. */
  seenBy(principal: Principal): NamesSeen | null {
    if (principal.kind !== "robot") {
      if (this.#rules === null) return principal.kind === "user" ? null : nothing;
      return this.#rules.seenBy(principal.user);
    }
    const own = principal.actions.has("pull") ? namesSeen([principal.repositories]) : nothing;
    return this.#rules === null ? own : joinSeen(own, this.#rules.seenBy(null));
  }

  grants(principal: Principal, wanted: Wanted): boolean {
    if (wanted.kind === "repository") {
      const { repository } = wanted;
      return wanted.actions.every((action) => this.may(principal, action, repository));
    }
    if (wanted.kind === "admin") return this.isAdmin(principal);
    // Whoever is logged in may ask for the list; it shows what they may pull.
    return principal.kind !== "anonymous" || this.seenBy(principal)?.prefixes.length !== 0;
  }

  grantOf(principal: Principal): Grant {
    const admin = (): boolean => this.isAdmin(principal);
    const seen = (): NamesSeen | null => this.seenBy(principal);
    return {
      user: principal.user,
      may: (action, repository) => this.may(principal, action, repository),
      // Asked for by few requests, so worked out when it is.
      get isAdmin() {
        return admin();
      },
      get seen() {
        return seen();
      },
    };
  }
}

const nothing: NamesSeen = { prefixes: [], matches: () => false };
