// Access by tokens of a token server: the Docker token protocol, as the classic registry speaks it. The
// token server decides; here only what it has signed counts.
import type {
  AccessController,
  Challenge,
  Credentials,
  Decision,
  Wanted,
} from "../registry/ports/access.ts";
import type { BearerTokens } from "./bearer-tokens.ts";
import { scopesOf, scopeText } from "./scopes.ts";

export interface TokenAccessParts {
  readonly tokens: BearerTokens;
  /** Null: at `path` of where the client reached the registry (`autoredirect`). */
  readonly realm: string | null;
  readonly path: string;
  readonly service: string;
}

export class TokenAccess implements AccessController {
  readonly passwordRealm = null;
  readonly #parts: TokenAccessParts;

  constructor(parts: TokenAccessParts) {
    this.#parts = parts;
  }

  async decide(credentials: Credentials, wanted: readonly Wanted[]): Promise<Decision> {
    if (credentials.kind !== "bearer") return this.#challenge(wanted, null);
    const claims = await this.#parts.tokens.read(credentials.token);
    if (claims === null) return this.#challenge(wanted, "invalid_token");
    const { access, subject } = claims;
    const needed = wanted.filter((one) => one.kind !== "repository" || one.isOptional !== true);
    if (!needed.every((one) => access.grants(one))) {
      return this.#challenge(wanted, "insufficient_scope");
    }
    return {
      kind: "granted",
      grant: {
        user: subject === "" ? null : subject,
        may: (action, repository) => access.may(action, repository),
        isAdmin: access.isAdmin,
        // Who may list may list all: the protocol has no finer right.
        seen: null,
      },
    };
  }

  #challenge(
    wanted: readonly Wanted[],
    error: "invalid_token" | "insufficient_scope" | null,
  ): Decision {
    const { realm, path, service } = this.#parts;
    const scope = scopeText(scopesOf(wanted));
    const challenge: Challenge = { scheme: "bearer", realm, path, service, scope, error };
    return { kind: "challenge", challenge };
  }
}
