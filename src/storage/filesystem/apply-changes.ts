// Applies many changes of small files and makes them durable (INV-2): few by an fsync of each file and
// touched directory, many by one sync of the file system. Never leaves a change running behind a failure.
import { dirname } from "node:path";
import { allSettled, type DurableDirectories } from "./durable-directories.ts";
import type { FileSystemCalls } from "./file-system-calls.ts";
import { writeWhole } from "./small-files.ts";
import { isAbsent, toStorageError } from "./system-error.ts";

/** Measured: 4,000 small durable files take 2.2 s with 16 at once and 3 s one after another. */
const concurrentMax = 16;

/**
 * From here on one sync of the file system is cheaper, though it waits for everybody's bytes, those of
 * big uploads under way too (ADR 6). Only the tree's follower, for whom nobody waits, has so many.
 */
export const bulkMin = 8;

export interface AbsoluteChange {
  /** Relative to the root, for messages. */
  readonly path: string;
  readonly absolutePath: string;
  readonly content: string | Uint8Array | null;
}

export async function applySmallFileChanges(
  calls: FileSystemCalls,
  directories: DurableDirectories,
  changes: readonly AbsoluteChange[],
): Promise<void> {
  // Of two changes of one file the later one counts.
  const byPath = new Map(changes.map((change) => [change.absolutePath, change]));
  const left = byPath.size < bulkMin ? byPath : await applyMany(calls, directories, byPath);
  await forEachAtOnce([...left.values()], (change) => applyChange(calls, directories, change));
  const touched = new Set(Array.from(left.keys(), (path) => dirname(path)));
  await forEachAtOnce([...touched], (directory) => directories.settle(directory));
}

type Changes = ReadonlyMap<string, AbsoluteChange>;

/** Returns those that are still to be made: all of them, where one sync is not known to be enough. */
async function applyMany(
  calls: FileSystemCalls,
  directories: DurableDirectories,
  byPath: Changes,
): Promise<Changes> {
  const touched = new Set(Array.from(byPath.keys(), (path) => dirname(path)));
  const base = commonDirectory(touched);
  const bulk = {
    base,
    changes: Array.from(byPath.values(), ({ absolutePath, content }) => ({
      absolutePath,
      content,
    })),
  };
  // Made here and not by the worker, so that what is known of the directories above stays right.
  if (bulk.changes.some(({ content }) => content !== null)) await directories.make(base);
  const left = await directories.besides(withParents(touched, base), () => calls.applyBulk(bulk));
  if (left.length === byPath.size) return byPath;
  // The base and all above it may be on other file systems than what lies below.
  await directories.settle(base);
  const leftPaths = new Set(left);
  return new Map([...byPath].filter(([path]) => leftPaths.has(path)));
}

function commonDirectory(directories: ReadonlySet<string>): string {
  let common: string | null = null;
  for (const directory of directories) {
    common ??= directory;
    while (!`${directory}/`.startsWith(`${common}/`)) common = dirname(common);
  }
  return common ?? "/";
}

/** With those on the way up to the base, without the base itself. */
function withParents(directories: ReadonlySet<string>, base: string): Set<string> {
  const all = new Set<string>();
  for (const directory of directories) {
    for (let at = directory; at.length > base.length && !all.has(at); at = dirname(at)) all.add(at);
  }
  return all;
}

async function applyChange(
  calls: FileSystemCalls,
  directories: DurableDirectories,
  { path, absolutePath, content }: AbsoluteChange,
): Promise<void> {
  try {
    if (content === null) {
      await calls.unlink(absolutePath);
    } else {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      await writeWhole(calls, directories, { absolutePath, content: bytes });
    }
  } catch (error) {
    if (content === null && isAbsent(error)) return;
    throw toStorageError(`cannot ${content === null ? "remove" : "write"} ${path}`, error);
  }
}

/** At most `concurrentMax` at a time; after a failure begins no more, and waits for those that run. */
async function forEachAtOnce<Item>(
  items: readonly Item[],
  act: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const work = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const item = items[next++];
      if (item === undefined) return;
      try {
        await act(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await allSettled(Array.from({ length: Math.min(concurrentMax, items.length) }, work));
}
