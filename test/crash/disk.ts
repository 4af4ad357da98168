// Roots on the real file system for the crash tests: their ports, opened as compose/root.ts does it but for
// the lock, and copies of them.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { openIndex } from "../../src/index/sqlite-index.ts";
import type { Clock } from "../../src/registry/ports/clock.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { fileSystemCalls } from "../../src/storage/filesystem/file-system-calls.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { Comparison } from "../../src/takeover/comparison.ts";
import { verifyRegistry } from "../../src/takeover/verify.ts";

function indexPathOf(rootDirectory: string): string {
  return join(rootDirectory, "plimsoll/index.db");
}

export function openIndexOf(rootDirectory: string): Promise<Index> {
  return openIndex(indexPathOf(rootDirectory), rootDirectory);
}

/** As after a start, beside whatever else is going on. */
export async function compareWithTree(
  rootDirectory: string,
  index: Index,
  clock: Clock,
): Promise<void> {
  const tree = { rootDirectory, indexPath: indexPathOf(rootDirectory) };
  await new Comparison({ index, tree, clock }).run("compare", new AbortController().signal);
}

/** A process that dies takes nothing with it that it had written: fsync would only cost time. */
export function openStorageOf(rootDirectory: string): FilesystemStorage {
  const nothing = (): Promise<void> => Promise.resolve();
  const calls = { ...fileSystemCalls, fsync: nothing, syncPath: nothing };
  return new FilesystemStorage(rootDirectory, { calls });
}

/** What `registry verify --hash` finds wrong. */
export async function verify(rootDirectory: string, clock: Clock): Promise<readonly string[]> {
  const wrong: string[] = [];
  await verifyRegistry({
    tree: { rootDirectory, indexPath: indexPathOf(rootDirectory) },
    clock,
    hash: true,
    observer: {
      finding: ({ kind, path, detail }) => wrong.push(`verify: ${kind}: ${path}: ${detail}`),
      problem: ({ kind, path, detail }, isHarmless) => {
        if (!isHarmless) wrong.push(`verify: ${kind}: ${path}: ${detail}`);
      },
    },
    signal: new AbortController().signal,
  });
  return wrong;
}

/**
 * A copy of the root as a dead process leaves it: the log of the index stays as it is, the memory that
 * the connections of that process shared does not.
 */
export function copyRoot(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith(".db-shm") });
}
