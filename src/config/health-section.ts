// `health`: what is looked at again and again, and makes the registry answer 503 while it fails.
import { z } from "zod";
import type { HealthConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { duration, flag, natural, scalar, sentHeaders, serverUrl } from "./value-schemas.ts";

/** As the classic does, 0 takes the default. */
const checkInterval = duration
  .transform((ms) => (ms > 0 ? ms : defaults.storageHealth.intervalMs))
  .default(defaults.storageHealth.intervalMs);

const filePath = scalar("the path of a file", (value) => (value === "" ? undefined : value));

const uri = serverUrl("http://127.0.0.1:8080/health");

const statusCode = scalar("an HTTP status such as 200", (value) => {
  if (value === "0") return defaultStatus;
  return /^[1-5]\d\d$/.test(value) ? Number(value) : undefined;
});
const defaultStatus = 200;

const hostAndPort = scalar("host:port, such as db.example.com:5432", (value) => {
  const port = Number(/^(?:[^\s:[\]/]+|\[[\da-fA-F:.]+\]):(\d{1,5})$/.exec(value)?.[1]);
  return port >= 1 && port <= 65_535 ? value : undefined;
});

const timeout = duration.default(0);
const threshold = natural.default(defaults.storageHealth.threshold);

/** The classic waits for ever when none is given; here a try is over when the next one begins. */
function timeoutWithin(timeoutMs: number, intervalMs: number): number {
  return timeoutMs > 0 ? Math.min(timeoutMs, intervalMs) : intervalMs;
}

const fileCheck = z
  .strictObject({ file: filePath, interval: checkInterval })
  .transform(({ file, interval }) => ({ file, intervalMs: interval }));

const httpCheck = z
  .strictObject({
    uri,
    headers: sentHeaders.default({}),
    statuscode: statusCode.default(defaultStatus),
    timeout,
    interval: checkInterval,
    threshold,
  })
  .transform((raw) => ({
    uri: raw.uri,
    headers: raw.headers,
    statusCode: raw.statuscode,
    timeoutMs: timeoutWithin(raw.timeout, raw.interval),
    intervalMs: raw.interval,
    threshold: raw.threshold,
  }));

const tcpCheck = z
  .strictObject({ addr: hostAndPort, timeout, interval: checkInterval, threshold })
  .transform((raw) => ({
    addr: raw.addr,
    timeoutMs: timeoutWithin(raw.timeout, raw.interval),
    intervalMs: raw.interval,
    threshold: raw.threshold,
  }));

export const healthSection = z
  .strictObject({
    storagedriver: z
      .strictObject({
        enabled: flag.default(defaults.storageHealth.enabled),
        interval: checkInterval,
        threshold,
      })
      .prefault({}),
    file: z.array(fileCheck).default([]),
    http: z.array(httpCheck).default([]),
    tcp: z.array(tcpCheck).default([]),
  })
  .prefault({})
  .transform(({ storagedriver, file, http, tcp }): HealthConfig => ({
    storageDriver: {
      enabled: storagedriver.enabled,
      intervalMs: storagedriver.interval,
      threshold: storagedriver.threshold,
    },
    files: file,
    http,
    tcp,
  }));
