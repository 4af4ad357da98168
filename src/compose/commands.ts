// Commands on a root: carried out in this process, which opens the root for that, or by the one that owns it
// and is asked over its socket. What each does is said by the room that it comes from.
import { runTokenCommand } from "../auth/index.ts";
import type { Config } from "../config/index.ts";
import { parseCollectOptions, tellHistory } from "../gc/index.ts";
import type { Logger } from "../observability/index.ts";
import {
  type Asker,
  askOwner,
  type ControlRequest,
  OwnerSilentError,
} from "../owner/control-socket.ts";
import { RootOwnedError } from "../owner/owner-lock.ts";
import { requestProblem } from "../owner/request-problem.ts";
import { becomeDirectoryOwner } from "../owner/root-user.ts";
import { systemClock } from "../registry/ports/clock.ts";
import { runDelete, runRestore, tellDeletions } from "../registry/undo-commands.ts";
import { tellUsage } from "../usage/index.ts";
import { auditRepair, auditToken } from "./audit.ts";
import { rootDirectoryOf } from "./owned-root.ts";
import { runRetention } from "./retention.ts";
import { type OpenRoot, openRoot } from "./root.ts";
import { reindexProgress, verifyRoot } from "./verify.ts";

/** A command on a root, as plain data: another process may carry it out. */
export type RootRequest = ControlRequest;

/** What a command works on. */
export interface Running {
  /** Served by this process (`isRunning`), or opened for this command. */
  readonly root: OpenRoot;
  readonly isRunning: boolean;
}

/** @returns the exit code. @throws Error in words, where the request is not one of this command. */
export async function runCommand(
  running: Running,
  request: RootRequest,
  asker: Asker,
): Promise<number> {
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
