// Makes this process the owner of a root: its lock, then its index and its tree, or all of it in memory.
// What works on them is put together in root.ts.
import { join, resolve } from "node:path";
import type { Config } from "../config/index.ts";
import type { CollectionParts } from "../gc/index.ts";
import { RenewableIndex } from "../index/renewable-index.ts";
import { createMemoryIndex } from "../index/sqlite-index.ts";
import type { Logger } from "../observability/index.ts";
import { ownDirectory, OwnerLock } from "../owner/owner-lock.ts";
import { makeRootDirectory } from "../owner/root-directory.ts";
import type { Index, RunRecord } from "../registry/ports/index.ts";
import type { Storage } from "../registry/ports/storage.ts";
import type { ServiceParts } from "../registry/services.ts";
import { FilesystemStorage } from "../storage/filesystem/filesystem-storage.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { openIndexOrSetAside } from "./renewal.ts";

/** A root that belongs to this process until the lock is released. */
export interface OwnedRoot {
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
export function watched(owned: OwnedRoot, watch: Watch | undefined): OwnedRoot {
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

/** @throws RootOwnedError when another process owns it. */
export async function own(config: Config, logger: Logger, command: string): Promise<OwnedRoot> {
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

export function indexPath(config: Config, rootDirectory: string): string {
  return config.index.path ?? join(rootDirectory, ownDirectory, "index.db");
}
