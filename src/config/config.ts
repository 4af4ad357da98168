// What the configuration says once it is read: every key that the registry honours, every default
// filled in, units in the names. Keys that are accepted without effect do not appear here;
// docs/configuration.md lists them.
import type { NameGlobs } from "../oci/index.ts";
import type { ListenAddress } from "./listen-address.ts";
import type { DailyWindow } from "./time-window.ts";
import type { TrustedProxies } from "./trusted-proxies.ts";

export type LogLevel = "panic" | "fatal" | "error" | "warn" | "info" | "debug" | "trace";
export type LogFormatter = "text" | "json" | "logstash";

export interface LogConfig {
  readonly level: LogLevel;
  readonly formatter: LogFormatter;
  /** Added to every line. */
  readonly fields: Readonly<Record<string, string>>;
  readonly accessLog: { readonly disabled: boolean };
}

export type StorageDriverConfig =
  { readonly kind: "filesystem"; readonly rootDirectory: string } | { readonly kind: "inmemory" };

export interface UploadPurgingConfig {
  readonly enabled: boolean;
  readonly ageMs: number;
  /** More than 0. */
  readonly intervalMs: number;
  readonly dryRun: boolean;
}

/** Of what can be used, in percent; each at most the next. */
export interface WatermarkConfig {
  readonly warnPercent: number;
  readonly collectPercent: number;
  readonly refusePercent: number;
}

export interface LoadLineConfig {
  readonly watermark: WatermarkConfig;
  /** Of blobs and uploads; null: what counts is how full the file system is. */
  readonly sizeBytesMax: number | null;
}

export interface StorageConfig {
  /** Null: how full it gets is not watched. */
  readonly loadLine: LoadLineConfig | null;
  readonly driver: StorageDriverConfig;
  readonly delete: { readonly enabled: boolean };
  readonly maintenance: {
    readonly readOnly: { readonly enabled: boolean };
    readonly uploadPurging: UploadPurgingConfig;
  };
}

/** Null: as much as it likes. */
export interface ClientLimitsConfig {
  /** More than 0, both. */
  readonly requests: { readonly perSecond: number; readonly burst: number } | null;
  readonly uploadsMax: number | null;
  readonly receiveBytesPerSecond: number | null;
  readonly sendBytesPerSecond: number | null;
}

export interface LimitsConfig {
  readonly address: ClientLimitsConfig;
  readonly user: ClientLimitsConfig;
  /** `failuresMax` 0: any number. */
  readonly logins: { readonly failuresMax: number; readonly windowMs: number };
  /** Of a connection between two requests, at most 255 s; 0: for ever. */
  readonly idleMs: number;
  /** Of bodies. Without a least rate, only of silence. */
  readonly slow: { readonly bytesPerSecondMin: number | null; readonly graceMs: number };
  readonly blobBytesMax: number | null;
  readonly manifestBytesMax: number;
  readonly referencesMax: number;
  /** Of the JSON of a manifest. */
  readonly nestingMax: number;
  /** Of indexes in indexes. */
  readonly indexLevelsMax: number | null;
  readonly tagParametersMax: number;
  /** Open uploads of one repository. */
  readonly sessionsMax: number | null;
}

/** A CA that is asked to certify the hosts (ACME). */
export interface LetsEncryptConfig {
  /** What it gives is kept there; the classic's key for it is `cachefile`. */
  readonly cacheDirectory: string;
  /** Where the CA may write to; "" when it is to know none. */
  readonly email: string;
  /** At least one, in lower case; one certificate for all. */
  readonly hosts: readonly string[];
  readonly directoryUrl: string;
  /** Our own: where the CA asks whether a host is ours, over HTTP. */
  readonly challengeListen: ListenAddress;
}

/** Files are named, not read. */
export interface TlsConfig {
  /** "", as `key`, where `letsEncrypt` gives them. */
  readonly certificate: string;
  readonly key: string;
  readonly letsEncrypt: LetsEncryptConfig | null;
  /** Empty: clients are not asked for a certificate. */
  readonly clientCas: readonly string[];
  /** Of no effect without `clientCas`. */
  readonly clientAuth: "require-and-verify-client-cert" | "request-client-cert";
  readonly minimumVersion: "tls1.0" | "tls1.1" | "tls1.2" | "tls1.3";
  /** In Go's names, the best first. */
  readonly cipherSuites: readonly string[];
}

export interface HttpConfig {
  readonly listen: ListenAddress;
  /** Null: what is said is not encrypted. */
  readonly tls: TlsConfig | null;
  /** Before `v2/`: begins and ends with "/"; "/" for none. */
  readonly prefix: string;
  /** What the URLs in answers begin with, without a slash at the end; null: what the request says. */
  readonly host: string | null;
  readonly relativeUrls: boolean;
  /** Signs upload states; null: not given. Never log it. */
  readonly secret: string | null;
  /** Added to every response. Names and values are valid in HTTP. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Our own: who may say for whom it asks. */
  readonly trustedProxies: TrustedProxies;
  /** How long a stop waits for requests that are under way. */
  readonly drainTimeoutMs: number;
  readonly debug: {
    readonly listen: ListenAddress | null;
    readonly prometheus: { readonly enabled: boolean; readonly path: string };
  };
  /** Our own. */
  readonly limits: LimitsConfig;
  /** Our own: the JSON API under `api/v1/`. */
  readonly api: { readonly enabled: boolean };
}

export interface StorageHealthConfig {
  readonly enabled: boolean;
  /** More than 0. */
  readonly intervalMs: number;
  /** Failures in a row that make it unhealthy; 0 counts as 1. */
  readonly threshold: number;
}

/** Unhealthy while there is such a file: how one takes a registry out of rotation. */
export interface FileCheckConfig {
  readonly file: string;
  /** More than 0, as below. */
  readonly intervalMs: number;
}

export interface HttpCheckConfig {
  readonly uri: string;
  /** Never log them. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly statusCode: number;
  /** Of one try, at most the interval; more than 0. */
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** Failures in a row that make it unhealthy; 0 counts as 1. */
  readonly threshold: number;
}

export interface TcpCheckConfig {
  /** Host and port. */
  readonly addr: string;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly threshold: number;
}

export interface HealthConfig {
  readonly storageDriver: StorageHealthConfig;
  readonly files: readonly FileCheckConfig[];
  readonly http: readonly HttpCheckConfig[];
  readonly tcp: readonly TcpCheckConfig[];
}

export interface PlatformConfig {
  readonly architecture: string;
  readonly os: string;
  /** "" matches every variant. */
  readonly variant: string;
}

export interface ValidationConfig {
  /** False: manifests' URLs and an index's children are not checked. */
  readonly enabled: boolean;
  readonly manifests: {
    /** A URL must match one of `allow` (if any) and none of `deny`; both empty: any (ADR 5). */
    readonly urls: { readonly allow: readonly RegExp[]; readonly deny: readonly RegExp[] };
    readonly indexes: {
      /** Which children of an index must be there: all, none, or those of `platformList`. */
      readonly platforms: "all" | "none" | "list";
      readonly platformList: readonly PlatformConfig[];
    };
  };
}

export interface IndexConfig {
  /** Of the database; null: `plimsoll/index.db` under the root directory. */
  readonly path: string | null;
  /** Nobody else writes to the root, so the comparison at the start is skipped (INV-8). */
  readonly exclusive: boolean;
}

export interface GcConfig {
  /** Whether the server collects by itself; not in read-only mode. */
  readonly enabled: boolean;
  /** Between two looks of the background collector; more than 0. */
  readonly intervalMs: number;
  /** How long a lease protects what no manifest refers to yet (INV-5). */
  readonly graceMs: number;
  /** How long a client's deletion can be undone; 0: not at all. */
  readonly keepDeletedMs: number;
  /** Whether the background collector removes untagged manifests, and how long without a tag. */
  readonly untagged: { readonly delete: boolean; readonly olderThanMs: number };
  /** When the background collector may work, by the clock of `timeZone`; null: always. */
  readonly window: DailyWindow | null;
  /** An IANA name. */
  readonly timeZone: string;
  /** Of one background run; 0: no limit. */
  readonly durationMsMax: number;
  /** Blobs that a background run unlinks a second; 0: no limit of its own. */
  readonly blobsPerSecondMax: number;
}

export type EventAction = "push" | "pull" | "mount" | "delete" | "restore" | "collect" | "retain";

/** Somebody who is told of what happens. */
export interface EndpointConfig {
  /** Its place in the queue is kept under it. */
  readonly name: string;
  readonly url: string;
  /** Never log them. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly timeoutMs: number;
  /** Failures in a row before it is left alone for a while; more than 0. */
  readonly threshold: number;
  /** That while, at first; more than 0. */
  readonly backoffMs: number;
  readonly ignoredMediaTypes: readonly string[];
  readonly ignoredActions: readonly EventAction[];
  /** Of this registry alone: sent only to who asks for them. */
  readonly includedActions: readonly ("restore" | "collect" | "retain")[];
  /** `notifications.events.includereferences`, of all endpoints. */
  readonly includesReferences: boolean;
  /** Of the envelope. */
  readonly mediaType: string;
}

/** Reads every byte in the background, again and again, and takes altered blobs out of service. */
export interface ScrubConfig {
  readonly enabled: boolean;
  /** From the start of one round to the start of the next; more than 0. */
  readonly intervalMs: number;
  /** A second, at most; more than 0. */
  readonly rateBytes: number;
}

/** Tags that clients can neither move nor delete. */
export interface ImmutableConfig {
  readonly name: string;
  readonly repositories: NameGlobs;
  readonly tags: NameGlobs;
}

/** For each matching repository by itself. */
export interface QuotaConfig {
  readonly name: string;
  readonly repositories: NameGlobs;
  /** Only those that are there; at least one is. */
  readonly limits: {
    readonly bytes?: number;
    readonly manifests?: number;
    readonly tags?: number;
  };
  /** Named to whom it stops; null: nobody. */
  readonly contact: string | null;
}

/** A rule by which tags and untagged manifests are removed. */
export interface RetentionRuleConfig {
  /** No other rule has it. */
  readonly name: string;
  readonly repositories: NameGlobs;
  /** Null: it judges no tags, only untagged manifests. */
  readonly tags: NameGlobs | null;
  /** What any of these keeps, stays; null: not given. */
  readonly keep: {
    /** From 1 on. */
    readonly newest: number | null;
    readonly pushedWithinMs: number | null;
    readonly pulledWithinMs: number | null;
    readonly matching: NameGlobs | null;
  };
  /** Null: untagged manifests are left alone. */
  readonly untaggedOlderThanMs: number | null;
  /** More than 0. */
  readonly intervalMs: number;
  readonly onPressure: boolean;
  readonly allowEmpty: boolean;
}

export interface IssuerConfig {
  /** As clients reach it; null: where they reach the registry. */
  readonly realm: string | null;
  readonly service: string;
  readonly issuer: string;
  /** How long a token lives; at least a minute, at most a day. */
  readonly expirationMs: number;
}

/** Who may come in. `none`: everybody may do everything. */
export type AuthConfig =
  | { readonly kind: "none" }
  | {
      readonly kind: "htpasswd";
      readonly realm: string;
      readonly path: string;
      /** Null: no tokens of our own. */
      readonly issuer: IssuerConfig | null;
    }
  | {
      readonly kind: "token";
      readonly realm: string;
      readonly service: string;
      readonly issuer: string;
      readonly rootCertBundle: string | null;
      readonly jwks: string | null;
      readonly signingAlgorithms: readonly string[];
      /** The realm is at this path of where clients reach the registry; null: it is `realm`. */
      readonly autoRedirectPath: string | null;
    };

export interface AccessRuleConfig {
  /** Globs; empty for rules that only make admins. */
  readonly repositories: readonly string[];
  /** Names, `group:<name>`, `*`. */
  readonly users: readonly string[];
  readonly actions: readonly ("pull" | "push" | "delete" | "admin")[];
}

export interface AccessConfig {
  readonly rules: readonly AccessRuleConfig[];
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

export interface Config {
  readonly log: LogConfig;
  readonly storage: StorageConfig;
  readonly http: HttpConfig;
  readonly health: HealthConfig;
  readonly catalog: { readonly maxEntries: number };
  readonly tags: { readonly maxTags: number };
  readonly validation: ValidationConfig;
  readonly index: IndexConfig;
  readonly gc: GcConfig;
  readonly verify: { readonly scrub: ScrubConfig };
  readonly immutable: readonly ImmutableConfig[];
  readonly quotas: readonly QuotaConfig[];
  /** The first one that matches a tag judges it. */
  readonly retention: readonly RetentionRuleConfig[];
  /** Endpoints that are not disabled, by different names. */
  readonly notifications: readonly EndpointConfig[];
  readonly auth: AuthConfig;
  /** Null: whoever is logged in may do everything. */
  readonly access: AccessConfig | null;
}
