// What every handler is given: the surroundings that all requests share, and the one request.
import type { AccessController, Grant, TokenIssuer } from "../registry/ports/access.ts";
import type { Caller } from "../registry/ports/index.ts";
import type { Registry } from "../registry/registry.ts";
import type { Connection } from "./connection.ts";
import type { Limits, Visitor } from "./limits/limits.ts";
import type { Locations } from "./locations.ts";
import type { HttpOptions } from "./options.ts";
import type { Reply } from "./reply.ts";
import type { Turnstile } from "./turnstile.ts";
import type { UploadState } from "./upload-state.ts";

export interface Env {
  readonly registry: Registry;
  readonly options: HttpOptions;
  readonly locations: Locations;
  readonly uploadState: UploadState;
  /** Told of bytes that arrive in bodies. */
  readonly received: (bytes: number) => void;
  /** Null: everybody may do everything. May change between two requests: asked for once in each. */
  readonly access: Access | null;
  readonly limits: Limits;
  /** Where lists wait that may walk over all repositories. */
  readonly walks: Turnstile;
}

export interface Access {
  readonly controller: AccessController;
  /** Null: the registry issues no tokens itself. */
  readonly issuer: TokenIssuer | null;
}

export interface Call {
  readonly request: Request;
  readonly path: string;
  readonly query: string;
  /** Who asks, for leases (INV-5): the user, or else the address. */
  readonly caller: Caller;
  /** Where the request comes from, for the audit, whoever is logged in: the client's address. */
  readonly from: string;
  /** What whoever asks may do; null: everything. */
  readonly grant: Grant | null;
  /** What whoever asks uses; null: nobody counts it. */
  readonly visitor: Visitor | null;
  readonly connection: Connection;
}

export type Method = "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE";

export type Handle<R> = (env: Env, call: Call, route: R) => Reply | Promise<Reply>;

/** Methods of one endpoint. Those in `deletes` need `storage.delete.enabled`. */
export interface Endpoint<R> {
  readonly methods: { readonly [M in Method]?: Handle<R> };
  readonly deletes?: true;
}
