// The system calls with which the driver changes a disk, and no more: a seam for tests, which record
// their order and replay it on a disk that loses power. Paths here are absolute. Reads do not pass here.
// Every call but closeFlushed runs off the event loop; a failure rejects with the system's error (`code`).
import { closeSync, constants, copyFile, fsync, ftruncate, mkdir, open, openSync } from "node:fs";
import { close, rename, rmdir, rm, unlink, write } from "node:fs";
import type { Bulk } from "./bulk-changes.ts";
import { BulkWriter } from "./bulk-writer.ts";
import { directoryMode, fileMode } from "./file-modes.ts";

/** `existing`: must be there; `append`: made when absent; `new`: must not be there. */
export type OpenMode = "existing" | "append" | "new";

export interface FileSystemCalls {
  /** Opens a file for writing; returns its descriptor. */
  open(path: string, mode: OpenMode): Promise<number>;
  /** Writes bytes [from, to) of the buffer at a position of the file; returns how many were written. */
  write(
    fd: number,
    buffer: Uint8Array,
    range: { readonly from: number; readonly to: number; readonly position: number },
  ): Promise<number>;
  truncate(fd: number, sizeBytes: number): Promise<void>;
  fsync(fd: number): Promise<void>;
  close(fd: number): Promise<void>;
  /** Closes what has just been fsynced, inline: nothing is left that could wait for a disk. */
  closeFlushed(fd: number): void;
  /** Opens a file or directory, fsyncs and closes it. */
  syncPath(path: string): Promise<void>;
  copyFile(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Removes a file or directory with all below it, following no symbolic links; absent is fine. */
  removeTree(path: string): Promise<void>;
  /**
   * Many small changes at once, made durable by one sync of their file system (bulk-changes.ts). Returns
   * the paths that are not durable, or not changed at all: perhaps all of them. Never rejects.
   */
  applyBulk(bulk: Bulk): Promise<readonly string[]>;
}

type Done = (error: Error | null) => void;

function called(call: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

const openFlags: Readonly<Record<OpenMode, number>> = {
  existing: constants.O_WRONLY,
  append: constants.O_WRONLY | constants.O_CREAT,
  new: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
};

const bulkWriter = new BulkWriter();

// Callbacks on plain descriptors: FileHandle costs 1.6 times as much a call (measured, Bun 1.4.5).
export const fileSystemCalls: FileSystemCalls = {
  open: (path, mode) =>
    new Promise((resolve, reject) => {
      open(path, openFlags[mode], fileMode, (error, fd) => {
        if (error === null || error === undefined) resolve(fd);
        else reject(error);
      });
    }),
  write: (fd, buffer, { from, to, position }) =>
    new Promise((resolve, reject) => {
      write(fd, buffer, from, to - from, position, (error, written) => {
        if (error === null || error === undefined) resolve(written);
        else reject(error);
      });
    }),
  truncate: (fd, sizeBytes) => called((done) => ftruncate(fd, sizeBytes, done)),
  fsync: (fd) => called((done) => fsync(fd, done)),
  close: (fd) => called((done) => close(fd, done)),
  closeFlushed: closeSync,
  syncPath: async (path) => {
    // Opening what is there reads cached names, and waits for no journal: not worth two more threads.
    const fd = openSync(path, constants.O_RDONLY);
    try {
      await called((done) => fsync(fd, done));
    } finally {
      closeSync(fd);
    }
  },
  copyFile: (from, to) => called((done) => copyFile(from, to, done)),
  rename: (from, to) => called((done) => rename(from, to, done)),
  mkdir: (path) => called((done) => mkdir(path, directoryMode, done)),
  rmdir: (path) => called((done) => rmdir(path, done)),
  unlink: (path) => called((done) => unlink(path, done)),
  removeTree: (path) => called((done) => rm(path, { recursive: true, force: true }, done)),
  applyBulk: (bulk) => bulkWriter.apply(bulk),
};
