// The small sections: catalog, tags, validation; and, of our own, index and verify.
import { z } from "zod";
import type { Config, IndexConfig, ValidationConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { byteRate, flag, interval, oneOf } from "./value-schemas.ts";
import { positiveOr, regExp, text } from "./value-schemas.ts";

export const catalogSection = z
  .strictObject({ maxentries: positiveOr(defaults.catalog.maxEntries) })
  .prefault({})
  .transform((raw): Config["catalog"] => ({ maxEntries: raw.maxentries }));

export const tagsSection = z
  .strictObject({ maxtags: positiveOr(defaults.tags.maxTags) })
  .prefault({})
  .transform((raw): Config["tags"] => ({ maxTags: raw.maxtags }));

const { urls: urlDefaults, indexes: indexDefaults } = defaults.validation.manifests;

const platform = z.strictObject({
  architecture: text,
  os: text,
  variant: text.default(""),
});

const manifestValidation = z.strictObject({
  urls: z
    .strictObject({
      allow: z.array(regExp).default([...urlDefaults.allow]),
      deny: z.array(regExp).default([...urlDefaults.deny]),
    })
    .prefault({}),
  indexes: z
    .strictObject({
      platforms: oneOf("all", "none", "list").default(indexDefaults.platforms),
      platformlist: z.array(platform).default([...indexDefaults.platformList]),
    })
    .prefault({}),
});

export const validationSection = z
  .strictObject({
    enabled: flag.optional(),
    disabled: flag.optional(),
    manifests: manifestValidation.prefault({}),
  })
  .prefault({})
  .transform(({ enabled, disabled, manifests }): ValidationConfig => ({
    // The classic's deprecated `enabled` wins over `disabled`; its absence says nothing.
    enabled: enabled === true || disabled !== true,
    manifests: {
      urls: manifests.urls,
      indexes: {
        platforms: manifests.indexes.platforms,
        platformList: manifests.indexes.platformlist,
      },
    },
  }));

export const indexSection = z
  .strictObject({
    path: text.optional(),
    exclusive: flag.default(defaults.index.exclusive),
  })
  .prefault({})
  .transform((raw): IndexConfig => ({
    path: raw.path === undefined || raw.path === "" ? defaults.index.path : raw.path,
    exclusive: raw.exclusive,
  }));

export const verifySection = z
  .strictObject({
    scrub: z
      .strictObject({
        enabled: flag.default(defaults.scrub.enabled),
        interval: interval.default(defaults.scrub.intervalMs),
        rate: byteRate.default(defaults.scrub.rateBytes),
      })
      .prefault({}),
  })
  .prefault({})
  .transform(({ scrub }): Config["verify"] => ({
    scrub: { enabled: scrub.enabled, intervalMs: scrub.interval, rateBytes: scrub.rate },
  }));
