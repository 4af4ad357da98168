// The registry's own issuer: gives whoever has a password, or none, a short-lived token for what they
// may do of what they ask for. What it does not grant it leaves out, as the protocol wants: the registry
// then says what is missing. Source: distribution, "Token Authentication Specification".
import { isRepositoryName } from "../oci/index.ts";
import type {
  RepositoryAction,
  TokenAnswer,
  TokenIssuer,
  TokenRequest,
} from "../registry/ports/access.ts";
import type { Clock } from "../registry/ports/clock.ts";
import { issuerAlgorithm, type IssuerKeys } from "./issuer-keys.ts";
import type { Logins } from "./password-access.ts";
import { anonymous, type Policy, type Principal } from "./policy.ts";
import { parseScopes, type Scope, scopeText } from "./scopes.ts";

export interface OwnIssuerParts {
  readonly logins: Logins;
  readonly policy: Policy;
  readonly keys: IssuerKeys;
  readonly clock: Clock;
  readonly path: string;
  /** For clients that come without a password that is right. */
  readonly basicRealm: string;
  readonly issuer: string;
  readonly service: string;
  readonly lifeMs: number;
}

const repositoryActions: readonly RepositoryAction[] = ["pull", "push", "delete"];

export class OwnIssuer implements TokenIssuer {
  readonly #parts: OwnIssuerParts;

  constructor(parts: OwnIssuerParts) {
    this.#parts = parts;
  }

  get path(): string {
    return this.#parts.path;
  }

  async issue({ credentials, scopes }: TokenRequest): Promise<TokenAnswer> {
    const { basicRealm, logins } = this.#parts;
    let principal: Principal | null = anonymous;
    if (credentials.kind === "basic") {
      principal = await logins.find(credentials.user, credentials.password);
    }
    if (credentials.kind === "bearer" || principal === null) {
      return { kind: "challenge", realm: basicRealm };
    }
    const granted = parseScopes(scopes).flatMap((scope) => this.#granted(principal, scope));
    return await this.#sign(principal, granted);
  }

  #granted(principal: Principal, scope: Scope): readonly Scope[] {
    const { policy } = this.#parts;
    const { type, name, actions } = scope;
    if (type === "repository" && isRepositoryName(name)) {
      const asked = actions.includes("*") ? repositoryActions : actions;
      const may = repositoryActions.filter(
        (action) => asked.includes(action) && policy.may(principal, action, name),
      );
      return may.length === 0 ? [] : [{ type, name, actions: may }];
    }
    const isAll = type === "registry" && actions.includes("*");
    if (!isAll || (name !== "catalog" && name !== "admin")) return [];
    return policy.grants(principal, { kind: name }) ? [{ type, name, actions: ["*"] }] : [];
  }

  async #sign(principal: Principal, access: readonly Scope[]): Promise<TokenAnswer> {
    const { keys, clock, issuer, service, lifeMs } = this.#parts;
    const { SignJWT } = await import("jose");
    const { kid, key } = await keys.signing();
    const issuedAtMs = clock.now();
    const issuedAt = Math.floor(issuedAtMs / 1_000);
    const robot = principal.kind === "robot" ? { robot: principal.tokenId } : {};
    const token = await new SignJWT({ access, ...robot })
      .setProtectedHeader({ alg: issuerAlgorithm, kid, typ: "JWT" })
      .setIssuer(issuer)
      .setAudience(service)
      .setSubject(principal.user ?? "")
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(issuedAt + Math.floor(lifeMs / 1_000))
      .setJti(crypto.randomUUID())
      .sign(key);
    return {
      kind: "token",
      token,
      scope: scopeText(access),
      expiresInSeconds: Math.floor(lifeMs / 1_000),
      issuedAtMs,
    };
  }
}
