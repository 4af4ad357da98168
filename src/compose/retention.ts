// Puts retention together with the root that it works on: the rules of the configuration, what a command
// asks for, the server's own schedule.
import type { Config } from "../config/index.ts";
import { boundsOf } from "./config-mapping.ts";
import { pauseFor, systemTimers } from "../gc/index.ts";
import type { Logger } from "../observability/index.ts";
import type { Asker } from "../owner/control-socket.ts";
import type { ApplyRetention } from "../pressure/index.ts";
import { auditTo } from "../registry/audit.ts";
import { systemClock } from "../registry/ports/clock.ts";
import type { Index, RegistryEvent } from "../registry/ports/index.ts";
import { requestOrigin } from "../registry/ports/request-origin.ts";
import { PullLog } from "../registry/pull-log.ts";
import type { TreeFollower } from "../registry/tree-follower.ts";
import { parseRetentionRequest, Retention, RetentionSchedule } from "../retention/index.ts";
import type { RetentionRun } from "../retention/events.ts";
import type { Agreement } from "../takeover/agreement.ts";

interface RetentionRoot {
  readonly index: Index;
  /** Null: in read-only mode nobody notes pulls. */
  readonly pulls: PullLog | null;
  readonly follower: TreeFollower;
}

/** Null: in read-only mode nothing is written. */
export function pullLogOf(
  config: Config,
  parts: ConstructorParameters<typeof PullLog>[0],
): PullLog | null {
  return config.storage.maintenance.readOnly.enabled ? null : new PullLog(parts);
}

export function retentionOf(
  config: Config,
  { index, pulls, follower }: RetentionRoot,
  logger: Logger,
): Retention {
  const bounds = boundsOf(config);
  return new Retention({
    index,
    clock: systemClock,
    pause: pauseFor,
    pulls: pulls ?? { settle: () => Promise.resolve(), isWaiting: () => false },
    isProtected: (repository, tag) => bounds.immutableRuleOf(repository, tag) !== null,
    immutableIn: (repository) => bounds.immutableIn(repository),
    followTree: () => {
      follower.wake();
    },
    get keepDeletedMs() {
      return config.gc.keepDeletedMs;
    },
    logRun: (run) => {
      const { askedBy, rules, report } = run;
      if (config.notifications.length > 0) notifyOf(run, index, logger);
      const { durationMs, applied: _, bytes: __, atLeast: ___, ...figures } = report;
      logger.info("retention", {
        askedBy,
        rules: rules.join(","),
        ...figures,
        durationMs: Math.round(durationMs),
      });
    },
    audit: auditTo(logger),
    refusal: refusalOf(config),
  });
}

/** As well as that goes: what was removed has been told of, each with its removal. */
function notifyOf({ askedBy, rules, report }: RetentionRun, index: Index, logger: Logger): void {
  if (report.tags + report.manifests === 0) return;
  const { applied: _, durationMs, ...figures } = report;
  const event: RegistryEvent = {
    id: crypto.randomUUID(),
    atMs: systemClock.now(),
    action: "retain",
    what: "run",
    repository: null,
    digest: null,
    tag: null,
    mediaType: null,
    sizeBytes: null,
    fromRepository: null,
    origin: requestOrigin.getStore() ?? null,
    actor: "retention",
    run: { askedBy, rules, durationMs: Math.round(durationMs), ...figures },
  };
  index.queueEvents([event]).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    logger.warn(`nobody is notified of a run of retention: ${why}`);
  });
}

/** Why nothing may be removed; null: it may. */
function refusalOf({ storage }: Config): string | null {
  if (storage.maintenance.readOnly.enabled) {
    return "the registry is in read-only mode (storage.maintenance.readonly): nothing is removed";
  }
  return storage.delete.enabled
    ? null
    : "deletion is disabled: set storage.delete.enabled to true to let retention remove anything";
}

/** `registry retention preview` and `apply`. @returns the exit code */
export async function runRetention(
  root: { readonly retention: Retention; readonly agreement: Agreement },
  request: { readonly what: "preview" | "apply"; readonly options: unknown },
  asker: Asker,
): Promise<number> {
  const { retention } = root;
  const work = parseRetentionRequest(request.options);
  await root.agreement.wait(asker.signal);
  if (request.what === "preview") {
    await retention.preview(work, asker.tell, asker.signal);
    return 0;
  }
  const counted = { ...work, countsBytes: true };
  const { completed } = await retention.apply(counted, asker.tell, asker.signal);
  return completed ? 0 : 1;
}

/** What rules with `onpressure` do when the disk is too full; null: there are none now, or nothing may be removed. */
export function retentionUnderPressure(
  config: Config,
  retention: Retention,
): () => ApplyRetention | null {
  const isRefused = refusalOf(config) !== null;
  return () => {
    const rules = config.retention;
    if (isRefused || !rules.some(({ onPressure }) => onPressure)) return null;
    return async (isEnough, signal) => {
      await retention.applyUnderPressure(rules, isEnough, signal);
    };
  };
}

/** Null: there are no rules, or nothing may be removed. */
export function retentionSchedule(
  config: Config,
  root: {
    readonly index: Index;
    readonly retention: Retention;
    readonly agreement: Agreement;
  },
  logger: Logger,
): RetentionSchedule | null {
  if (config.retention.length === 0) return null;
  const refusal = refusalOf(config);
  if (refusal !== null) {
    logger.warn(`the retention rules are not applied: ${refusal}`);
    return null;
  }
  const { index, retention, agreement } = root;
  return new RetentionSchedule({
    retention,
    index,
    rules: config.retention,
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
    agreed: (signal) => agreement.wait(signal),
    log: {
      warn: (message) => {
        logger.warn(message);
      },
    },
  });
}
