// Every default of the configuration, in one place, each with its source.
// Classic: docs/content/about/configuration.md of distribution 3.x unless another is named.
import { manifestBoundsMax, manifestBytesMax } from "../oci/index.ts";
import type {
  ClientLimitsConfig,
  Config,
  GcConfig,
  HttpConfig,
  IndexConfig,
  LetsEncryptConfig,
  LimitsConfig,
  LogConfig,
  TlsConfig,
} from "./config.ts";
import type { ScrubConfig, StorageHealthConfig, UploadPurgingConfig } from "./config.ts";
import type { ValidationConfig, WatermarkConfig } from "./config.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 3_600 * second;

const log: LogConfig = {
  level: "info",
  formatter: "text",
  fields: {},
  accessLog: { disabled: false },
};

const unlimited: ClientLimitsConfig = {
  requests: null,
  uploadsMax: null,
  receiveBytesPerSecond: null,
  sendBytesPerSecond: null,
};

// Our own, for a LAN of 200 machines: what honest clients do in a hurry is never refused, and 200 machines
// that pull at once may well have one address (NAT); what no client does, and ties the registry up, is cut off.
const clientLimits: LimitsConfig = {
  address: unlimited,
  user: unlimited,
  // A program with an old password notices; a password of six letters lasts for centuries.
  logins: { failuresMax: 20, windowMs: 5 * minute },
  // Longer than a client pauses within a push.
  idleMs: 3 * minute,
  // A tenth of a modem. Long enough for a network that is switched over, or a laptop's nap.
  slow: { bytesPerSecondMin: 1_000, graceMs: 5 * minute },
  blobBytesMax: null,
  // The specification's and the classic's.
  manifestBytesMax,
  ...manifestBoundsMax,
  // Images for platforms are one, bundles of such two; each further one is work for whoever walks over them.
  indexLevelsMax: 8,
  tagParametersMax: 100,
  // What broken pushes leave open expires after a week (storage.maintenance.uploadpurging).
  sessionsMax: 10_000,
};

const tls: Pick<TlsConfig, "clientAuth" | "minimumVersion" | "cipherSuites"> = {
  clientAuth: "require-and-verify-client-cert",
  minimumVersion: "tls1.2",
  cipherSuites: [
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_256_GCM_SHA384",
  ],
};

const letsEncrypt: Pick<LetsEncryptConfig, "directoryUrl" | "challengeListen"> = {
  // That of Go's autocert, which the classic asks.
  directoryUrl: "https://acme-v02.api.letsencrypt.org/directory",
  // Where every CA asks (RFC 8555, 8.3).
  challengeListen: { kind: "tcp", hostname: null, port: 80 },
};

const http: Omit<HttpConfig, "tls"> & {
  readonly tls: typeof tls;
  readonly letsEncrypt: typeof letsEncrypt;
} = {
  tls,
  letsEncrypt,
  // The classic has none and takes a random port; every example says 5000.
  listen: { kind: "tcp", hostname: null, port: 5000 },
  prefix: "/",
  host: null,
  relativeUrls: false,
  secret: null,
  headers: {},
  // Ours; the classic believes everybody. What runs on the same machine is usually a proxy.
  trustedProxies: {
    unix: true,
    networks: [
      { address: "127.0.0.0", bits: 8 },
      { address: "::1", bits: 128 },
    ],
  },
  // The classic's 0 drops requests at once. Half of the time that `docker stop` gives by default.
  drainTimeoutMs: 5 * second,
  debug: { listen: null, prometheus: { enabled: false, path: "/metrics" } },
  // Who reaches /v2/ can see everything there, and delete it where that is enabled; what can be begun besides
  // is what the server does by itself. Where it goes further: docs/api.md.
  api: { enabled: true },
  limits: clientLimits,
};

const uploadPurging: UploadPurgingConfig = {
  enabled: true,
  ageMs: 168 * hour,
  intervalMs: 24 * hour,
  dryRun: false,
};

const storageHealth: StorageHealthConfig = {
  enabled: false,
  intervalMs: 10 * second,
  threshold: 0,
};

const validation: ValidationConfig = {
  enabled: true,
  manifests: { urls: { allow: [], deny: [] }, indexes: { platforms: "all", platformList: [] } },
};

const index: IndexConfig = { path: null, exclusive: false };

// Our own section: the reasons are ours.
const gc: GcConfig = {
  // What nobody has to think of is what gets done.
  enabled: true,
  // A look when nothing is due is one question to the index; what falls due is looked at then anyway.
  intervalMs: 10 * minute,
  // Design §1, INV-5: longer than a client pauses between the parts of one push.
  graceMs: 1 * hour,
  // Over night: whoever deleted the wrong image yesterday notices today.
  keepDeletedMs: 24 * hour,
  // Off, as in the classic. Children of images deployed by digest have no tag either.
  untagged: {
    delete: false,
    // As long as a deletion can be undone: what lost its tag by mistake is noticed as late.
    olderThanMs: 24 * hour,
  },
  // Pushes do not feel a background run, so any time will do.
  window: null,
  timeZone: "UTC",
  // It gives way to whoever asks for more, and rests while it works.
  durationMsMax: 0,
  blobsPerSecondMax: 0,
};

// Off: a program that replaces another one does not begin, unasked, to read terabytes of a disk that may be
// metered, asleep or behind a network; and file systems with checksums do this themselves. The rate is a
// tenth of what one old disk gives; at it, 30 days are enough for 50 TB.
const scrub: ScrubConfig = { enabled: false, intervalMs: 30 * 24 * hour, rateBytes: 20_000_000 };

// Our own. Only in effect once `storage.watermark` or `storage.maxsize` is given: a program that replaces
// another one does not begin, unasked, to refuse pushes on a disk that has been 96% full for years.
const watermark: WatermarkConfig = { warnPercent: 80, collectPercent: 90, refusePercent: 95 };
// Once a day: what a rule keeps or not changes by days. Nothing is removed for space, and no repository
// emptied, that nobody has asked for.
const retention = { intervalMs: 24 * hour, onPressure: false, allowEmpty: false } as const;
const auth = {
  // Ours. What clients and tokens call this registry; nobody has to type it.
  issuer: {
    service: "plimsoll",
    issuer: "plimsoll",
    // Long enough for a layer after the other; clients ask again by themselves.
    expirationMs: 5 * minute,
  },
  token: { autoRedirect: false, autoRedirectPath: "/auth/token" },
} as const;

const storage = {
  watermark,
  rootDirectory: "/var/lib/registry",
  deleteEnabled: false,
  readOnlyEnabled: false,
  uploadPurging,
} as const;

const limits: Pick<Config, "catalog" | "tags"> = {
  catalog: { maxEntries: 1000 },
  tags: { maxTags: 1000 },
};

/** Of the classic's notifications/endpoint.go; the first media type is that of 3.x, the other that of 2.x. */
const notifications = {
  endpoint: {
    timeoutMs: 1 * second,
    threshold: 10,
    backoffMs: 1 * second,
    mediaTypes: [
      "application/vnd.docker.distribution.events.v2+json",
      "application/vnd.docker.distribution.events.v1+json",
    ],
  },
} as const;

export const defaults = {
  log,
  storage,
  http,
  storageHealth,
  validation,
  index,
  gc,
  scrub,
  notifications,
  retention,
  auth,
  ...limits,
} as const;
