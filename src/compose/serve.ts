// Serves a root: everything that a running server is, begun in one order and ended in the reverse, and handed
// another configuration when it is given one. How a root is opened: root.ts.
import { type Config, LiveConfig, type LoadedConfig } from "../config/index.ts";
import { systemTimers } from "../gc/index.ts";
import { Limits, type RegistryServer, startServer } from "../http/index.ts";
import type { Logger, Logs, LogsSettings } from "../observability/index.ts";
import { type ControlServer, serveControl } from "../owner/control-socket.ts";
import { refuseIfOwned } from "../owner/owner-lock.ts";
import { systemClock } from "../registry/ports/clock.ts";
import { UsageRecorder } from "../usage/index.ts";
import { ApiServices } from "./api.ts";
import { BackgroundWork } from "./background.ts";
import { runCommand } from "./commands.ts";
import { httpOptions, limitsOptions } from "./config-mapping.ts";
import { logTo } from "./log.ts";
import { notifierOf, type Observed, observe } from "./observed.ts";
import { rootDirectoryOf } from "./owned-root.ts";
import { pressureOn } from "./pressure.ts";
import { type ReloadOutcome, Reloads, tellReload } from "./reload.ts";
import { retentionUnderPressure } from "./retention.ts";
import { type OpenRoot, openRoot } from "./root.ts";
import { Settings } from "./settings.ts";
import { type ComposedTls, composeTls } from "./tls.ts";

export interface Serving {
  readonly address: string;
  readonly isEncrypted: boolean;
  /** Null: there is no debug server. */
  readonly debugAddress: string | null;
  /** Resolves when it can serve no longer; it has to be stopped all the same. */
  readonly failed: Promise<Error>;
  /** Takes the configuration as it is now, as far as that goes without a restart. Never rejects. */
  reload(): Promise<ReloadOutcome>;
  /** Ends requests under way, then everything else, and gives the root up. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  /** Stops a start that takes long: the first build of an index. */
  readonly signal: AbortSignal;
  /** Reads the configuration again. @throws ConfigError */
  readonly load: () => LoadedConfig;
  readonly setLogs: (settings: LogsSettings) => void;
}

/** Serves by a configuration, and by others that it is given while it runs. */
export async function serve(config: Config, logs: Logs, options: ServeOptions): Promise<Serving> {
  const live = new LiveConfig(config);
  const observed = await observe(config, logs.logger).catch((error: unknown) => {
    // Of a second server on the same root both addresses are taken: that it is one says more.
    const rootDirectory = rootDirectoryOf(config);
    if (rootDirectory !== null) refuseIfOwned(rootDirectory);
    throw error;
  });
  let tls: ComposedTls | null = null;
  try {
    // Before the root, which may take long to open.
    tls = await composeTls(config.http, { logger: logs.logger, signal: options.signal });
    if (tls !== null) observed.certified(tls);
    const serving = await serveObserved({ ...options, live, logs, observed, tls });
    const stop = async (): Promise<void> => {
      const closed = tls?.close();
      await serving.stop();
      await closed;
    };
    return { ...serving, isEncrypted: tls !== null, stop };
  } catch (error) {
    await tls?.close();
    await observed.stop();
    throw error;
  }
}

interface Start extends ServeOptions {
  readonly live: LiveConfig;
  readonly logs: Logs;
  readonly observed: Observed;
  readonly tls: ComposedTls | null;
}

async function serveObserved(start: Start): Promise<Omit<Serving, "isEncrypted">> {
  const { live, logs, signal, load, setLogs, observed } = start;
  const { logger } = logs;
  const { health, readiness, watch } = observed;
  // Whoever asks it again later sees what is true then.
  const config = live.view;
  const root = await openRoot(config, logger, { command: "serve", signal, watch });
  const background = new BackgroundWork(root, { config, logger, signal });
  const applyRetention = retentionUnderPressure(config, root.retention);
  const pressure = pressureOn(root, config, { log: logTo(logger), applyRetention });
  const recorder = usageRecorder(root, logger);
  const api = new ApiServices(root, config, logger);
  const limits = new Limits(limitsOptions(config));
  let server: RegistryServer | null = null;
  const notifier = notifierOf(config, root, logger);
  try {
    observed.rootOpened(root);
    await notifier.start();
    const settings = new Settings({ live, root, logger, setLogs, observed, notifier, api });
    server = await startServer({
      ...observedParts(observed, logs),
      registry: root.services,
      options: httpOptions(config),
      limits,
      access: await settings.access(config),
      tls: start.tls?.parts ?? null,
      api: config.http.api.enabled ? api.parts : null,
      ...(config.notifications.length === 0 ? {} : { pulls: notifier }),
    });
    const { address } = server;
    await root.agreement.begin();
    root.announce(address);
    const parts = [...settings.partsOf(server, limits), ...background.parts, pressure.part];
    const lookAtFiles = (): void => start.tls?.readAgain();
    const reloads = new Reloads({ live, load, logger, parts, lookAtFiles });
    const control = controlOf(root, reloads);
    health.start();
    root.expiry?.start();
    background.start();
    recorder.start();
    await pressure.start();
    readiness.serving(() => root.index.rootId());
    return {
      address,
      debugAddress: observed.debugServer?.address ?? null,
      failed: root.failed,
      reload: () => reloads.reload(),
      stop: async () => {
        observed.stopping();
        await reloads.stop();
        // From here on new requests are refused, while those under way go on.
        const served = server?.stop();
        await stopAll([background, pressure], [recorder, control, api, root.expiry]);
        await served;
        await notifier.stop();
        await root.close();
        await observed.stop();
      },
    };
  } catch (error) {
    await server?.stop();
    await notifier.stop();
    await root.close();
    throw error;
  }
}

interface Stopping {
  stop(): Promise<unknown>;
}

/**
 * Before the server itself. A cycle under way may take until its batch is over (`slow`): nothing of it is
 * needed for an answer. The others end one after the other.
 */
async function stopAll(
  slow: readonly Stopping[],
  others: readonly (Stopping | null)[],
): Promise<void> {
  const ended = slow.map((one) => one.stop());
  for (const one of others) await one?.stop();
  await Promise.all(ended);
}

/** What the server tells whom, and whom it asks how things are. */
function observedParts({ health, observer, readiness }: Observed, logs: Logs) {
  return {
    health,
    readiness,
    logger: logs.logger,
    accessLog: logs.accessLog,
    clock: systemClock,
    ...(observer === null ? {} : { observer }),
  };
}

function controlOf(root: OpenRoot, reloads: Reloads): ControlServer | null {
  if (root.tree === null) return null;
  return serveControl(root.tree.rootDirectory, (request, asker) =>
    request.command === "reload"
      ? tellReload(reloads, asker)
      : runCommand({ root, isRunning: true }, request, asker),
  );
}

function usageRecorder({ index }: OpenRoot, logger: Logger): UsageRecorder {
  return new UsageRecorder({
    index,
    clock: systemClock,
    timers: systemTimers,
    warn: logTo(logger).warn,
  });
}
