// The effective configuration as YAML, in the classic's key names, so that it can be read back as a
// config.yml (the secret aside, which is masked). Shows defaults as if they had been written.
import { stringify } from "yaml";
import type { Config, EndpointConfig, GcConfig, HealthConfig, HttpCheckConfig } from "./config.ts";
import type { HttpConfig } from "./config.ts";
import type { LoadLineConfig, RetentionRuleConfig, StorageConfig } from "./config.ts";
import type { TcpCheckConfig } from "./config.ts";
import { accessToClassic } from "./render-access.ts";
import { formatByteSize } from "./byte-size.ts";
import { formatGoDuration } from "./go-duration.ts";
import { limitsToClassic } from "./limits-section.ts";
import { formatLongDuration } from "./long-duration.ts";
import { formatListenAddress } from "./listen-address.ts";
import { isSecretKey, mask, maskPassword } from "./secrets.ts";
import { formatDailyWindow } from "./time-window.ts";
import { tlsToClassic } from "./tls-section.ts";
import { formatTrustedProxies } from "./trusted-proxies.ts";

/** Every text value under a key that names a secret is masked, also in `log.fields` and `http.headers`. */
export function renderConfig(config: Config): string {
  return stringify(masked(toClassic(config, hiding)), { indent: 2, lineWidth: 0 });
}

/** The same with its secrets, to compare one with another. Never print or log it. */
export function configTree(config: Config): Readonly<Record<string, unknown>> {
  return toClassic(config, { headers: (headers) => headers, uri: (uri) => uri });
}

/** What of what is sent to somebody else's server is shown. */
interface Shown {
  headers(headers: Readonly<Record<string, readonly string[]>>): object;
  uri(uri: string): string;
}

function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      // A section of its own is not one secret, but may hold some: auth.htpasswd, auth.token.
      isSecretKey(key) && inner !== "" && !isSection(inner) && !isKeyFile(key, value)
        ? mask
        : masked(inner),
    ]),
  );
}

/** Read back, a path counts up to its last slash. */
function hostToClassic(host: string | null): string {
  if (host === null) return "";
  return URL.parse(host)?.pathname === "/" ? host : `${host}/`;
}

/** Of `http.tls` it is a path, beside that of the certificate. */
function isKeyFile(key: string, section: object): boolean {
  return key === "key" && "certificate" in section;
}

function isSection(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function toClassic(config: Config, shown: Shown): Record<string, unknown> {
  const { log, http, health, validation } = config;
  const { scrub } = config.verify;
  return {
    version: 0.1,
    log: {
      level: log.level,
      formatter: log.formatter,
      fields: log.fields,
      accesslog: { disabled: log.accessLog.disabled },
    },
    storage: storageToClassic(config.storage),
    http: httpToClassic(http),
    health: healthToClassic(health, shown),
    catalog: { maxentries: config.catalog.maxEntries },
    tags: { maxtags: config.tags.maxTags },
    validation: {
      disabled: !validation.enabled,
      manifests: {
        urls: {
          allow: validation.manifests.urls.allow.map(goForm),
          deny: validation.manifests.urls.deny.map(goForm),
        },
        indexes: {
          platforms: validation.manifests.indexes.platforms,
          platformlist: validation.manifests.indexes.platformList,
        },
      },
    },
    index: { path: config.index.path ?? "", exclusive: config.index.exclusive },
    gc: gcToClassic(config.gc),
    verify: {
      scrub: {
        enabled: scrub.enabled,
        interval: formatGoDuration(scrub.intervalMs),
        rate: formatByteSize(scrub.rateBytes),
      },
    },
    notifications: notificationsToClassic(config.notifications, shown),
    immutable: config.immutable.map(({ name, repositories, tags }) => ({
      name,
      repositories: repositories.patterns,
      tags: tags.patterns,
    })),
    quotas: config.quotas.map(({ name, repositories, limits, contact }) => ({
      name,
      repositories: repositories.patterns,
      ...limits,
      ...(limits.bytes === undefined ? {} : { bytes: formatByteSize(limits.bytes) }),
      ...(contact === null ? {} : { contact }),
    })),
    retention: config.retention.map(ruleToClassic),
    ...accessToClassic(config),
  };
}

function httpToClassic(http: HttpConfig): Record<string, unknown> {
  return {
    addr: formatListenAddress(http.listen),
    net: http.listen.kind,
    prefix: http.prefix,
    host: hostToClassic(http.host),
    relativeurls: http.relativeUrls,
    secret: http.secret ?? "",
    headers: http.headers,
    trustedproxies: formatTrustedProxies(http.trustedProxies),
    draintimeout: formatGoDuration(http.drainTimeoutMs),
    debug: {
      addr: http.debug.listen === null ? "" : formatListenAddress(http.debug.listen),
      prometheus: http.debug.prometheus,
    },
    limits: limitsToClassic(http.limits),
    api: http.api,
    ...tlsToClassic(http.tls),
  };
}

/** What was not given is left out: an empty list of globs would be refused. */
function ruleToClassic(rule: RetentionRuleConfig): Record<string, unknown> {
  const { newest, pushedWithinMs, pulledWithinMs, matching } = rule.keep;
  const keep = {
    ...(newest === null ? {} : { newest }),
    ...(pushedWithinMs === null ? {} : { pushedwithin: formatLongDuration(pushedWithinMs) }),
    ...(pulledWithinMs === null ? {} : { pulledwithin: formatLongDuration(pulledWithinMs) }),
    ...(matching === null ? {} : { matching: matching.patterns }),
  };
  const olderThanMs = rule.untaggedOlderThanMs;
  return {
    name: rule.name,
    repositories: rule.repositories.patterns,
    ...(rule.tags === null ? {} : { tags: rule.tags.patterns }),
    ...(Object.keys(keep).length === 0 ? {} : { keep }),
    ...(olderThanMs === null ? {} : { untagged: { olderthan: formatLongDuration(olderThanMs) } }),
    interval: formatLongDuration(rule.intervalMs),
    onpressure: rule.onPressure,
    allowempty: rule.allowEmpty,
  };
}

/** `source` escapes every slash, which nobody writes in YAML. */
function goForm(pattern: RegExp): string {
  return `${pattern.flags === "" ? "" : `(?${pattern.flags})`}${pattern.source.replaceAll("\\/", "/")}`;
}

function gcToClassic(gc: GcConfig): Record<string, unknown> {
  return {
    enabled: gc.enabled,
    interval: formatGoDuration(gc.intervalMs),
    grace: formatGoDuration(gc.graceMs),
    keepdeleted: formatGoDuration(gc.keepDeletedMs),
    untagged: {
      delete: gc.untagged.delete,
      olderthan: formatGoDuration(gc.untagged.olderThanMs),
    },
    window: gc.window === null ? "" : formatDailyWindow(gc.window),
    timezone: gc.timeZone,
    maxduration: formatGoDuration(gc.durationMsMax),
    maxrate: gc.blobsPerSecondMax,
  };
}

function healthToClassic({ storageDriver, files, http, tcp }: HealthConfig, shown: Shown): object {
  const tried = (check: TcpCheckConfig | HttpCheckConfig) => ({
    timeout: formatGoDuration(check.timeoutMs),
    interval: formatGoDuration(check.intervalMs),
    threshold: check.threshold,
  });
  return {
    storagedriver: {
      enabled: storageDriver.enabled,
      interval: formatGoDuration(storageDriver.intervalMs),
      threshold: storageDriver.threshold,
    },
    file: files.map(({ file, intervalMs }) => ({ file, interval: formatGoDuration(intervalMs) })),
    http: http.map((check) => ({
      uri: shown.uri(check.uri),
      headers: shown.headers(check.headers),
      statuscode: check.statusCode,
      ...tried(check),
    })),
    tcp: tcp.map((check) => ({ addr: check.addr, ...tried(check) })),
  };
}

function notificationsToClassic(endpoints: readonly EndpointConfig[], shown: Shown): object {
  return {
    events: { includereferences: endpoints.some((one) => one.includesReferences) },
    endpoints: endpoints.map((endpoint) => endpointToClassic(endpoint, shown)),
  };
}

function endpointToClassic(endpoint: EndpointConfig, shown: Shown): object {
  return {
    name: endpoint.name,
    url: shown.uri(endpoint.url),
    headers: shown.headers(endpoint.headers),
    timeout: formatGoDuration(endpoint.timeoutMs),
    threshold: endpoint.threshold,
    backoff: formatGoDuration(endpoint.backoffMs),
    ignore: { mediatypes: endpoint.ignoredMediaTypes, actions: endpoint.ignoredActions },
    include: { actions: endpoint.includedActions },
    mediatype: endpoint.mediaType,
  };
}

/** Sent to somebody else's server: any of them may be what it knows us by. */
function maskedHeaders(headers: Readonly<Record<string, readonly string[]>>): object {
  return Object.fromEntries(
    Object.entries(headers).map(([name, values]) => [name, values.map(() => mask)]),
  );
}

const hiding: Shown = { headers: maskedHeaders, uri: maskPassword };

function loadLineToClassic({ watermark, sizeBytesMax }: LoadLineConfig): Record<string, unknown> {
  return {
    watermark: {
      warn: `${watermark.warnPercent}%`,
      collect: `${watermark.collectPercent}%`,
      refuse: `${watermark.refusePercent}%`,
    },
    ...(sizeBytesMax === null ? {} : { maxsize: formatByteSize(sizeBytesMax) }),
  };
}

function storageToClassic(storage: StorageConfig): Record<string, unknown> {
  const { readOnly, uploadPurging } = storage.maintenance;
  const { driver } = storage;
  return {
    ...(driver.kind === "filesystem"
      ? { filesystem: { rootdirectory: driver.rootDirectory } }
      : { inmemory: {} }),
    ...(storage.loadLine === null ? {} : loadLineToClassic(storage.loadLine)),
    delete: { enabled: storage.delete.enabled },
    maintenance: {
      readonly: { enabled: readOnly.enabled },
      uploadpurging: {
        enabled: uploadPurging.enabled,
        age: formatGoDuration(uploadPurging.ageMs),
        interval: formatGoDuration(uploadPurging.intervalMs),
        dryrun: uploadPurging.dryRun,
      },
    },
  };
}
