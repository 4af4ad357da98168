// `http.limits`: what one client may do, how long a slow one is waited for, and how large things may be.
// Documentation: docs/limits.md.
import { z } from "zod";
import { formatByteSize, parseByteRate, parseByteSize } from "./byte-size.ts";
import type { ClientLimitsConfig, LimitsConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { formatGoDuration } from "./go-duration.ts";
import { duration, interval, natural, scalar } from "./value-schemas.ts";

const { limits } = defaults.http;

/** How many seconds of requests may come at once where nothing else is said. */
const burstSeconds = 5;
/** The runtime's timer knows no more. */
const idleMsMax = 255_000;

/** Null: 0, which is no limit. */
const rate = scalar("bytes a second such as 20MB or 512KiB, or 0 for no limit", (value) => {
  const bytes = parseByteRate(value);
  return bytes === null ? undefined : bytes === 0 ? null : bytes;
});

const size = scalar("an amount of bytes such as 20GB or 512MiB, or 0 for no limit", (value) => {
  const bytes = parseByteSize(value);
  return bytes === null ? undefined : bytes === 0 ? null : bytes;
});

const count = natural.transform((value) => (value === 0 ? null : value));

function between(least: number, most: number) {
  return natural.refine((value) => value >= least && value <= most, {
    message: `a whole number from ${least} to ${most}`,
  });
}

const manifestSize = scalar(
  `an amount of bytes from 1kB to ${formatByteSize(limits.manifestBytesMax)}`,
  (value) => {
    const bytes = parseByteSize(value);
    return bytes !== null && bytes >= 1_000 && bytes <= limits.manifestBytesMax ? bytes : undefined;
  },
);

const idleTimeout = duration.refine((ms) => ms === 0 || (ms >= 1_000 && ms <= idleMsMax), {
  message: "a duration from 1s to 255s, or 0s for no limit",
});

const clientLimits = z
  .strictObject({
    requests: count.default(null),
    burst: count.default(null),
    uploads: count.default(null),
    receive: rate.default(null),
    send: rate.default(null),
  })
  .prefault({})
  .superRefine(({ requests, burst }, context) => {
    if (burst === null || requests !== null) return;
    const message = "0, or requests beside it: it is how many of these may come at once";
    context.addIssue({ code: "custom", input: String(burst), path: ["burst"], message });
  })
  .transform((raw): ClientLimitsConfig => ({
    requests:
      raw.requests === null
        ? null
        : { perSecond: raw.requests, burst: raw.burst ?? raw.requests * burstSeconds },
    uploadsMax: raw.uploads,
    receiveBytesPerSecond: raw.receive,
    sendBytesPerSecond: raw.send,
  }));

export const limitsSection = z
  .strictObject({
    address: clientLimits,
    user: clientLimits,
    logins: z
      .strictObject({
        failures: natural.default(limits.logins.failuresMax),
        window: interval.default(limits.logins.windowMs),
      })
      .prefault({}),
    idletimeout: idleTimeout.default(limits.idleMs),
    minrate: rate.default(limits.slow.bytesPerSecondMin),
    grace: interval.default(limits.slow.graceMs),
    blobsize: size.default(limits.blobBytesMax),
    manifestsize: manifestSize.default(limits.manifestBytesMax),
    references: between(1, limits.referencesMax).default(limits.referencesMax),
    nesting: between(1, limits.nestingMax).default(limits.nestingMax),
    indexes: count.default(limits.indexLevelsMax),
    tags: between(1, 1_000).default(limits.tagParametersMax),
    sessions: count.default(limits.sessionsMax),
  })
  .prefault({})
  .transform((raw): LimitsConfig => {
    const { failures, window } = raw.logins;
    return {
      address: raw.address,
      user: raw.user,
      logins: { failuresMax: failures, windowMs: window },
      idleMs: raw.idletimeout,
      slow: { bytesPerSecondMin: raw.minrate, graceMs: raw.grace },
      blobBytesMax: raw.blobsize,
      manifestBytesMax: raw.manifestsize,
      referencesMax: raw.references,
      nestingMax: raw.nesting,
      indexLevelsMax: raw.indexes,
      tagParametersMax: raw.tags,
      sessionsMax: raw.sessions,
    };
  });

/** As it would be written. */
export function limitsToClassic(config: LimitsConfig): Record<string, unknown> {
  return {
    address: clientToClassic(config.address),
    user: clientToClassic(config.user),
    logins: {
      failures: config.logins.failuresMax,
      window: formatGoDuration(config.logins.windowMs),
    },
    idletimeout: formatGoDuration(config.idleMs),
    minrate: sizeOrZero(config.slow.bytesPerSecondMin),
    grace: formatGoDuration(config.slow.graceMs),
    blobsize: sizeOrZero(config.blobBytesMax),
    manifestsize: formatByteSize(config.manifestBytesMax),
    references: config.referencesMax,
    nesting: config.nestingMax,
    indexes: config.indexLevelsMax ?? 0,
    tags: config.tagParametersMax,
    sessions: config.sessionsMax ?? 0,
  };
}

function clientToClassic(client: ClientLimitsConfig): Record<string, unknown> {
  return {
    requests: client.requests?.perSecond ?? 0,
    burst: client.requests?.burst ?? 0,
    uploads: client.uploadsMax ?? 0,
    receive: sizeOrZero(client.receiveBytesPerSecond),
    send: sizeOrZero(client.sendBytesPerSecond),
  };
}

function sizeOrZero(bytes: number | null): string | number {
  return bytes === null ? 0 : formatByteSize(bytes);
}
