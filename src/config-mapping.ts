// What the rooms want to know of the configuration, in their own terms.
import type { Config } from "./config/index.ts";
import { bodySilenceMs, type HttpOptions } from "./http/index.ts";
import type { ManifestValidation } from "./registry/services.ts";

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

export function httpOptions(config: Config): HttpOptions {
  const { http, storage } = config;
  return {
    listen: http.listen,
    prefix: http.prefix,
    host: http.host,
    relativeUrls: http.relativeUrls,
    secret: http.secret,
    headers: http.headers,
    drainTimeoutMs: http.drainTimeoutMs,
    bodySilenceMs,
    deleteEnabled: storage.delete.enabled,
    readOnly: storage.maintenance.readOnly.enabled,
    catalogEntriesMax: config.catalog.maxEntries,
    tagsMax: config.tags.maxTags,
  };
}
