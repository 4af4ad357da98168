// What the registry tells of itself, put together: health checks, readiness, metrics, traces, the debug
// server.
import { hostname } from "node:os";
import packageJson from "../../package.json" with { type: "json" };
import { logTo } from "./log.ts";
import type { Watch } from "./owned-root.ts";
import type { OpenRoot } from "./root.ts";
import type { ComposedTls } from "./tls.ts";
import type { Config } from "../config/index.ts";
import {
  type MetricsText,
  type RequestObserver,
  type RunningServer,
  ServingReadiness,
  startDebugServer,
} from "../http/index.ts";
import { Notifier, referencesIn } from "../notifications/index.ts";
import {
  configuredChecks,
  HealthMonitor,
  type HealthSource,
  type Logger,
  Profiles,
  tracingSettings,
} from "../observability/index.ts";
import { operations } from "../index/operations.ts";
import type { Metrics } from "../observability/metrics/index.ts";
import type { Tracing } from "../observability/tracing/index.ts";
import { type Digest, manifestBytesMax } from "../oci/index.ts";
import { sleep, systemClock } from "../registry/ports/clock.ts";
import { StorageHealth } from "../registry/storage-health.ts";
import { blobDataPath } from "../storage/layout.ts";

export interface Observed {
  readonly health: HealthMonitor;
  readonly readiness: ServingReadiness;
  /** Null: requests are neither counted nor traced. */
  readonly observer: RequestObserver | null;
  readonly watch: Watch;
  /** Null: `http.debug.addr` is not set. */
  readonly debugServer: RunningServer | null;
  /** Clients see this certificate: until when, the metrics tell. */
  certified(tls: ComposedTls): void;
  /** The root is open: from now on it is looked at too. */
  rootOpened(root: OpenRoot): void;
  /** Looks at what the configuration names from now on. */
  replaceChecks(root: OpenRoot, health: Config["health"]): void;
  /** Before anything that needs the root is stopped. */
  stopping(): void;
  /** The last that ends, so that one sees a stop that takes long. */
  stop(): Promise<void>;
}

/**
 * Before the root is opened, which may take long: whoever waits for it can ask meanwhile.
 * @throws Error when the debug address is taken or not of this machine.
 */
export async function observe(config: Config, logger: Logger): Promise<Observed> {
  const { listen, prometheus } = config.http.debug;
  const health = new HealthMonitor(logger);
  const readiness = new ServingReadiness(health);
  const metrics = prometheus.enabled && listen !== null ? await loadMetrics() : null;
  const tracing = await loadTracing(logger);
  const debugServer =
    listen === null
      ? null
      : await startDebugServer(listen, {
          health,
          readiness,
          profiles: new Profiles(),
          metrics: metrics === null ? null : textOf(metrics, prometheus.path),
        });
  return {
    health,
    readiness,
    observer: together([metrics?.requests, tracing].filter((one) => one !== undefined)),
    watch: {
      timeIndex: (index) => {
        const timed = metrics?.timeIndex(index) ?? index;
        return tracing?.watchIndex(timed, new Set(Object.keys(operations))) ?? timed;
      },
      timeStorage: (storage) => {
        const timed = metrics?.timeStorage(storage) ?? storage;
        return tracing?.watchStorage(timed) ?? timed;
      },
      ...(tracing === undefined
        ? {}
        : { collecting: tracing.within, digesting: tracing.digesting }),
      collectionEnded: (record) => {
        metrics?.collectionEnded(record);
        tracing?.collectionEnded(record);
      },
    },
    debugServer,
    certified: ({ source, shown }) => {
      metrics?.showCertificate({ source, current: shown });
    },
    rootOpened: (root) => {
      health.add(...checksOf(root, config.health));
      const { contentCache } = root.services;
      metrics?.addState({ index: root.index, contentCache, now: () => systemClock.now() });
    },
    replaceChecks: (root, checks) => {
      health.replace(checksOf(root, checks));
    },
    stopping: () => {
      readiness.stopping();
      health.stop();
    },
    stop: async () => {
      health.stop();
      await tracing?.stop();
      await debugServer?.stop();
    },
  };
}

function checksOf(root: OpenRoot, health: Config["health"]): readonly HealthSource[] {
  return [new StorageHealth(root.storage, health.storageDriver), ...configuredChecks(health)];
}

function textOf(metrics: Metrics, path: string): MetricsText {
  return { path, contentType: metrics.contentType, text: () => metrics.text() };
}

/** Null: there is nobody to tell. */
function together(observers: readonly RequestObserver[]): RequestObserver | null {
  const [first, second] = observers;
  if (first === undefined || second === undefined) return first ?? null;
  const within = first.within ?? second.within;
  return {
    ...(within === undefined ? {} : { within }),
    begun: () => {
      for (const observer of observers) observer.begun();
    },
    received: (bytes) => {
      for (const observer of observers) observer.received(bytes);
    },
    completed: (request) => {
      for (const observer of observers) observer.completed(request);
    },
    refused: (limit) => {
      for (const observer of observers) observer.refused?.(limit);
    },
  };
}

/** Packages of their own, which are not small: undefined, and not loaded, unless asked for. */
async function loadTracing(logger: Logger): Promise<Tracing | undefined> {
  const { enabled, warnings } = tracingSettings(process.env);
  for (const warning of warnings) logger.warn(warning);
  if (!enabled) return undefined;
  const { Tracing: Loaded } = await import("../observability/tracing/index.ts");
  logger.info("traces are sent as OpenTelemetry's variables say");
  return new Loaded({
    version: packageJson.version,
    warn: (message, fields) => {
      logger.warn(message, fields);
    },
  });
}

/** With no endpoint it does nothing but forget what was queued for earlier ones. */
export function notifierOf(config: Config, root: OpenRoot, logger: Logger): Notifier {
  const { listen } = config.http;
  const port = listen.kind === "tcp" ? `:${listen.port}` : "";
  const source = { addr: `${hostname()}${port}`, instanceId: crypto.randomUUID() };
  const { index, storage } = root;
  const parts = { index, source, now: () => systemClock.now(), log: logTo(logger), sleep };
  const referencesOf = async (digest: Digest): Promise<readonly object[] | null> => {
    const bytes = await storage.readSmall(blobDataPath(digest), manifestBytesMax);
    return bytes === null ? null : referencesIn(bytes);
  };
  return new Notifier({ ...parts, referencesOf }, config.notifications);
}

/** A package of its own: a registry without metrics does not load it. */
async function loadMetrics(): Promise<Metrics> {
  const { Metrics: Loaded } = await import("../observability/metrics/index.ts");
  return new Loaded(packageJson.version);
}
