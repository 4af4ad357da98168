// The only file that knows every room: configuration in, running parts out. Decides nothing that a room
// could decide for itself.
import { existsSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { reindexProgress, scrubOf, verifyRoot } from "./compose-verify.ts";
import type { Config } from "./config/index.ts";
import { httpOptions, manifestValidation, scheduleOptions } from "./config-mapping.ts";
import { CollectionSchedule, Collector, parseCollectOptions } from "./gc/index.ts";
import { logRun, pauseFor, systemTimers, tellHistory } from "./gc/index.ts";
import { type RunningServer, startDebugServer, startServer } from "./http/index.ts";
import { createMemoryIndex, openIndex } from "./index/sqlite-index.ts";
import { IndexDamagedError } from "./index/sql.ts";
import type { Logger, Logs } from "./observability/index.ts";
import type { Digest } from "./oci/index.ts";
import {
  type Asker,
  askOwner,
  type ControlRequest,
  type ControlServer,
  OwnerSilentError,
  serveControl,
} from "./owner/control-socket.ts";
import { ownDirectory, OwnerLock, RootOwnedError } from "./owner/owner-lock.ts";
import { makeRootDirectory } from "./owner/root-directory.ts";
import { adoptRoot, checkRootIdentity } from "./owner/root-identity.ts";
import { becomeDirectoryOwner } from "./owner/root-user.ts";
import { createRegistry, type RegistryServices } from "./registry/create-registry.ts";
import { isFull } from "./registry/in-halves.ts";
import { type DigestLocks, KeyedLocks } from "./registry/keyed-locks.ts";
import { systemClock } from "./registry/ports/clock.ts";
import type { Index } from "./registry/ports/index.ts";
import type { Storage } from "./registry/ports/storage.ts";
import type { Reports } from "./registry/services.ts";
import { StorageHealth } from "./registry/storage-health.ts";
import { TreeFollower } from "./registry/tree-follower.ts";
import { UploadExpiry } from "./registry/upload-expiry.ts";
import { FilesystemStorage } from "./storage/filesystem/filesystem-storage.ts";
import { MemoryStorage } from "./storage/memory.ts";
import { Agreement, type AgreementParts } from "./takeover/agreement.ts";
import { TreeLook } from "./takeover/look.ts";

/** A root that this process owns, with everything that works on it. */
export interface OpenRoot {
  /** Null for storage in memory. */
  readonly tree: { readonly rootDirectory: string; readonly indexPath: string } | null;
  readonly index: Index;
  readonly storage: Storage;
  readonly locks: DigestLocks;
  readonly services: RegistryServices;
  readonly follower: TreeFollower;
  readonly collector: Collector;
  /** Null when abandoned uploads are left alone. */
  readonly expiry: UploadExpiry | null;
  readonly agreement: Agreement;
  /** Where this process listens, for the messages of those who come later. */
  announce(address: string): void;
  /** Lets the tree follow the last facts, empties the log, and gives the root up. */
  close(): Promise<void>;
}

interface Owned {
  readonly index: Index;
  readonly storage: Storage;
  readonly lock: OwnerLock | null;
  readonly rootDirectory: string | null;
}

export function rootDirectoryOf(config: Config): string | null {
  const { driver } = config.storage;
  return driver.kind === "filesystem" ? resolve(driver.rootDirectory) : null;
}

async function own(config: Config, logger: Logger, command: string): Promise<Owned> {
  const rootDirectory = rootDirectoryOf(config);
  if (rootDirectory === null) {
    const index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
    await index.markComplete();
    return { index, storage: new MemoryStorage(), lock: null, rootDirectory };
  }
  makeRootDirectory(rootDirectory);
  const lock = OwnerLock.acquire(rootDirectory, command);
  try {
    if (lock.network !== null) {
      logger.warn(
        `the root is on a network file system (${lock.network}): only one host may use it at a time`,
      );
    }
    const index = await openIndexOrSetAside(
      indexPath(config, rootDirectory),
      rootDirectory,
      logger,
    );
    return { index, storage: new FilesystemStorage(rootDirectory), lock, rootDirectory };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function indexPath(config: Config, rootDirectory: string): string {
  return config.index.path ?? join(rootDirectory, ownDirectory, "index.db");
}

/** A damaged index is kept for whoever wants to look at it; the tree has all that matters. */
async function openIndexOrSetAside(
  path: string,
  rootDirectory: string,
  logger: Logger,
): Promise<Index> {
  try {
    return await openIndex(path, rootDirectory);
  } catch (error) {
    if (!(error instanceof IndexDamagedError)) throw error;
    const aside = `${path}.damaged`;
    for (const suffix of ["", "-wal", "-shm"]) {
      if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
    }
    logger.error(
      `the index is damaged (${error.message}); it was moved to ${aside} and is built again from the tree`,
    );
    return await openIndex(path, rootDirectory);
  }
}

function logTo(logger: Logger): AgreementParts["log"] {
  return {
    info: (message) => {
      logger.info(message);
    },
    warn: (message) => {
      logger.warn(message);
    },
  };
}

function reportsTo(logger: Logger): Reports {
  return {
    info: (message) => {
      logger.info(message);
    },
    error: (message, error) => {
      logger.error(message, { error: error instanceof Error ? error.message : String(error) });
    },
  };
}

/** Opens a root: afterwards the index is complete, and agrees with the tree or is being compared with it. */
async function openRoot(
  config: Config,
  logger: Logger,
  options: {
    readonly command: string;
    readonly signal?: AbortSignal;
    /** Of a command; none: a server. */
    readonly asked?: { readonly options: unknown; readonly tell: Asker["tell"] };
  },
): Promise<OpenRoot> {
  const owned = await own(config, logger, options.command);
  const root = composeRoot(config, logger, owned);
  options.signal?.addEventListener("abort", () => void root.agreement.stop());
  const isRebuild = options.command === "reindex";
  try {
    // A rebuild believes the tree that is there; everybody else asks whether it is the right one.
    if (isRebuild) await adoptRoot(owned.index, owned.storage);
    else await checkRootIdentity(owned.index, owned.storage);
    // What the tree still owes comes first: only then may the two be compared (INV-2).
    await catchUpAsFits(root.follower, logger);
    await owned.index.interruptRuns(systemClock.now());
    if (isRebuild) {
      const onProgress = await reindexProgress(root.index, options.asked);
      await root.agreement.rebuild(options.signal ?? never, onProgress);
    }
    // A comparison would mend what verify is to find, and a server answers before it begins to compare.
    else if (options.command !== "garbage-collect") {
      await root.agreement.buildIfIncomplete();
    } else await root.agreement.begin();
    return root;
  } catch (error) {
    await root.close();
    throw error;
  }
}

const never = new AbortController().signal;

/** A full disk must not keep a registry from starting: what it is to be freed with comes after that. */
async function catchUpAsFits(follower: TreeFollower, logger: Logger): Promise<void> {
  try {
    await follower.catchUp();
  } catch (error) {
    if (!isFull(error)) throw error;
    logger.error("the disk is full: links of pushes cannot be written yet; delete and collect");
    // What is owed stays owed, and is believed before the tree (INV-2).
    follower.wake();
  }
}

function composeRoot(config: Config, logger: Logger, owned: Owned): OpenRoot {
  const { index, storage, lock, rootDirectory } = owned;
  const clock = systemClock;
  const tree =
    rootDirectory === null ? null : { rootDirectory, indexPath: indexPath(config, rootDirectory) };
  const reports = reportsTo(logger);
  const locks = new KeyedLocks<Digest>();
  const follower = new TreeFollower({ index, storage, reports });
  const lookup = new TreeLook({ index, storage, clock });
  const agreement = new Agreement({
    index,
    tree,
    clock,
    isExclusive: config.index.exclusive,
    log: logTo(logger),
  });
  const services = createRegistry({
    index,
    storage,
    locks,
    clock,
    reports,
    followTree: () => {
      follower.wake();
    },
    treeLookup: () => (agreement.isAgreed ? null : lookup),
    options: {
      graceMs: config.gc.graceMs,
      keepDeletedMs: config.gc.keepDeletedMs,
      readOnly: config.storage.maintenance.readOnly.enabled,
      validation: manifestValidation(config),
    },
  });
  const expiry = uploadExpiry(config, { index, uploads: services.uploads }, logger);
  const collector = new Collector({
    index,
    storage,
    locks,
    clock,
    tree: follower,
    expireUploads: () => expiry?.expireIdle() ?? Promise.resolve(0),
    logRun: (record) => {
      logRun(record, logger);
    },
    pause: pauseFor,
  });
  return {
    tree,
    index,
    storage,
    locks,
    services,
    follower,
    collector,
    expiry,
    agreement,
    announce: (address) => lock?.announce(address),
    close: () => closeRoot({ agreement, collector, services, follower }, owned),
  };
}

async function closeRoot(
  parts: Pick<OpenRoot, "agreement" | "collector" | "services" | "follower">,
  { index, lock }: Owned,
): Promise<void> {
  try {
    await parts.agreement.stop();
    await parts.collector.stop();
    await parts.services.uploads.settle();
    await parts.follower.stop();
    await parts.follower.catchUp();
  } finally {
    await index.close();
    lock?.release();
  }
}

export interface Serving {
  readonly address: string;
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
  const { tree } = root;
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
    scrub?.start(root.agreement.wait(signal));
    return {
      address: server.address,
      stop: async () => {
        health.stop();
        // A cycle under way may take until its batch is over: nothing of it is needed for an answer.
        const collected = schedule?.stop();
        await control?.stop();
        await expiry?.stop();
        await collected;
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

/** @param root is served by this process (`isRunning`), or was opened for this command. */
async function runCommand(
  { root, isRunning }: { readonly root: OpenRoot; readonly isRunning: boolean },
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
    case "garbage-collect-history":
      return await tellHistory(root.index, request.options, asker);
    case "verify":
      if (isRunning) await root.agreement.wait(asker.signal);
      if (root.tree === null) return 0;
      return await verifyRoot(
        { ...root, tree: root.tree, clock: systemClock, isAlone: !isRunning },
        request.options,
        asker,
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

function uploadExpiry(
  config: Config,
  { index, uploads }: { readonly index: Index; readonly uploads: RegistryServices["uploads"] },
  logger: Logger,
): UploadExpiry | null {
  const { uploadPurging, readOnly } = config.storage.maintenance;
  if (!uploadPurging.enabled || readOnly.enabled) return null;
  return new UploadExpiry({
    index,
    uploads,
    clock: systemClock,
    reports: reportsTo(logger),
    options: uploadPurging,
  });
}
