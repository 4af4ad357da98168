// `log` and the deprecated `loglevel`.
import { z } from "zod";
import type { LogConfig, LogLevel } from "./config.ts";
import { defaults } from "./defaults.ts";
import { isAllDisabled, notBuilt } from "./not-built.ts";
import { flag, healingIssue, oneOf, scalar } from "./value-schemas.ts";

/** The classic takes the first four; its log library knows the others. */
const levels = ["error", "warn", "info", "debug", "trace", "fatal", "panic"] as const;

export const logLevel = scalar(`one of ${levels.join(", ")}`, (value): LogLevel | undefined => {
  const word = value.toLowerCase();
  return word === "warning" ? "warn" : levels.find((level) => level === word);
});

const reportCaller = flag.superRefine((value, context) => {
  if (!value) return;
  const warning = "has no effect: log lines do not name the code that wrote them";
  context.addIssue(healingIssue(value, { warning, readAs: "false" }));
});

/** Nested values are possible in the classic; here they are kept as one line of JSON. */
const fieldValue = z.unknown().transform((raw): string => {
  if (raw === undefined) return "";
  return typeof raw === "string" ? raw : JSON.stringify(raw);
});

/** The level is null where it is not given: `loglevel` may say it. */
export const logSection = z
  .strictObject({
    level: logLevel.optional(),
    formatter: oneOf("text", "json", "logstash").default(defaults.log.formatter),
    fields: z.record(z.string(), fieldValue).default(defaults.log.fields),
    accesslog: z
      .strictObject({ disabled: flag.default(defaults.log.accessLog.disabled) })
      .prefault({}),
    hooks: notBuilt("log.hooks", isAllDisabled),
    reportcaller: reportCaller.optional(),
  })
  .prefault({})
  .transform((raw): Omit<LogConfig, "level"> & { readonly level: LogLevel | null } => ({
    level: raw.level ?? null,
    formatter: raw.formatter,
    fields: raw.fields,
    accessLog: { disabled: raw.accesslog.disabled },
  }));
