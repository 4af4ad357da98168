// Makes directories, and makes their entries durable, up to the root. Knows which directories need no
// second fsync, and shares one fsync among those who wait for the same directory (INV-1).
// Never trusts what it has not fsynced itself: a process killed before may have left entries undone.
import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { FileSystemCalls } from "./file-system-calls.ts";
import { isAbsent, isNoEntry, systemCode } from "./system-error.ts";

/** A collector may take a new directory away again and again; each round is a few system calls. */
export const roundsMax = 100;
const roundsInStepMax = 10;
const restMsMax = 2;

/** Before another round: two that go in step would hinder each other in each of them. */
export async function fallOutOfStep(round: number): Promise<void> {
  if (round > roundsInStepMax) await Bun.sleep(Math.random() * restMsMax);
}

/** Some megabytes at the longest paths. Forgetting them all costs one fsync each, nothing else. */
const knownDirectoriesMax = 10_000;

interface SharedSync {
  readonly running: Promise<void>;
  /** For those who came while it ran: it may have begun before their change. */
  next: Promise<void> | null;
}

export class DurableDirectories {
  readonly #calls: FileSystemCalls;
  readonly #root: string;
  /**
   * Directories whose entry in their parent is durable. Still right after a concurrent rmdir: a
   * directory comes back only through `make`, which takes it out of here before the mkdir.
   */
  readonly #known = new Set<string>();
  /** Confirmations under way; `make` revokes them, as they may have looked at an earlier directory. */
  readonly #confirming = new Map<string, Set<{ revoked: boolean }>>();
  /** The root and directories above it that were made here and are not durable yet. */
  readonly #newAbove = new Set<string>();
  /** Directories that somebody else may be making now; none of them becomes known meanwhile. */
  readonly #foreign = new Set<ReadonlySet<string>>();
  readonly #syncs = new Map<string, SharedSync>();

  constructor(calls: FileSystemCalls, root: string) {
    this.#calls = calls;
    this.#root = root;
  }

  /** As `make`; where the directory is there already, no more than a look. */
  async makeUnlessThere(directory: string): Promise<void> {
    // Inline: it costs less than a call that fails for want of the directory.
    if (statSync(directory, { throwIfNoEntry: false }) === undefined) await this.make(directory);
  }

  /** mkdir -p. The directory may be gone again when it resolves. */
  async make(directory: string): Promise<void> {
    for (let round = 1; ; round++) {
      this.#forget(directory);
      try {
        await this.#calls.mkdir(directory);
        if (directory.length <= this.#root.length) this.#newAbove.add(directory);
        return;
      } catch (error) {
        if (systemCode(error) === "EEXIST") return;
        if (!isNoEntry(error) || round === roundsMax || directory === "/") throw error;
        await fallOutOfStep(round);
        await this.make(dirname(directory));
      }
    }
  }

  /**
   * Makes all names in the directory durable, and its own on every level up to the root. Where the
   * directory is gone, its absence becomes durable.
   */
  async settle(directory: string): Promise<void> {
    // All at once: a journal writes them together.
    const waiting = [this.#syncNearest(directory)];
    for (let at = directory; at.length > this.#root.length; at = dirname(at)) {
      if (!this.#known.has(at)) waiting.push(this.#confirm(at));
    }
    for (const made of this.#newAbove) waiting.push(this.#confirmAbove(made));
    await allSettled(waiting);
  }

  /** While `work` makes some of these directories, past `make`, none of them counts as known. */
  async besides<Result>(
    directories: ReadonlySet<string>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const forget = (): void => {
      for (const directory of directories) this.#forget(directory);
    };
    forget();
    this.#foreign.add(directories);
    try {
      return await work();
    } finally {
      this.#foreign.delete(directories);
      // Confirmations under way may have looked before the last of these was made.
      forget();
    }
  }

  async #syncNearest(directory: string): Promise<void> {
    let at = directory;
    while (!(await this.#syncIfThere(at)) && at.length > this.#root.length) at = dirname(at);
  }

  /** False when the directory is not there. */
  async #syncIfThere(directory: string): Promise<boolean> {
    try {
      await this.#sync(directory);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  async #confirm(directory: string): Promise<void> {
    const token = { revoked: false };
    const tokens = this.#confirming.get(directory) ?? new Set();
    this.#confirming.set(directory, tokens.add(token));
    try {
      // Where the parent has been removed meanwhile, nobody has anything in here any more.
      await this.#syncIfThere(dirname(directory));
      if (!token.revoked) this.#know(directory);
    } finally {
      tokens.delete(token);
      if (tokens.size === 0) this.#confirming.delete(directory);
    }
  }

  async #confirmAbove(directory: string): Promise<void> {
    await this.#sync(dirname(directory));
    this.#newAbove.delete(directory);
  }

  #know(directory: string): void {
    for (const directories of this.#foreign) if (directories.has(directory)) return;
    if (this.#known.size >= knownDirectoriesMax) this.#known.clear();
    this.#known.add(directory);
  }

  #forget(directory: string): void {
    this.#known.delete(directory);
    for (const token of this.#confirming.get(directory) ?? []) token.revoked = true;
  }

  #sync(directory: string): Promise<void> {
    const shared = this.#syncs.get(directory);
    if (shared === undefined) return this.#startSync(directory);
    const start = (): Promise<void> => this.#startSync(directory);
    // The failure of the one that runs is told to those who wait for it.
    shared.next ??= shared.running.then(start, start);
    return shared.next;
  }

  #startSync(directory: string): Promise<void> {
    const shared: SharedSync = { running: this.#syncNow(directory), next: null };
    this.#syncs.set(directory, shared);
    const forget = (): void => {
      if (shared.next === null) this.#syncs.delete(directory);
    };
    shared.running.then(forget, forget);
    return shared.running;
  }

  async #syncNow(directory: string): Promise<void> {
    try {
      await this.#calls.syncPath(directory);
    } catch (error) {
      // File systems that cannot fsync a directory say so like this, and keep entries as they can.
      const code = systemCode(error);
      if (code !== "EINVAL" && code !== "ENOTSUP" && code !== "EOPNOTSUPP") throw error;
    }
  }
}

/** Waits for all, then throws the first failure: nothing goes on behind the caller's back. */
export async function allSettled(waiting: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(waiting);
  for (const result of results) if (result.status === "rejected") throw result.reason as Error;
}
