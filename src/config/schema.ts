// The whole configuration: every key that is known, in the classic's names, and what becomes of it.
// Unknown keys are issues here (`unrecognized_keys`); load.ts makes warnings of them.
import { z } from "zod";
import { immutableSection, quotasSection } from "./bounds-sections.ts";
import type { Config } from "./config.ts";
import { defaults } from "./defaults.ts";
import { accessSection, authSection, checkAccess, groupsSection } from "./access-section.ts";
import { gcSection } from "./gc-section.ts";
import { healthSection } from "./health-section.ts";
import { httpSection } from "./http-section.ts";
import { logLevel, logSection } from "./log-section.ts";
import { notificationsSection } from "./notifications-section.ts";
import { isAllDisabled, isEmpty, isNotEnabled, lacks, notBuilt } from "./not-built.ts";
import {
  catalogSection,
  indexSection,
  tagsSection,
  validationSection,
  verifySection,
} from "./other-sections.ts";
import { emptyMap, isRawMap } from "./raw-tree.ts";
import type { RawValue } from "./raw-tree.ts";
import { retentionSection } from "./retention-section.ts";
import { storageSection } from "./storage-section.ts";
import { scalar } from "./value-schemas.ts";

const version = scalar("0.1, the only version there is", (value) =>
  value === "0.1" ? value : undefined,
);

/** Each is switched on by keys of its own; without them the classic, too, leaves it alone. */
const unbuiltSections = {
  middleware: notBuilt("middleware", isAllDisabled),
  redis: notBuilt("redis", lacks("addr", "addrs")),
  proxy: notBuilt("proxy (pull-through cache)", lacks("remoteurl")),
  reporting: notBuilt("reporting", isSilentReporting),
  policy: notBuilt("policy"),
  compatibility: notBuilt("compatibility.schema1 (serving converted schema 1 manifests)", (raw) =>
    isRawMap(raw) ? isNotEnabled(raw["schema1"]) : isEmpty(raw),
  ),
};

export const configSchema = z
  .strictObject({
    version,
    log: logSection,
    loglevel: logLevel.optional(),
    storage: storageSection,
    http: httpSection,
    health: healthSection,
    catalog: catalogSection,
    tags: tagsSection,
    validation: validationSection,
    index: indexSection,
    gc: gcSection,
    verify: verifySection,
    notifications: notificationsSection,
    immutable: immutableSection,
    quotas: quotasSection,
    retention: retentionSection,
    auth: authSection,
    access: accessSection,
    groups: groupsSection,
    ...unbuiltSections,
  })
  .superRefine(checkAccess)
  .transform((raw): Config => ({
    log: { ...raw.log, level: raw.log.level ?? raw.loglevel ?? defaults.log.level },
    storage: raw.storage,
    http: raw.http,
    health: raw.health,
    catalog: raw.catalog,
    tags: raw.tags,
    validation: raw.validation,
    index: raw.index,
    gc: raw.gc,
    verify: raw.verify,
    notifications: raw.notifications,
    immutable: raw.immutable,
    quotas: raw.quotas,
    retention: raw.retention,
    auth: raw.auth,
    access: raw.access === undefined ? null : { rules: raw.access, groups: raw.groups },
  }));

function isSilentReporting(raw: RawValue): boolean {
  if (!isRawMap(raw)) return isEmpty(raw);
  const { bugsnag, newrelic } = { ...emptyMap(), ...raw };
  return lacks("apikey")(bugsnag) && lacks("licensekey")(newrelic);
}
