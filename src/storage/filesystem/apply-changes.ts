// Applies many changes of small files, then makes each touched directory durable once (INV-2).
// Never leaves a change running behind a failure.
import { dirname } from "node:path";
import { allSettled, type DurableDirectories } from "./durable-directories.ts";
import type { FileSystemCalls } from "./file-system-calls.ts";
import { writeWhole } from "./small-files.ts";
import { isAbsent, toStorageError } from "./system-error.ts";

/** Measured: 4,000 small durable files take 2.2 s with 16 at once and 3 s one after another. */
const concurrentMax = 16;

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
  await forEachAtOnce([...byPath.values()], (change) => applyChange(calls, directories, change));
  const touched = new Set(Array.from(byPath.keys(), (path) => dirname(path)));
  await forEachAtOnce([...touched], (directory) => directories.settle(directory));
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
