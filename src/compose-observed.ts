// What the registry tells of itself, put together: health checks, readiness, metrics, the debug server.
// A part of compose.ts: it knows every room too, and decides nothing that a room could decide.
import packageJson from "../package.json" with { type: "json" };
import type { OpenRoot } from "./compose-root.ts";
import type { Config } from "./config/index.ts";
import { type RunningServer, ServingReadiness, startDebugServer } from "./http/index.ts";
import { configuredChecks, HealthMonitor, Profiles } from "./observability/index.ts";
import type { Metrics } from "./observability/metrics/index.ts";
import { systemClock } from "./registry/ports/clock.ts";
import { StorageHealth } from "./registry/storage-health.ts";

export interface Observed {
  readonly health: HealthMonitor;
  readonly readiness: ServingReadiness;
  /** Undefined: not asked for. */
  readonly metrics: Metrics | undefined;
  /** Null: `http.debug.addr` is not set. */
  readonly debugServer: RunningServer | null;
  /** The root is open: from now on it is looked at too. */
  rootOpened(root: OpenRoot): void;
  /** Before anything that needs the root is stopped. */
  stopping(): void;
  /** The last that ends, so that one sees a stop that takes long. */
  stop(): Promise<void>;
}

/**
 * Before the root is opened, which may take long: whoever waits for it can ask meanwhile.
 * @throws Error when the debug address is taken or not of this machine.
 */
export async function observe(config: Config): Promise<Observed> {
  const { listen, prometheus } = config.http.debug;
  const health = new HealthMonitor();
  const readiness = new ServingReadiness(health);
  const metrics = prometheus.enabled && listen !== null ? await loadMetrics() : undefined;
  const debugServer =
    listen === null
      ? null
      : await startDebugServer(listen, {
          health,
          readiness,
          profiles: new Profiles(),
          metrics:
            metrics === undefined
              ? null
              : {
                  path: prometheus.path,
                  contentType: metrics.contentType,
                  text: () => metrics.text(),
                },
        });
  return {
    health,
    readiness,
    metrics,
    debugServer,
    rootOpened: (root) => {
      health.add(new StorageHealth(root.storage, config.health.storageDriver));
      health.add(...configuredChecks(config.health));
      const { contentCache } = root.services;
      metrics?.addState({ index: root.index, contentCache, now: () => systemClock.now() });
    },
    stopping: () => {
      readiness.stopping();
      health.stop();
    },
    stop: async () => {
      health.stop();
      await debugServer?.stop();
    },
  };
}

/** A package of its own: a registry without metrics does not load it. */
async function loadMetrics(): Promise<Metrics> {
  const { Metrics: Loaded } = await import("./observability/metrics/index.ts");
  return new Loaded(packageJson.version);
}
