// Every default of the configuration, in one place, each with its source.
// Classic: docs/content/about/configuration.md of distribution 3.x unless another is named.
import type { Config, GcConfig, HttpConfig, IndexConfig, LogConfig } from "./config.ts";
import type { StorageHealthConfig, UploadPurgingConfig, ValidationConfig } from "./config.ts";

const second = 1_000;
const hour = 3_600 * second;

const log: LogConfig = {
  level: "info",
  formatter: "text",
  fields: {},
  accessLog: { disabled: false },
};

const http: HttpConfig = {
  // The classic has none and takes a random port; every example says 5000.
  listen: { kind: "tcp", hostname: null, port: 5000 },
  prefix: "/",
  host: null,
  relativeUrls: false,
  secret: null,
  headers: {},
  // The classic's 0 drops requests at once. Half of the time that `docker stop` gives by default.
  drainTimeoutMs: 5 * second,
  debug: { listen: null },
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

// Design §1, INV-5: longer than a client pauses between the parts of one push.
const gc: GcConfig = { graceMs: 1 * hour };

const storage = {
  rootDirectory: "/var/lib/registry",
  deleteEnabled: false,
  readOnlyEnabled: false,
  uploadPurging,
} as const;

const limits: Pick<Config, "catalog" | "tags"> = {
  catalog: { maxEntries: 1000 },
  tags: { maxTags: 1000 },
};

export const defaults = {
  log,
  storage,
  http,
  storageHealth,
  validation,
  index,
  gc,
  ...limits,
} as const;
