// The only file that knows every room: configuration in, running parts out. Decides nothing that a room
// could decide for itself. How a root is opened: compose-root.ts.
import { ApiServices } from "./compose-api.ts";
import { logTo, type OpenRoot, openRoot, rootDirectoryOf } from "./compose-root.ts";
import { pressureOn } from "./compose-pressure.ts";
import { retentionSchedule, retentionUnderPressure, runRetention } from "./compose-retention.ts";
import { reindexProgress, scrubOf, verifyRoot } from "./compose-verify.ts";
import type { Config } from "./config/index.ts";
import { httpOptions, scheduleOptions } from "./config-mapping.ts";
import { CollectionSchedule, parseCollectOptions, systemTimers, tellHistory } from "./gc/index.ts";
import { type RunningServer, startDebugServer, startServer } from "./http/index.ts";
import type { Logger, Logs } from "./observability/index.ts";
import {
  type Asker,
  askOwner,
  type ControlRequest,
  type ControlServer,
  OwnerSilentError,
  serveControl,
} from "./owner/control-socket.ts";
import { RootOwnedError } from "./owner/owner-lock.ts";
import { requestProblem } from "./owner/request-problem.ts";
import { becomeDirectoryOwner } from "./owner/root-user.ts";
import { systemClock } from "./registry/ports/clock.ts";
import { StorageHealth } from "./registry/storage-health.ts";
import { runDelete, runRestore, tellDeletions } from "./registry/undo-commands.ts";
import { tellUsage, UsageRecorder } from "./usage/index.ts";
import { parseVerifyOptions } from "./takeover/verify-events.ts";

export { rootDirectoryOf } from "./compose-root.ts";

export interface Serving {
  readonly address: string;
  /** Resolves when it can serve no longer; it has to be stopped all the same. */
  readonly failed: Promise<Error>;
  /** Ends requests under way, then everything else, and gives the root up. */
  stop(): Promise<void>;
}

/** @param signal stops a start that takes long: the first build of an index. */
export async function serve(config: Config, logs: Logs, signal: AbortSignal): Promise<Serving> {
  const { logger } = logs;
  const root = await openRoot(config, logger, { command: "serve", signal });
  const health = new StorageHealth(root.storage, config.health.storageDriver);
  const servers: RunningServer[] = [];
  const { expiry } = root;
  const schedule = collectionSchedule(config, root, logger);
  const retention = retentionSchedule(config, root, logger);
  const { tree } = root;
  const applyRetention = retentionUnderPressure(config, root.retention);
  const pressure = pressureOn(root, config, { log: logTo(logger), applyRetention });
  const recorder = usageRecorder(root, logger);
  const api = new ApiServices(root, config, logger);
  const scrub =
    tree === null ? null : scrubOf({ ...root, tree, clock: systemClock }, config, logger);
  try {
    const server = await startServer({
      registry: root.services,
      options: httpOptions(config),
      health,
      logger,
      accessLog: logs.accessLog,
      clock: systemClock,
      api: config.http.api.enabled ? api.parts : null,
    });
    servers.push(server);
    const { listen } = config.http.debug;
    if (listen !== null) servers.push(await startDebugServer(listen, health));
    await root.agreement.begin();
    root.announce(server.address);
    const control = controlOf(root);
    health.start();
    expiry?.start();
    schedule?.start();
    retention?.start();
    recorder.start();
    scrub?.start(root.agreement.wait(signal));
    await pressure.start();
    return {
      address: server.address,
      failed: root.failed,
      stop: async () => {
        health.stop();
        // A cycle under way may take until its batch is over: nothing of it is needed for an answer.
        const collected = schedule?.stop();
        const retained = retention?.stop();
        const relieved = pressure.stop();
        await recorder.stop();
        await control?.stop();
        await api.stop();
        await expiry?.stop();
        await collected;
        await retained;
        await relieved;
        await scrub?.stop();
        for (const running of servers) await running.stop();
        await root.close();
      },
    };
  } catch (error) {
    for (const running of servers) await running.stop();
    await root.close();
    throw error;
  }
}

function controlOf(root: OpenRoot): ControlServer | null {
  if (root.tree === null) return null;
  return serveControl(root.tree.rootDirectory, (request, asker) =>
    runCommand({ root, isRunning: true }, request, asker),
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
      auditRepair(root, request.options);
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

/** Over the API the request leaves such a line. */
function auditRepair({ logger }: OpenRoot, options: unknown): void {
  const { hash, repair, user } = parseVerifyOptions(options);
  if (!repair) return;
  const fields = { by: user ?? "command", from: "command line", outcome: "accepted" };
  logger.info("audit", { action: "repair", hash, ...fields });
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

function usageRecorder({ index }: OpenRoot, logger: Logger): UsageRecorder {
  return new UsageRecorder({
    index,
    clock: systemClock,
    timers: systemTimers,
    warn: logTo(logger).warn,
  });
}

function collectionSchedule(
  config: Config,
  root: OpenRoot,
  logger: Logger,
): CollectionSchedule | null {
  const options = scheduleOptions(config);
  if (options === null) return null;
  const { collector, index, agreement } = root;
  return new CollectionSchedule({
    collector,
    index,
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
    agreed: (signal) => agreement.wait(signal),
    log: logTo(logger),
    options,
  });
}
