// Makes the tree follow the facts (INV-2): applies redo records in batches, off the request path, and
// clears them once the files and directories that they name are durable. Never reads the tree.
import { dirname } from "node:path/posix";
import { digestAlgorithms, type RepositoryName } from "../oci/index.ts";
import {
  repositoriesRoot,
  repositoryDirectory,
  revisionsDirectory,
  tagsDirectory,
  treePlacePath,
} from "../storage/layout.ts";
import { inHalves, isFull } from "./in-halves.ts";
import type { Index, RedoRecord, TreePlace } from "./ports/index.ts";
import type { SmallFileChange, Storage } from "./ports/storage.ts";
import type { Reports } from "./services.ts";

/** Links written together share the fsync of their directories; also bounds memory. */
const batchMax = 512;
/** Measured: one after another, 1,100 links cost a third of the CPU time of the collection that removes them. */
const directoriesAtOnce = 8;
/** Patience lets the records of many pushes come together: from 8 on one sync makes them durable (ADR 6). */
const gatherMs = 500;
/** After a failure (a full disk, say) the tree is tried again this much later. */
const retryMs = 2_000;

export interface FollowerParts {
  readonly index: Pick<Index, "pendingRedo" | "newestRedo" | "clearRedo">;
  readonly storage: Storage;
  readonly reports: Reports;
}

export class TreeFollower {
  readonly #parts: FollowerParts;
  #timer: Timer | null = null;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** Something was committed. Returns at once. */
  wake(): void {
    this.#schedule(gatherMs);
  }

  /**
   * Applies everything that is owed now; resolves when that is done. What comes to be owed meanwhile is
   * left to a later run, so pushes that go on cannot keep this one from ending. @throws StorageError
   */
  async catchUp(): Promise<void> {
    while (this.#running !== null) await this.#running;
    const run = this.#applyAll();
    this.#running = run.catch(() => undefined).finally(() => (this.#running = null));
    await run;
  }

  /** No more runs of its own; one under way is waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#running !== null) await this.#running;
  }

  /** What is under way has come to its end, whatever that was. */
  async settle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  #schedule(delayMs: number): void {
    if (this.#stopped || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.catchUp().catch((error: unknown) => {
        this.#parts.reports.error("the tree could not follow the index; trying again", error);
        this.#schedule(retryMs);
      });
    }, delayMs);
  }

  async #applyAll(): Promise<void> {
    const { index } = this.#parts;
    const newest = await index.newestRedo();
    for (let applied = 0; applied < newest;) {
      const records = await index.pendingRedo(batchMax);
      const last = records.at(-1);
      if (last === undefined) return;
      await this.#applyAsFits(records);
      await this.#clear(records);
      applied = last.version;
    }
  }

  /** On a disk that is too full for a link, what goes from the tree goes all the same. */
  async #applyAsFits(records: readonly RedoRecord[]): Promise<void> {
    try {
      await this.#apply(records);
    } catch (error) {
      const removals = records.filter(({ stands }) => !stands);
      if (isFull(error) && removals.length > 0) {
        await this.#apply(removals);
        await this.#clear(removals);
      }
      throw error;
    }
  }

  async #clear(records: readonly RedoRecord[]): Promise<void> {
    await inHalves(records, (part) => this.#parts.index.clearRedo(part));
  }

  async #apply(records: readonly RedoRecord[]): Promise<void> {
    const { storage } = this.#parts;
    const links = records.filter(({ place }) => place.kind !== "repository");
    const changes = links.map(({ place, value }): SmallFileChange => {
      return { path: treePlacePath(place), content: value };
    });
    await storage.applyChanges(changes);
    await this.#removeEmptyOf(links.filter(({ stands }) => !stands));
    for (const { place, stands } of records) {
      if (place.kind !== "repository" || stands) continue;
      for (const directory of repositorySubdirectories(place.repository)) {
        await storage.removeEmptyDirectories(directory, repositoriesRoot);
      }
    }
  }

  /** Each link's own directory, some at once, and then what is above them, where many meet, once. */
  async #removeEmptyOf(links: readonly RedoRecord[]): Promise<void> {
    const { storage } = this.#parts;
    const above = new Map<string, string>();
    const waiting = links.values();
    const removeOwn = async (): Promise<void> => {
      for (const { place } of waiting) {
        const directory = dirname(treePlacePath(place));
        const parent = dirname(directory);
        const kept = keptDirectory(place);
        await storage.removeEmptyDirectories(directory, parent);
        if (parent !== kept) above.set(parent, kept);
      }
    };
    const results = await Promise.allSettled(Array.from({ length: directoriesAtOnce }, removeOwn));
    // Nothing goes on behind a failure.
    for (const result of results) if (result.status === "rejected") throw result.reason as Error;
    for (const [directory, kept] of above) await storage.removeEmptyDirectories(directory, kept);
  }
}

/** The directory that stays when a link's own go: a repository's go only with the repository. */
function keptDirectory(place: TreePlace): string {
  const isOfTag = place.kind === "tag" || place.kind === "tag-history";
  return isOfTag ? tagsDirectory(place.repository) : repositoryDirectory(place.repository);
}

/** The directories that an emptied repository may leave behind, deepest first. */
function repositorySubdirectories(repository: RepositoryName): string[] {
  const directory = repositoryDirectory(repository);
  return [
    ...digestAlgorithms.map((algorithm) => `${directory}/_layers/${algorithm}`),
    ...digestAlgorithms.map((algorithm) => revisionsDirectory(repository, algorithm)),
    `${directory}/_layers`,
    `${directory}/_manifests/revisions`,
    tagsDirectory(repository),
    `${directory}/_manifests`,
    `${directory}/_uploads`,
    directory,
  ];
}
