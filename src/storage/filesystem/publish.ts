// Moves an upload's bytes to their final path, durably (INV-1). Never writes at the final path itself:
// what is there is absent, the old file, or the whole new one, at every moment and after a power cut.
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { discardUnsynced } from "./discard-unsynced.ts";
import { type DurableDirectories, fallOutOfStep, roundsMax } from "./durable-directories.ts";
import type { FileSystemCalls } from "./file-system-calls.ts";
import { isAbsent, isNoEntry, systemCode } from "./system-error.ts";
import { temporaryPath } from "./temporary-path.ts";

interface Move {
  /** Absolute. */
  readonly from: string;
  readonly to: string;
}

/** What an fsync says of bytes that it could not keep; not, for one, "too many open files". */
const bytesLostCodes: ReadonlySet<string | null> = new Set(["EIO", "ENOSPC", "EDQUOT"]);

/** @throws the system's error; one of ours when neither the upload nor the final file is there */
export async function publishFile(
  calls: FileSystemCalls,
  directories: DurableDirectories,
  move: Move,
): Promise<void> {
  if (isFile(move.from)) {
    await syncUpload(calls, move.from);
    await moveOver(calls, directories, move);
  } else {
    await finishEarlier(calls, move);
  }
  await directories.settle(dirname(move.to));
}

function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

async function syncUpload(calls: FileSystemCalls, path: string): Promise<void> {
  try {
    await calls.syncPath(path);
  } catch (error) {
    if (bytesLostCodes.has(systemCode(error))) await discardUnsynced(calls, path);
    throw error;
  }
}

/** An earlier call renamed it, and may have been killed before its fsyncs. */
async function finishEarlier(calls: FileSystemCalls, move: Move): Promise<void> {
  try {
    await calls.syncPath(move.to);
  } catch (error) {
    if (!isAbsent(error)) throw error;
    throw new Error("the upload is gone and has not been published", { cause: error });
  }
}

/** Tries again from the first missing directory on while a collector takes empty ones away. */
async function moveOver(
  calls: FileSystemCalls,
  directories: DurableDirectories,
  move: Move,
): Promise<void> {
  await directories.makeUnlessThere(dirname(move.to));
  for (let round = 1; ; round++) {
    try {
      await renameOrCopy(calls, move);
      return;
    } catch (error) {
      if (!isNoEntry(error) || round === roundsMax) throw error;
      // Another call has published the same upload meanwhile: its file is what we were to put there.
      if (!isFile(move.from)) return finishEarlier(calls, move);
      await fallOutOfStep(round);
      await directories.make(dirname(move.to));
    }
  }
}

async function renameOrCopy(calls: FileSystemCalls, move: Move): Promise<void> {
  try {
    await calls.rename(move.from, move.to);
  } catch (error) {
    if (systemCode(error) !== "EXDEV") throw error;
    await copyAcross(calls, move);
  }
}

/** Uploads and blobs lie on different file systems (a symbolic link of the operator's). */
async function copyAcross(calls: FileSystemCalls, move: Move): Promise<void> {
  const temporary = temporaryPath(move.to);
  try {
    await calls.copyFile(move.from, temporary);
    await calls.syncPath(temporary);
    await calls.rename(temporary, move.to);
  } catch (error) {
    await discardUnsynced(calls, temporary);
    throw error;
  }
  await calls.unlink(move.from);
}
