// Moves a file to a path where nothing is, durable at both ends. Never replaces anything, and never lets
// go of the file before it is durable where it went.
import { lstatSync } from "node:fs";
import { dirname } from "node:path";
import { discardUnsynced } from "./discard-unsynced.ts";
import { type DurableDirectories, roundsMax } from "./durable-directories.ts";
import type { FileSystemCalls } from "./file-system-calls.ts";
import { temporaryPath } from "./temporary-path.ts";
import { isAbsent, isNoEntry, systemCode } from "./system-error.ts";

interface Move {
  /** Absolute. */
  readonly from: string;
  readonly to: string;
}

/** @throws the system's error, or one of ours when something is at the target already */
export async function moveFile(
  calls: FileSystemCalls,
  directories: DurableDirectories,
  move: Move,
): Promise<void> {
  // Whoever moves files excludes others from both paths, so nothing comes between this and the rename.
  if (isThere(move.to)) throw new Error("something is there already");
  for (let round = 1; ; round++) {
    try {
      await calls.rename(move.from, move.to);
      break;
    } catch (error) {
      if (systemCode(error) === "EXDEV") return moveAcross(calls, directories, move);
      if (!isNoEntry(error) || round === roundsMax || !isThere(move.from)) throw error;
      await directories.make(dirname(move.to));
    }
  }
  await directories.settle(dirname(move.to));
  await directories.settle(dirname(move.from));
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** The two ends lie on different file systems (a symbolic link or a mount of the operator's). */
async function moveAcross(
  calls: FileSystemCalls,
  directories: DurableDirectories,
  move: Move,
): Promise<void> {
  const temporary = temporaryPath(move.to);
  await directories.make(dirname(move.to));
  try {
    await calls.copyFile(move.from, temporary);
    await calls.syncPath(temporary);
    await calls.rename(temporary, move.to);
  } catch (error) {
    await discardUnsynced(calls, temporary);
    throw error;
  }
  await directories.settle(dirname(move.to));
  await calls.unlink(move.from);
  await directories.settle(dirname(move.from));
}
