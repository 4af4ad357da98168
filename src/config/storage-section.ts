// `storage`: exactly one driver, and beside it what is said about storage in general.
import { z } from "zod";
import type { StorageConfig, StorageDriverConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { loadLineOf, sizeMax, watermark } from "./load-line-keys.ts";
import { notBuiltIssue } from "./not-built.ts";
import { emptyMap, isRawMap } from "./raw-tree.ts";
import type { RawMap } from "./raw-tree.ts";
import {
  duration,
  flag,
  healingIssue,
  ignored,
  integer,
  interval,
  scalar,
} from "./value-schemas.ts";
import type { IssueHints } from "./value-schemas.ts";

/** Keys of `storage` that are not drivers. */
const generalKeys = new Set([
  "cache",
  "delete",
  "maintenance",
  "maxsize",
  "redirect",
  "tag",
  "watermark",
]);
const builtDrivers = new Set(["filesystem", "inmemory"]);
/** Drivers of the classic, 2.x and 3.x, other names for the same driver included. */
const unbuiltDrivers = new Set(["s3", "s3aws", "s3goamz", "gcs", "azure", "swift", "oss", "rados"]);

const directory = scalar("the path of a directory", (value) => (value === "" ? undefined : value));

const filesystem = z.strictObject({
  rootdirectory: directory.default(defaults.storage.rootDirectory),
  maxthreads: integer.optional(),
});

const cacheKind = z
  .unknown()
  .superRefine((raw, context) => {
    if (raw === "inmemory" || raw === "") return;
    if (raw === "redis") {
      context.addIssue(notBuiltIssue("the redis cache of blob descriptors", raw));
      return;
    }
    const warning = "is not a known kind of cache and is ignored; known are inmemory and redis";
    context.addIssue(healingIssue(raw, { warning, readAs: undefined }));
  })
  .optional();

const purging = defaults.storage.uploadPurging;

const maintenance = z.strictObject({
  readonly: z
    .strictObject({ enabled: flag.default(defaults.storage.readOnlyEnabled) })
    .prefault({}),
  uploadpurging: z
    .strictObject({
      enabled: flag.default(purging.enabled),
      age: duration.default(purging.ageMs),
      interval: interval.default(purging.intervalMs),
      dryrun: flag.default(purging.dryRun),
    })
    .prefault({}),
});

const sections = z
  .strictObject({
    filesystem: filesystem.optional(),
    // The classic's driver takes any parameters and uses none.
    inmemory: z.record(z.string(), z.unknown()).optional(),
    cache: z
      .strictObject({
        blobdescriptor: cacheKind,
        layerinfo: cacheKind,
        blobdescriptorsize: ignored,
      })
      .optional(),
    delete: z.strictObject({ enabled: flag.default(defaults.storage.deleteEnabled) }).prefault({}),
    maintenance: maintenance.prefault({}),
    maxsize: sizeMax.optional(),
    watermark: watermark.optional(),
    redirect: z.strictObject({ disable: flag.optional() }).optional(),
    tag: z.strictObject({ concurrencylimit: integer.optional() }).optional(),
  })
  .superRefine((raw, context) => {
    if (raw.filesystem !== undefined || raw.watermark === undefined) return;
    if (raw.maxsize !== undefined) return;
    const message =
      "storage in memory has no file system: give storage.maxsize, which the watermark is then of";
    context.addIssue({ ...sentence(raw.watermark, message), path: ["watermark"] });
  })
  .transform((raw): StorageConfig => {
    const { uploadpurging, readonly } = raw.maintenance;
    const driver: StorageDriverConfig =
      raw.filesystem === undefined
        ? { kind: "inmemory" }
        : { kind: "filesystem", rootDirectory: raw.filesystem.rootdirectory };
    return {
      driver,
      loadLine: loadLineOf(raw),
      delete: raw.delete,
      maintenance: {
        readOnly: readonly,
        uploadPurging: {
          enabled: uploadpurging.enabled,
          ageMs: uploadpurging.age,
          intervalMs: uploadpurging.interval,
          dryRun: uploadpurging.dryrun,
        },
      },
    };
  });

/** Checks the drivers first, so that the sections see one that is built, with at least no parameters. */
export const storageSection = z.preprocess((raw, context): RawMap => {
  const map = readShorthand(raw);
  const drivers = map === null ? [] : Object.keys(map).filter((key) => !generalKeys.has(key));
  if (map === null || drivers.length === 0) {
    const message = "a storage driver is missing: give storage.filesystem.rootdirectory";
    context.issues.push(sentence(raw, message));
    return emptyMap();
  }
  if (drivers.length > 1) context.issues.push(sentence(raw, severalDrivers(map, drivers)));
  for (const driver of drivers) {
    if (unbuiltDrivers.has(driver)) {
      const issue = notBuiltIssue(`the storage driver ${driver}`, map[driver]);
      context.issues.push({ ...issue, path: [driver] });
    } else if (!builtDrivers.has(driver) && drivers.length === 1) {
      const message = `there is no storage driver "${driver}"; use filesystem or inmemory`;
      context.issues.push({ ...sentence(map[driver], message), path: [driver] });
    }
  }
  return withParameters(map, drivers);
}, sections);

/** `storage: inmemory` stands for `storage: {inmemory: {}}`. */
function readShorthand(raw: unknown): RawMap | null {
  if (typeof raw === "string" && raw !== "") return Object.assign(emptyMap(), { [raw]: undefined });
  return isRawMap(raw) ? raw : null;
}

function withParameters(map: RawMap, drivers: readonly string[]): RawMap {
  const result = Object.assign(emptyMap(), map);
  for (const driver of drivers) result[driver] ??= emptyMap();
  return result;
}

function severalDrivers(map: RawMap, drivers: readonly string[]): string {
  const message = `exactly one storage driver is expected, found ${drivers.join(" and ")}`;
  const slipped = drivers.find(
    (driver) => !builtDrivers.has(driver) && !unbuiltDrivers.has(driver),
  );
  const empty = drivers.find((driver) => map[driver] === undefined && driver !== slipped);
  if (slipped === undefined || empty === undefined) return message;
  return `${message}; was ${slipped} meant to be indented below ${empty}?`;
}

function sentence(input: unknown, message: string) {
  const params: IssueHints = { sentence: true };
  return { code: "custom" as const, input, message, params };
}
