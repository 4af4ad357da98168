// A storage that fails at a call of one's choice: the process is killed there, or seems to be, or the
// disk is full from there on. Counts every call that changes something, appends and syncs included.
// Never changes what a call does, but for failing it.
import {
  type BlobBody,
  type DirectoryEntry,
  type FileStat,
  type SmallFileChange,
  type Storage,
  StorageError,
  type UploadWriter,
} from "../../src/registry/ports/storage.ts";

export type Fault =
  /** SIGKILL to this process, just before or just after the call that is the `at`-th, from 1. */
  | { readonly kind: "kill"; readonly at: number; readonly when: "before" | "after" }
  /** As kill, but the process lives on: that call and every later one, reads too, throws. */
  | { readonly kind: "throw"; readonly at: number; readonly when: "before" | "after" }
  /** From the `at`-th call on, what needs room fails. Removals go on. */
  | { readonly kind: "full"; readonly at: number };

export class FaultyStorage implements Storage {
  /** May be changed at any time; null: no fault. */
  fault: Fault | null;
  readonly #inner: Storage;
  #calls = 0;
  #dead = false;

  constructor(inner: Storage, fault: Fault | null = null) {
    this.#inner = inner;
    this.fault = fault;
  }

  /** How many changing calls there were. */
  get calls(): number {
    return this.#calls;
  }

  /** A `throw` has happened. */
  get isDead(): boolean {
    return this.#dead;
  }

  async stat(path: string): Promise<FileStat | null> {
    this.#checkAlive();
    return this.#inner.stat(path);
  }

  read(path: string, range?: { readonly start: number; readonly end: number }): BlobBody {
    this.#checkAlive();
    return this.#inner.read(path, range);
  }

  async readSmall(path: string, bytesMax: number): Promise<Uint8Array | null> {
    this.#checkAlive();
    return this.#inner.readSmall(path, bytesMax);
  }

  async *list(path: string): AsyncGenerator<DirectoryEntry> {
    this.#checkAlive();
    for await (const entry of this.#inner.list(path)) {
      this.#checkAlive();
      yield entry;
    }
  }

  async openUpload(path: string): Promise<UploadWriter> {
    const writer = await this.#changing(true, () => this.#inner.openUpload(path));
    return {
      get sizeBytes(): number {
        return writer.sizeBytes;
      },
      get waitingBytes(): number {
        return writer.waitingBytes;
      },
      append: (chunk) => this.#changing(true, () => writer.append(chunk)),
      sync: () => this.#changing(true, () => writer.sync()),
      close: async () => {
        // A dead process's descriptors are closed too; what it had not yet written is another matter.
        await writer.close();
        this.#checkAlive();
      },
    };
  }

  truncate(path: string, sizeBytes: number): Promise<void> {
    return this.#changing(false, () => this.#inner.truncate(path, sizeBytes));
  }

  publish(uploadPath: string, finalPath: string): Promise<void> {
    return this.#changing(true, () => this.#inner.publish(uploadPath, finalPath));
  }

  move(from: string, to: string): Promise<void> {
    return this.#changing(true, () => this.#inner.move(from, to));
  }

  putFile(path: string, content: Uint8Array): Promise<void> {
    return this.#changing(true, () => this.#inner.putFile(path, content));
  }

  applyChanges(changes: readonly SmallFileChange[]): Promise<void> {
    const needsRoom = changes.some((change) => change.content !== null);
    return this.#changing(needsRoom, () => this.#inner.applyChanges(changes));
  }

  remove(path: string): Promise<void> {
    return this.#changing(false, () => this.#inner.remove(path));
  }

  removeAll(path: string): Promise<void> {
    return this.#changing(false, () => this.#inner.removeAll(path));
  }

  removeEmptyDirectories(path: string, stopAt: string): Promise<void> {
    return this.#changing(false, () => this.#inner.removeEmptyDirectories(path, stopAt));
  }

  /** Not counted: health checks come when they will. */
  async check(): Promise<void> {
    this.#checkAlive();
    if (this.fault?.kind === "full" && this.#calls >= this.fault.at) throw full();
    return this.#inner.check();
  }

  async #changing<Result>(needsRoom: boolean, act: () => Promise<Result>): Promise<Result> {
    this.#checkAlive();
    const call = ++this.#calls;
    const { fault } = this;
    if (fault?.kind === "full") {
      if (needsRoom && call >= fault.at) throw full();
      return act();
    }
    if (fault === null || call !== fault.at) return act();
    if (fault.when === "after") await act();
    return this.#die(fault.kind);
  }

  async #die(kind: "kill" | "throw"): Promise<never> {
    if (kind === "kill") {
      process.kill(process.pid, "SIGKILL");
      // Not one step further, should the signal take a moment.
      return new Promise(() => undefined);
    }
    this.#dead = true;
    throw dead();
  }

  #checkAlive(): void {
    if (this.#dead) throw dead();
  }
}

function dead(): Error {
  return new Error("the process is dead, as the test asked");
}

function full(): StorageError {
  return new StorageError("full", "no space left on the disk, as the test asked");
}
