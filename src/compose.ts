// The only file that knows every room: configuration in, running parts out. Decides nothing that a room
// could decide for itself. How a root is opened: compose-root.ts.
import { ApiServices } from "./compose-api.ts";
import { runTokenCommand } from "./auth/index.ts";
import { auditRepair, auditToken } from "./compose-audit.ts";
import { BackgroundWork } from "./compose-background.ts";
import { type ComposedTls, composeTls } from "./compose-tls.ts";
import { logTo, type OpenRoot, openRoot, rootDirectoryOf } from "./compose-root.ts";
import { pressureOn } from "./compose-pressure.ts";
import { type ReloadOutcome, Reloads, tellReload } from "./compose-reload.ts";
import { retentionUnderPressure, runRetention } from "./compose-retention.ts";
import { Settings } from "./compose-settings.ts";
import { reindexProgress, verifyRoot } from "./compose-verify.ts";
import { type Config, LiveConfig, type LoadedConfig } from "./config/index.ts";
import { httpOptions, limitsOptions } from "./config-mapping.ts";
import { parseCollectOptions, systemTimers, tellHistory } from "./gc/index.ts";
import { notifierOf, type Observed, observe } from "./compose-observed.ts";
import { Limits, type RegistryServer, startServer } from "./http/index.ts";
import type { Logger, Logs, LogsSettings } from "./observability/index.ts";
import {
  type Asker,
  askOwner,
  type ControlRequest,
  type ControlServer,
  OwnerSilentError,
  serveControl,
} from "./owner/control-socket.ts";
import { refuseIfOwned, RootOwnedError } from "./owner/owner-lock.ts";
import { requestProblem } from "./owner/request-problem.ts";
import { becomeDirectoryOwner } from "./owner/root-user.ts";
import { systemClock } from "./registry/ports/clock.ts";
import { runDelete, runRestore, tellDeletions } from "./registry/undo-commands.ts";
import { tellUsage, UsageRecorder } from "./usage/index.ts";

export { rootDirectoryOf } from "./compose-root.ts";

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
export async function serve(
  config: Config,
  logs: Logs,
  options: AbortSignal | ServeOptions,
): Promise<Serving> {
  const more = options instanceof AbortSignal ? unloadable(options, config) : options;
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
    tls = await composeTls(config.http, { logger: logs.logger, signal: more.signal });
    if (tls !== null) observed.certified(tls);
    const serving = await serveObserved({ ...more, live, logs, observed, tls });
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

/** Always the same configuration. */
function unloadable(signal: AbortSignal, config: Config): ServeOptions {
  return {
    signal,
    load: () => ({ config, warnings: [], path: "" }),
    setLogs: () => undefined,
  };
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

/** A command on a root, as plain data: it may be carried out by another process. */
export type RootRequest = ControlRequest;

interface Running {
  /** Served by this process (`isRunning`), or opened for this command. */
  readonly root: OpenRoot;
  readonly isRunning: boolean;
}

async function runCommand(running: Running, request: RootRequest, asker: Asker): Promise<number> {
  try {
    return await carryOut(running, request, asker);
  } catch (error) {
    throw requestProblem(request.command, error);
  }
}

async function carryOut(
  { root, isRunning }: Running,
  request: RootRequest,
  asker: Asker,
): Promise<number> {
  switch (request.command) {
    case "garbage-collect": {
      await root.agreement.wait(asker.signal);
      const options = parseCollectOptions(request.options);
      const report = await root.collector.collect(options, asker.tell, asker.signal);
      return report.ok ? 0 : 1;
    }
    case "delete":
      await root.agreement.wait(asker.signal);
      return await runDelete(root.services.deletions, request.options, asker);
    case "restore":
      await root.agreement.wait(asker.signal);
      return await runRestore(root.services.restores, request.options, asker);
    case "restore-list":
      return await tellDeletions(root.services.deletions, request.options, asker);
    case "garbage-collect-history":
      return await tellHistory(root.index, request.options, asker);
    case "usage":
      return await tellUsage(root.usage, request.options, asker);
    case "verify":
      if (isRunning) await root.agreement.wait(asker.signal);
      if (root.tree === null) return 0;
      auditRepair(root.logger, request.options);
      return await verifyRoot(
        { ...root, tree: root.tree, clock: systemClock, isAlone: !isRunning },
        request.options,
        asker,
      );
    case "retention-preview":
    case "retention-apply": {
      const what = request.command === "retention-apply" ? "apply" : "preview";
      return await runRetention(root, { what, options: request.options }, asker);
    }
    case "token":
      return await runTokenCommand(
        { index: root.index, nowMs: systemClock.now() },
        request.options,
        async (event) => {
          auditToken(root.logger, request.options, event);
          await asker.tell(event);
        },
      );
    case "reindex":
      await root.agreement.compareAgain(
        asker.signal,
        await reindexProgress(root.index, { options: request.options, tell: asker.tell }),
      );
      return 0;
    default:
      throw new Error(
        `the process that owns the root does not know the command ${request.command}; is it an older one?`,
      );
  }
}

/** An owner that is starting or stopping is asked again for this long. */
const ownerSilentMsMax = 10_000;
const ownerRetryMs = 200;

/** Runs a command in this process, which owns the root meanwhile, or in the one that owns it already. */
export async function runOnRoot(
  config: Config,
  logger: Logger,
  work: Asker & { readonly request: RootRequest },
): Promise<number> {
  const rootDirectory = rootDirectoryOf(config);
  if (rootDirectory === null) {
    throw new Error(
      "storage.inmemory: there is nothing to work on outside the server's own process",
    );
  }
  becomeDirectoryOwner(rootDirectory);
  const { request } = work;
  const giveUpMs = Date.now() + ownerSilentMsMax;
  for (;;) {
    try {
      const { signal, tell } = work;
      const asked = { options: request.options, tell };
      const root = await openRoot(config, logger, { command: request.command, signal, asked });
      try {
        // Built again when it was opened: there is nothing left to do.
        if (request.command === "reindex") return 0;
        return await runCommand({ root, isRunning: false }, request, work);
      } finally {
        await root.close();
      }
    } catch (error) {
      if (!(error instanceof RootOwnedError)) throw error;
    }
    try {
      return await askOwner(rootDirectory, request, work);
    } catch (error) {
      if (!(error instanceof OwnerSilentError) || Date.now() > giveUpMs) throw error;
      await Bun.sleep(ownerRetryMs);
    }
  }
}

/** Has the server that owns the root take its configuration anew. @returns the exit code */
export async function askToReload(config: Config, asker: Asker): Promise<number> {
  const rootDirectory = rootDirectoryOf(config);
  if (rootDirectory === null) {
    throw new Error("storage.inmemory: there is no socket to ask the server over; send it SIGHUP");
  }
  try {
    return await askOwner(rootDirectory, { command: "reload", options: {} }, asker);
  } catch (error) {
    if (!(error instanceof OwnerSilentError)) throw error;
    throw new Error(
      `no server answers for ${rootDirectory}: none runs, it is starting or stopping, or it was started with another storage.filesystem.rootdirectory (which needs a restart)`,
      { cause: error },
    );
  }
}

function usageRecorder({ index }: OpenRoot, logger: Logger): UsageRecorder {
  return new UsageRecorder({
    index,
    clock: systemClock,
    timers: systemTimers,
    warn: logTo(logger).warn,
  });
}
