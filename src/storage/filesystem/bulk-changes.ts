// Many changes of small files by synchronous calls, made durable together by one sync of their file
// system (INV-2): for a thread of its own. A reader sees each file whole or not at all; a power cut before
// that sync may leave an empty one. Leaves to its caller whatever it is not sure of, and never says why.
import { dirname } from "node:path";
import { isAbsent, isNoEntry, systemCode } from "./system-error.ts";
import { temporaryPath } from "./temporary-path.ts";

export interface BulkChange {
  readonly absolutePath: string;
  readonly content: string | Uint8Array | null;
}

export interface Bulk {
  /** A directory above all changes; never made, and nothing above it. */
  readonly base: string;
  readonly changes: readonly BulkChange[];
}

/** Opened before the first change, so that no failure of the disk after it goes unheard. */
export interface OpenFileSystem {
  readonly device: number;
  /** Whether everything done on it before is durable now. */
  sync(): boolean;
  close(): void;
}

/** What it calls; a seam for tests, as file-system-calls.ts is. A failure throws the system's error. */
export interface BulkCalls {
  /** Null where one sync is not known to make everything durable. */
  openFileSystem(directory: string): OpenFileSystem | null;
  /** Writes a file that must not be there; returns the device that it lies on. */
  writeNew(path: string, content: string | Uint8Array): number;
  /** The device of what is at the path. */
  deviceOf(path: string): number;
  rename(from: string, to: string): void;
  mkdir(path: string): void;
  unlink(path: string): void;
}

/** A collector may take a new directory away again and again. */
const roundsMax = 20;

/** Returns the paths that are not durable, or not changed at all; all others are. */
export function applyInBulk(calls: BulkCalls, { base, changes }: Bulk): string[] {
  const all = (): string[] => changes.map(({ absolutePath }) => absolutePath);
  const fileSystem = calls.openFileSystem(base);
  if (fileSystem === null) return all();
  try {
    const place = { base, device: fileSystem.device };
    const left = changes.filter((change) => !isChanged(calls, place, change));
    return fileSystem.sync() ? left.map(({ absolutePath }) => absolutePath) : all();
  } finally {
    fileSystem.close();
  }
}

interface Place {
  readonly base: string;
  readonly device: number;
}

function isChanged(calls: BulkCalls, place: Place, change: BulkChange): boolean {
  const { absolutePath, content } = change;
  try {
    return content === null
      ? isRemoved(calls, place, absolutePath)
      : isWritten(calls, place, { absolutePath, content });
  } catch {
    // The caller tries it again in its own way, and tells what went wrong if it goes wrong again.
    return false;
  }
}

function isWritten(
  calls: BulkCalls,
  place: Place,
  file: { readonly absolutePath: string; readonly content: string | Uint8Array },
): boolean {
  for (let round = 1; ; round++) {
    try {
      return isWrittenOnce(calls, place, file);
    } catch (error) {
      if (!isNoEntry(error) || round === roundsMax) throw error;
      makeBelow(calls, place.base, dirname(file.absolutePath));
    }
  }
}

function isWrittenOnce(
  calls: BulkCalls,
  place: Place,
  file: { readonly absolutePath: string; readonly content: string | Uint8Array },
): boolean {
  const temporary = temporaryPath(file.absolutePath);
  try {
    // A directory of the operator's may lead to another file system.
    if (calls.writeNew(temporary, file.content) === place.device) {
      calls.rename(temporary, file.absolutePath);
      return true;
    }
  } catch (error) {
    if (!isNoEntry(error)) removeIfThere(calls, temporary);
    throw error;
  }
  removeIfThere(calls, temporary);
  return false;
}

/** mkdir -p below the base. The directory may be gone again when it returns. */
function makeBelow(calls: BulkCalls, base: string, directory: string): void {
  for (let round = 1; directory.length > base.length; round++) {
    try {
      calls.mkdir(directory);
      return;
    } catch (error) {
      if (systemCode(error) === "EEXIST") return;
      if (!isNoEntry(error) || round === roundsMax) throw error;
      makeBelow(calls, base, dirname(directory));
    }
  }
}

function isRemoved(calls: BulkCalls, place: Place, path: string): boolean {
  if (nearestDevice(calls, place, dirname(path)) !== place.device) return false;
  removeIfThere(calls, path);
  return true;
}

function nearestDevice(calls: BulkCalls, place: Place, directory: string): number {
  for (let at = directory; at.length > place.base.length; at = dirname(at)) {
    try {
      return calls.deviceOf(at);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
  return place.device;
}

function removeIfThere(calls: BulkCalls, path: string): void {
  try {
    calls.unlink(path);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}
