// The worker thread that applies changes in bulk: its calls wait for the disk, and nobody waits for it
// but the tree's follower. Knows for which file systems one sync makes everything durable.
import { dlopen } from "bun:ffi";
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { release } from "node:os";
import { applyInBulk, type BulkCalls, type OpenFileSystem } from "./bulk-changes.ts";
import type { FromBulk, ToBulk } from "./bulk-messages.ts";
import { directoryMode, fileMode } from "./file-modes.ts";

declare const self: Worker;

/**
 * Numbers of statfs(2) of file systems whose sync makes names, directories and bytes durable. Not of
 * FUSE, where the kernel asks nobody, nor of network file systems.
 */
const syncedWhole: ReadonlySet<number> = new Set([
  0xef53, // ext4 and its elders
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x01021994, // tmpfs, which keeps nothing either way
]);

/** Before Linux 5.8 a sync of a file system does not tell that bytes were lost. */
const kernelThatTells: readonly [number, number] = [5, 8];

type SyncFileSystem = (fd: number) => number;

function loadSync(): SyncFileSystem | null {
  const [major = 0, minor = 0] = release()
    .split(".")
    .map((part) => Number.parseInt(part, 10));
  const [tells, minorTells] = kernelThatTells;
  if (process.platform !== "linux") return null;
  if (major < tells || (major === tells && minor < minorTells)) return null;
  for (const library of [
    "libc.so.6",
    `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
  ]) {
    try {
      return dlopen(library, { syncfs: { args: ["int"], returns: "int" } }).symbols.syncfs;
    } catch {
      // Another C library than this one: then the next, and without any the files are synced one by one.
    }
  }
  return null;
}

const syncFileSystem = loadSync();

function openFileSystem(directory: string): OpenFileSystem | null {
  if (syncFileSystem === null) return null;
  if (!syncedWhole.has(statfsSync(directory).type)) return null;
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  return {
    device: fstatSync(fd).dev,
    sync: () => syncFileSystem(fd) === 0,
    close: () => {
      closeSync(fd);
    },
  };
}

const calls: BulkCalls = {
  openFileSystem,
  writeNew: (path, content) => {
    const fd = openSync(path, "wx", fileMode);
    try {
      writeFileSync(fd, content);
      return fstatSync(fd).dev;
    } finally {
      closeSync(fd);
    }
  },
  deviceOf: (path) => statSync(path).dev,
  rename: renameSync,
  mkdir: (path) => {
    mkdirSync(path, directoryMode);
  },
  unlink: unlinkSync,
};

function post(message: FromBulk): void {
  self.postMessage(message);
}

self.onmessage = ({ data }: MessageEvent<ToBulk>) => {
  try {
    post({ id: data.id, left: applyInBulk(calls, data.bulk) });
  } catch {
    // The directory is not there, say: the caller does it its own way, and tells if that fails too.
    post({ id: data.id, left: data.bulk.changes.map(({ absolutePath }) => absolutePath) });
  }
};
