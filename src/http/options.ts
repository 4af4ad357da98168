// What the HTTP side needs to know of the configuration, as plain values. compose/config-mapping.ts maps `Config`
// to it. Never read from the environment or a file here.

/** Where to listen. `hostname` null: all interfaces; `port` 0: any free one. */
export type ListenOn =
  | { readonly kind: "tcp"; readonly hostname: string | null; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Whose X-Forwarded-For and X-Real-Ip count: connections from these, and those through unix sockets. */
export interface TrustedProxies {
  readonly unix: boolean;
  /** Networks by an address in them and the leading bits that count. */
  readonly networks: readonly { readonly address: string; readonly bits: number }[];
}

/**
 * How long a request body may be silent before its connection counts as dead. The slowest honest
 * client sends something in this time; without a bound, one that vanished without a word would hold
 * its upload for ever, and its own next attempt would wait for it.
 */
export const bodySilenceMs = 15 * 60 * 1000;

export interface HttpOptions {
  /** `http.addr` and `http.net`. */
  readonly listen: ListenOn;
  /** `http.prefix`: begins and ends with "/"; "/" for none. */
  readonly prefix: string;
  /**
   * `http.host`: the address under which clients reach the registry, e.g. "https://r.example.com".
   */
  readonly host: string | null;
  /** `http.relativeurls`. */
  readonly relativeUrls: boolean;
  /**
   * `http.secret`: signs `_state` in upload locations. Null: locations carry no `_state` and none
   * is checked, so that an upload outlives a restart; never a random secret, which would not.
   */
  readonly secret: string | null;
  /** `http.headers`: on every response. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** `http.trustedproxies`. */
  readonly trustedProxies: TrustedProxies;
  /** `http.draintimeout`: how long a stop waits for requests under way; 0: not at all. */
  readonly drainTimeoutMs: number;
  /** Usually `bodySilenceMs`. */
  readonly bodySilenceMs: number;
  /** `storage.delete.enabled`. */
  readonly deleteEnabled: boolean;
  /** `storage.maintenance.readonly.enabled`. */
  readonly readOnly: boolean;
  /** `catalog.maxentries`. */
  readonly catalogEntriesMax: number;
  /** `tags.maxtags`: most tags in one page of a list that is asked for in pages. */
  readonly tagsMax: number;
}
