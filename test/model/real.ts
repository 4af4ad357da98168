// The real registry of the model tests: services, collector and tree follower over SQLite and a storage in
// memory, which outlive the process that uses them. It can be stopped and killed, at rest or at the n-th
// change of a port, and is opened again from what is durable.
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import type { Digest, RepositoryName } from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { DyingIndex } from "../crash/dying-index.ts";
import { takeInUnknown } from "../crash/live-on.ts";
import { storedBlobs } from "../crash/stored-tree.ts";
import { createWorld, endWorld, TestClock, type World } from "../crash/world.ts";
import { FaultyStorage } from "../support/faulty-storage.ts";

export interface Death {
  readonly of: "storage" | "index";
  /** The changing call at which the process dies, from 1. */
  readonly at: number;
  readonly when: "before" | "after";
}

/** An upload that a client has begun and may take up again. */
export interface Session {
  readonly id: string;
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

/** The process died in the middle of what was asked of it. */
export class Died extends Error {}

export class Real {
  readonly clock = new TestClock();
  readonly sessions: Session[] = [];
  /** Ids of all uploads that ever began. */
  readonly begun: string[] = [];
  readonly #storage = new MemoryStorage(this.clock);
  readonly #sizes = new Map<Digest, number>();
  readonly #index = createMemoryIndex({
    link: () => null,
    blobSizeBytes: (digest) => this.#sizes.get(digest) ?? null,
  });
  /** Operations of the index that have been carried out since it was last emptied, answered or not. */
  readonly done = new Set<string>();
  #dying: DyingIndex;
  #world: World;

  constructor() {
    [this.#dying, this.#world] = this.#start(null);
  }

  get world(): World {
    return this.#world;
  }

  get isDead(): boolean {
    return this.#dying.isDead;
  }

  #start(death: Death | null): [DyingIndex, World] {
    const fault = death === null ? null : ({ kind: "throw", ...death } as const);
    const storage = new FaultyStorage(this.#storage, death?.of === "storage" ? fault : null);
    const recorded = this.#record(this.#index);
    const dying = new DyingIndex(recorded, death?.of === "index" ? fault : null, storage);
    return [dying, createWorld({ index: dying.index, storage, clock: this.clock })];
  }

  #record(index: Index): Index {
    return new Proxy(index, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return async (...args: unknown[]): Promise<unknown> => {
          const answer: unknown = await method.apply(target, args);
          this.done.add(String(name));
          if (name === "beginUpload") this.begun.push((args[0] as { readonly id: string }).id);
          return answer;
        };
      },
    });
  }

  /** A clean stop: what was begun is ended, the tree is complete. Then it starts again. */
  async restart(): Promise<void> {
    await this.#world.collector.stop();
    await this.#world.services.uploads.settle();
    await this.#world.follower.catchUp();
    await this.#world.follower.stop();
    await this.#reopen(null);
  }

  /** Whatever is under way never happens; then it starts again, to die once more if `next` says so. */
  async kill(next: Death | null = null): Promise<void> {
    this.#dying.die();
    await endWorld(this.#world);
    await this.#dying.settle();
    await this.#reopen(next);
  }

  /** As every start: the tree is given what it is owed, then what only the tree has is taken in. */
  async #reopen(death: Death | null): Promise<void> {
    [this.#dying, this.#world] = this.#start(null);
    await this.#world.follower.catchUp();
    this.#sizes.clear();
    for (const [digest, bytes] of await storedBlobs(this.#storage)) {
      this.#sizes.set(digest, bytes.length);
    }
    await takeInUnknown(this.#world);
    if (death !== null) [this.#dying, this.#world] = this.#start(death);
  }
}
