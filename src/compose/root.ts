// Opens a root: takes its lock, puts the parts together that work on it, and brings index and tree to
// agree.
import { join, resolve } from "node:path";
import { reindexProgress } from "./verify.ts";
import type { Config } from "../config/index.ts";
import { diskWatchOf } from "./pressure.ts";
import { pullLogOf, retentionOf } from "./retention.ts";
import { boundsOf, contentBounds, serviceOptions } from "./config-mapping.ts";
import { type CollectionParts, Collector, logRun, pauseFor } from "../gc/index.ts";
import { RenewableIndex } from "../index/renewable-index.ts";
import { createMemoryIndex } from "../index/sqlite-index.ts";
import type { Logger } from "../observability/index.ts";
import type { Digest } from "../oci/index.ts";
import type { Asker } from "../owner/control-socket.ts";
import { ownDirectory, OwnerLock } from "../owner/owner-lock.ts";
import { makeRootDirectory } from "../owner/root-directory.ts";
import { adoptRoot, checkRootIdentity } from "../owner/root-identity.ts";
import type { DiskWatch } from "../pressure/index.ts";
import { auditTo } from "../registry/audit.ts";
import { ContentLimits } from "../registry/content-limits.ts";
import { createRegistry, type RegistryServices } from "../registry/create-registry.ts";
import { isFull } from "../registry/in-halves.ts";
import { type DigestLocks, KeyedLocks } from "../registry/keyed-locks.ts";
import { unboundedLoad } from "../registry/load-line.ts";
import { systemClock } from "../registry/ports/clock.ts";
import type { Index, RunRecord } from "../registry/ports/index.ts";
import type { Storage } from "../registry/ports/storage.ts";
import type { PullLog } from "../registry/pull-log.ts";
import type { Reports, ServiceParts } from "../registry/services.ts";
import { TreeFollower } from "../registry/tree-follower.ts";
import { UploadExpiry } from "../registry/upload-expiry.ts";
import type { Retention } from "../retention/index.ts";
import { openIndexOrSetAside, renewalOf, suspectDamage } from "./renewal.ts";
import { FilesystemStorage } from "../storage/filesystem/filesystem-storage.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { Agreement, type AgreementParts } from "../takeover/agreement.ts";
import { TreeLook } from "../takeover/look.ts";
import { UsageReports } from "../usage/index.ts";

/** A root that this process owns, with everything that works on it. */
export interface OpenRoot {
  /** Null for storage in memory. */
  readonly tree: { readonly rootDirectory: string; readonly indexPath: string } | null;
  readonly logger: Logger;
  readonly index: Index;
  readonly storage: Storage;
  readonly locks: DigestLocks;
  readonly services: RegistryServices;
  readonly follower: TreeFollower;
  readonly collector: Collector;
  readonly usage: UsageReports;
  /** Null when abandoned uploads are left alone. */
  readonly expiry: UploadExpiry | null;
  readonly agreement: Agreement;
  /** Null: how full the storage gets is not watched. */
  readonly watch: DiskWatch | null;
  readonly retention: Retention;
  /** Where this process listens, for the messages of those who come later. */
  announce(address: string): void;
  /** Resolves when the root cannot be worked on any more. */
  readonly failed: Promise<Error>;
  /** Lets the tree follow the last facts, empties the log, and gives the root up. */
  close(): Promise<void>;
}

interface Owned {
  readonly index: Index;
  /** Null: in memory, where nobody can take it away. */
  readonly renewable: RenewableIndex | null;
  readonly storage: Storage;
  readonly lock: OwnerLock | null;
  readonly rootDirectory: string | null;
  readonly watch?: Watch;
}

/** What is told of the work on a root: metrics and traces, if they are asked for. */
export interface Watch {
  timeIndex(index: Index): Index;
  timeStorage(storage: Storage): Storage;
  collectionEnded(record: RunRecord): void;
  /** Does a run, so that what is done in it is known to be its; absent: nobody wants to know. */
  readonly collecting?: NonNullable<CollectionParts["within"]>;
  /** Likewise of the digest of what was uploaded. */
  readonly digesting?: NonNullable<ServiceParts["digesting"]>;
}

/** Whatever works on the root from now on is watched. */
function watched(owned: Owned, watch: Watch | undefined): Owned {
  if (watch === undefined) return owned;
  const { index, storage } = owned;
  return {
    ...owned,
    index: watch.timeIndex(index),
    storage: watch.timeStorage(storage),
    watch,
  };
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
    const storage = new MemoryStorage();
    return { index, renewable: null, storage, lock: null, rootDirectory };
  }
  makeRootDirectory(rootDirectory);
  const lock = OwnerLock.acquire(rootDirectory, command);
  try {
    if (lock.network !== null) {
      logger.warn(
        `the root is on a network file system (${lock.network}): only one host may use it at a time`,
      );
    }
    const path = indexPath(config, rootDirectory);
    const opened = await openIndexOrSetAside(path, rootDirectory, logger);
    const renewable = new RenewableIndex(opened, { path, rootDirectory });
    const storage = new FilesystemStorage(rootDirectory);
    return { index: renewable.index, renewable, storage, lock, rootDirectory };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function indexPath(config: Config, rootDirectory: string): string {
  return config.index.path ?? join(rootDirectory, ownDirectory, "index.db");
}

export function logTo(logger: Logger): AgreementParts["log"] {
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
export async function openRoot(
  config: Config,
  logger: Logger,
  options: Opening,
): Promise<OpenRoot> {
  const owned = await own(config, logger, options.command);
  const root = composeRoot(config, logger, watched(owned, options.watch));
  options.signal?.addEventListener("abort", () => void root.agreement.stop());
  const { readOnly } = config.storage.maintenance;
  const start: Start = { logger, readOnly: readOnly.enabled, ...options };
  try {
    await prepare(owned, root, start).catch(async (error: unknown) => {
      // Damage that the start has met: it has been mended by then.
      if ((await owned.renewable?.renewed()) !== true) throw error;
      await prepare(owned, root, start);
    });
    return root;
  } catch (error) {
    await root.close();
    throw error;
  }
}

interface Opening {
  readonly command: string;
  /** Absent: nobody watches. */
  readonly watch?: Watch;
  readonly signal?: AbortSignal;
  /** Of a command; none: a server. */
  readonly asked?: { readonly options: unknown; readonly tell: Asker["tell"] };
}

interface Start extends Opening {
  readonly readOnly: boolean;
  readonly logger: Logger;
}

async function prepare(owned: Owned, root: OpenRoot, start: Start): Promise<void> {
  const { command, logger, signal = never } = start;
  const isRebuild = command === "reindex";
  // A rebuild believes the tree that is there; everybody else asks whether it is the right one.
  if (isRebuild) await adoptRoot(owned.index, owned.storage);
  else await checkRootIdentity(owned.index, owned.storage);
  // What the tree still owes comes first: only then may the two be compared (INV-2).
  await catchUpAsFits(root.follower, logger);
  await owned.index.interruptRuns(systemClock.now());
  if (!start.readOnly) await owned.index.beginPullTimes(systemClock.now());
  if (isRebuild) {
    await root.agreement.rebuild(signal, await reindexProgress(root.index, start.asked));
  }
  // A comparison would mend what verify is to find, and a server answers before it begins to compare.
  else if (!needsAgreement.has(command)) await root.agreement.buildIfIncomplete();
  else await root.agreement.begin();
}

/** What removes things, foretells that, or brings them back: it has to know all that the tree has (INV-8). */
const needsAgreement: ReadonlySet<string> = new Set([
  "garbage-collect",
  "delete",
  "restore",
  "retention-preview",
  "retention-apply",
]);

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

function treeOf(config: Config, rootDirectory: string | null): OpenRoot["tree"] {
  return rootDirectory === null
    ? null
    : { rootDirectory, indexPath: indexPath(config, rootDirectory) };
}

function composeRoot(config: Config, logger: Logger, owned: Owned): OpenRoot {
  const { index, renewable, storage, lock, rootDirectory } = owned;
  const clock = systemClock;
  const tree = treeOf(config, rootDirectory);
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
    onFailure: (error) => {
      suspectDamage(renewable, error);
    },
  });
  const watch = diskWatchOf(config, { index, storage, rootDirectory, clock }, logTo(logger));
  const pulls = pullLogOf(config, { index, clock, reports });
  const services = createRegistry({
    index,
    storage,
    locks,
    clock,
    reports,
    followTree: () => {
      follower.wake();
    },
    ...(pulls === null ? {} : { pulls }),
    treeLookup: () => (agreement.isAgreed ? null : lookup),
    bounds: boundsOf(config),
    content: new ContentLimits(contentBounds(config)),
    loadLine: watch ?? unboundedLoad,
    audit: auditTo(logger),
    ...(owned.watch?.digesting === undefined ? {} : { digesting: owned.watch.digesting }),
    options: serviceOptions(config),
  });
  const expiry = uploadExpiry(config, { index, uploads: services.uploads }, logger);
  const collector = collectorOf(
    { index, storage, locks, clock, tree: follower, ...withinOf(owned.watch) },
    expiry,
    (record) => {
      logRun(record, logger);
      owned.watch?.collectionEnded(record);
    },
  );
  const failing = Promise.withResolvers<Error>();
  const endpoints = (): string[] => config.notifications.map(({ name }) => name);
  const renewal = { storage, reports, tree, collector, follower, endpoints, log: logTo(logger) };
  renewable?.renewBy(renewalOf({ ...renewal, failed: failing.resolve }));
  return {
    tree,
    logger,
    index,
    storage,
    locks,
    services,
    follower,
    collector,
    usage: new UsageReports({ index, storage, clock, pause: pauseFor }),
    expiry,
    agreement,
    watch,
    retention: retentionOf(config, { index, pulls, follower }, logger),
    announce: (address) => lock?.announce(address),
    failed: failing.promise,
    close: () => closeRoot({ agreement, collector, services, follower, pulls }, owned),
  };
}

function withinOf(watch: Watch | undefined): Pick<CollectionParts, "within"> {
  return watch?.collecting === undefined ? {} : { within: watch.collecting };
}

function collectorOf(
  parts: Pick<CollectionParts, "index" | "storage" | "locks" | "clock" | "tree" | "within">,
  expiry: UploadExpiry | null,
  tellOf: (record: RunRecord) => void,
): Collector {
  return new Collector({
    ...parts,
    expireUploads: () => expiry?.expireIdle() ?? Promise.resolve(0),
    logRun: tellOf,
    pause: pauseFor,
  });
}

async function closeRoot(
  parts: Pick<OpenRoot, "agreement" | "collector" | "services" | "follower"> & {
    readonly pulls: PullLog | null;
  },
  { index, lock }: Owned,
): Promise<void> {
  try {
    await parts.agreement.stop();
    await parts.collector.stop();
    await parts.services.uploads.settle();
    await parts.pulls?.stop();
    await parts.follower.stop();
    await parts.follower.catchUp();
  } finally {
    await index.close();
    lock?.release();
  }
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
