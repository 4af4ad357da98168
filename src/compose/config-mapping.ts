// What the rooms want to know of the configuration, in their own terms. What can change while the registry
// runs (config/reloading.ts) is read anew whenever it is asked for.
import type { Config } from "../config/index.ts";
import type { ScheduleOptions } from "../gc/index.ts";
import { bodySilenceMs, type HttpOptions, type LimitsOptions } from "../http/index.ts";
import type { ContentBounds } from "../registry/content-limits.ts";
import { Bounds } from "../registry/bounds.ts";
import type { ManifestValidation, ServiceOptions } from "../registry/services.ts";

export function manifestValidation(config: Config): ManifestValidation {
  const { enabled, manifests } = config.validation;
  const { urls, indexes } = manifests;
  if (!enabled) return { urlsAllow: null, urlsDeny: [], indexChildren: "none" };
  return {
    urlsAllow: urls.allow.length === 0 ? null : urls.allow,
    urlsDeny: urls.deny,
    indexChildren:
      indexes.platforms === "list"
        ? indexes.platformList.map(({ os, architecture, variant }) => ({
            os,
            architecture,
            ...(variant === "" ? {} : { variant }),
          }))
        : indexes.platforms,
  };
}

export function serviceOptions(config: Config): ServiceOptions {
  const { storage } = config;
  return {
    deleteEnabled: storage.delete.enabled,
    get graceMs() {
      return config.gc.graceMs;
    },
    get keepDeletedMs() {
      return config.gc.keepDeletedMs;
    },
    readOnly: storage.maintenance.readOnly.enabled,
    get validation() {
      return manifestValidation(config);
    },
  };
}

export function boundsOf(config: Config): Bounds {
  return new Bounds({
    get immutable() {
      return config.immutable;
    },
    get quotas() {
      return config.quotas;
    },
  });
}

/** Null: the server does not collect by itself. */
export function scheduleOptions(config: Config): ScheduleOptions | null {
  const { gc, storage } = config;
  if (!gc.enabled || storage.maintenance.readOnly.enabled) return null;
  return {
    intervalMs: gc.intervalMs,
    window: gc.window,
    timeZone: gc.timeZone,
    durationMsMax: gc.durationMsMax,
    blobsPerSecondMax: gc.blobsPerSecondMax,
    untagged: gc.untagged,
    keepDeletedMs: gc.keepDeletedMs,
    foreignGraceMs: gc.graceMs,
    uploadAgeMs: uploadAgeMs(config),
  };
}

/** Null: abandoned uploads are left alone. */
export function uploadAgeMs({ storage }: Config): number | null {
  const { enabled, dryRun, ageMs } = storage.maintenance.uploadPurging;
  return enabled && !dryRun ? ageMs : null;
}

export function httpOptions(config: Config): HttpOptions {
  const { http, storage } = config;
  return {
    listen: http.listen,
    prefix: http.prefix,
    host: http.host,
    relativeUrls: http.relativeUrls,
    secret: http.secret,
    headers: http.headers,
    trustedProxies: http.trustedProxies,
    drainTimeoutMs: http.drainTimeoutMs,
    bodySilenceMs,
    deleteEnabled: storage.delete.enabled,
    readOnly: storage.maintenance.readOnly.enabled,
    get catalogEntriesMax() {
      return config.catalog.maxEntries;
    },
    get tagsMax() {
      return config.tags.maxTags;
    },
  };
}

export function limitsOptions({ http }: Config): LimitsOptions {
  const { limits } = http;
  const { logins, slow } = limits;
  return {
    address: limits.address,
    user: limits.user,
    logins: logins.failuresMax === 0 ? null : logins,
    // Whoever sends nothing at all is given up in any case.
    slow: { bytesPerSecondMin: slow.bytesPerSecondMin ?? 1, graceMs: slow.graceMs },
    idleMs: limits.idleMs,
    manifestBytesMax: limits.manifestBytesMax,
    tagParametersMax: limits.tagParametersMax,
  };
}

export function contentBounds({ http }: Config): ContentBounds {
  const { limits } = http;
  const { blobBytesMax, manifestBytesMax, referencesMax, nestingMax } = limits;
  const { indexLevelsMax, sessionsMax } = limits;
  const manifest = { referencesMax, nestingMax };
  return { blobBytesMax, manifestBytesMax, manifest, indexLevelsMax, sessionsMax };
}
