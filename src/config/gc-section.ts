// `gc`: the collector that runs in the background, and how long things are kept.
import { z } from "zod";
import type { GcConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { parseDailyWindow, parseTimeZone } from "./time-window.ts";
import { duration, flag, interval, natural, scalar } from "./value-schemas.ts";

const window = scalar("a daily window such as 01:00-05:00 or 22:30-04:00", (text) =>
  text === "" ? null : (parseDailyWindow(text) ?? undefined),
);

const timeZone = scalar("the name of a time zone such as UTC or Europe/Berlin", (text) =>
  text === "" ? undefined : parseTimeZone(text),
);

const { gc } = defaults;

export const gcSection = z
  .strictObject({
    enabled: flag.default(gc.enabled),
    interval: interval.default(gc.intervalMs),
    grace: duration.default(gc.graceMs),
    keepdeleted: duration.default(gc.keepDeletedMs),
    untagged: z
      .strictObject({
        delete: flag.default(gc.untagged.delete),
        olderthan: duration.default(gc.untagged.olderThanMs),
      })
      .prefault({}),
    window: window.default(gc.window),
    timezone: timeZone.default(gc.timeZone),
    maxduration: duration.default(gc.durationMsMax),
    maxrate: natural.default(gc.blobsPerSecondMax),
  })
  .prefault({})
  .transform((raw): GcConfig => ({
    enabled: raw.enabled,
    intervalMs: raw.interval,
    graceMs: raw.grace,
    keepDeletedMs: raw.keepdeleted,
    untagged: { delete: raw.untagged.delete, olderThanMs: raw.untagged.olderthan },
    window: raw.window,
    timeZone: raw.timezone,
    durationMsMax: raw.maxduration,
    blobsPerSecondMax: raw.maxrate,
  }));
