// Writes small files whole or not at all: a temporary file beside the path, fsynced, then renamed over
// it, as the classic registry does since 3.1 (2.x wrote in place, and left zero-byte links behind).
// Removes the temporary file after a failure. Never makes names durable: the caller settles directories.
import { dirname } from "node:path";
import { discardUnsynced } from "./discard-unsynced.ts";
import { type DurableDirectories, fallOutOfStep, roundsMax } from "./durable-directories.ts";
import type { FileSystemCalls } from "./file-system-calls.ts";
import { isNoEntry } from "./system-error.ts";
import { temporaryPath } from "./temporary-path.ts";

/** `absolutePath` is made with its directories, or replaced. @throws the system's error */
export async function writeWhole(
  calls: FileSystemCalls,
  directories: DurableDirectories,
  file: { readonly absolutePath: string; readonly content: Uint8Array },
): Promise<void> {
  await directories.makeUnlessThere(dirname(file.absolutePath));
  for (let round = 1; ; round++) {
    try {
      await writeOnce(calls, file.absolutePath, file.content);
      return;
    } catch (error) {
      if (!isNoEntry(error) || round === roundsMax) throw error;
      await fallOutOfStep(round);
      await directories.make(dirname(file.absolutePath));
    }
  }
}

async function writeOnce(
  calls: FileSystemCalls,
  absolutePath: string,
  content: Uint8Array,
): Promise<void> {
  const temporary = temporaryPath(absolutePath);
  const fd = await calls.open(temporary, "new");
  try {
    try {
      await writeAll(calls, fd, content);
      await calls.fsync(fd);
    } finally {
      calls.closeFlushed(fd);
    }
    await calls.rename(temporary, absolutePath);
  } catch (error) {
    await discardUnsynced(calls, temporary);
    throw error;
  }
}

async function writeAll(calls: FileSystemCalls, fd: number, content: Uint8Array): Promise<void> {
  for (let at = 0; at < content.length;) {
    const written = await calls.write(fd, content, { from: at, to: content.length, position: at });
    if (written <= 0) throw new Error("the system wrote nothing and named no error");
    at += written;
  }
}
