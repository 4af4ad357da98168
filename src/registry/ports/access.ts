// The port to access control: who asks, and what they may do. http/ asks before anything else is looked
// up, so that an answer never tells whether something exists that the caller may not see. Implemented in
// auth/. How to use it: docs/access.md.
import type { RepositoryName } from "../../oci/index.ts";

/** `admin`: the API, collection, retention; not about one repository. */
export type AccessAction = "pull" | "push" | "delete" | "admin";
export type RepositoryAction = Exclude<AccessAction, "admin">;

/** What a request needs. Nothing wanted at all: it is enough to be known. */
export type Wanted =
  | {
      readonly kind: "repository";
      readonly repository: RepositoryName;
      readonly actions: readonly RepositoryAction[];
      /** The request can be answered without it, only with less: a mount becomes an upload. */
      readonly isOptional?: true;
    }
  | { readonly kind: "catalog" }
  | { readonly kind: "admin" };

/** What came with the request, as text; nothing of it is believed yet. */
export type Credentials =
  | { readonly kind: "none" }
  | { readonly kind: "basic"; readonly user: string; readonly password: string }
  | { readonly kind: "bearer"; readonly token: string };

/** What whoever asks may do: valid for this request only. */
export interface Grant {
  /** Null: not logged in. */
  readonly user: string | null;
  may(action: RepositoryAction, repository: RepositoryName): boolean;
  readonly isAdmin: boolean;
  /** Which repositories lists show; null: all. */
  readonly seen: NamesSeen | null;
}

export interface NamesSeen {
  /** Every name that is seen begins with one of these; sorted, none the beginning of another. */
  readonly prefixes: readonly string[];
  matches(repository: RepositoryName): boolean;
}

/** How to become known. Sources: RFC 7617; the Docker token protocol. */
export type Challenge =
  | { readonly scheme: "basic"; readonly realm: string }
  | {
      readonly scheme: "bearer";
      /** A URL; null: the registry's own issuer, at this path of where the client reached it. */
      readonly realm: string | null;
      readonly path: string;
      readonly service: string;
      /** What to ask a token for; "" for nothing. */
      readonly scope: string;
      readonly error: "invalid_token" | "insufficient_scope" | null;
    };

export type Decision =
  | { readonly kind: "granted"; readonly grant: Grant }
  /** Not known, or not with these credentials. */
  | { readonly kind: "challenge"; readonly challenge: Challenge }
  /** Known, and may not: other credentials of the same caller would not help. */
  | { readonly kind: "denied"; readonly user: string };

export interface AccessController {
  /** Where passwords are taken, too, whatever `decide` asks for; null: they are not. */
  readonly passwordRealm: string | null;
  /** @throws UnavailableError when too many passwords are being checked. */
  decide(credentials: Credentials, wanted: readonly Wanted[]): Promise<Decision>;
  /** Whether the password was right a moment ago. Costs next to nothing; absent: it cannot tell. */
  knows?(credentials: Extract<Credentials, { kind: "basic" }>): boolean;
}

/** Who asks for a token, and what for. */
export interface TokenRequest {
  readonly credentials: Credentials;
  readonly scopes: readonly string[];
}

export type TokenAnswer =
  | {
      readonly kind: "token";
      readonly token: string;
      /** What was granted, in the form of a scope. */
      readonly scope: string;
      readonly expiresInSeconds: number;
      readonly issuedAtMs: number;
    }
  | { readonly kind: "challenge"; readonly realm: string };

/** The registry's own issuer of tokens. */
export interface TokenIssuer {
  readonly path: string;
  /** @throws UnavailableError when too many passwords are being checked. */
  issue(request: TokenRequest): Promise<TokenAnswer>;
}
