// The storage port in memory (the classic `inmemory` driver): for tests and for trying things out.
// Behaves as the file system does in everything that the port promises, durability excepted: nothing
// outlives the process.
import { type Clock, systemClock } from "../registry/ports/clock.ts";
import { StorageError } from "../registry/ports/storage.ts";
import type {
  BlobBody,
  DirectoryEntry,
  FileStat,
  SmallFileChange,
  Storage,
  UploadWriter,
} from "../registry/ports/storage.ts";
import { checkBelow, checkedEntryPath, checkedPath, parentOf } from "./checked-path.ts";
import {
  findNode,
  makeDirectories,
  MemoryDirectory,
  MemoryFile,
  type MemoryNode,
  nameOf,
} from "./memory-tree.ts";

export class MemoryStorage implements Storage {
  readonly #root = new MemoryDirectory();
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async stat(path: string): Promise<FileStat | null> {
    const file = this.#find(checkedPath(path));
    if (!(file instanceof MemoryFile)) return null;
    return { sizeBytes: file.sizeBytes, modifiedMs: file.modifiedMs };
  }

  read(path: string, range?: { readonly start: number; readonly end: number }): BlobBody {
    const file = this.#find(checkedEntryPath(path));
    if (!(file instanceof MemoryFile)) return failing(path);
    const body = file.body();
    return range === undefined ? body : body.slice(range.start, range.end, body.type);
  }

  async readSmall(path: string, bytesMax: number): Promise<Uint8Array | null> {
    const file = this.#find(checkedPath(path));
    if (!(file instanceof MemoryFile)) return null;
    if (file.sizeBytes > bytesMax) {
      throw new StorageError(
        "too-large",
        `${path} has ${file.sizeBytes} bytes; at most ${bytesMax} are read`,
      );
    }
    return file.body().bytes();
  }

  async *list(path: string): AsyncGenerator<DirectoryEntry> {
    const directory = this.#find(checkedPath(path));
    if (!(directory instanceof MemoryDirectory)) return;
    // As it was at the beginning: who lists may add and remove meanwhile.
    for (const [name, node] of new Map(directory.children)) {
      yield { name, kind: node instanceof MemoryFile ? "file" : "directory" };
    }
  }

  async openUpload(path: string): Promise<UploadWriter> {
    const directory = makeDirectories(this.#root, parentOf(checkedEntryPath(path)));
    let file = directory.children.get(nameOf(path));
    if (file instanceof MemoryDirectory) throw new StorageError("io", `${path} is a directory`);
    if (file === undefined) {
      file = new MemoryFile(this.#clock.now());
      directory.children.set(nameOf(path), file);
    }
    return new MemoryUpload(file, this.#clock, path);
  }

  async truncate(path: string, sizeBytes: number): Promise<void> {
    const file = this.#find(checkedEntryPath(path));
    if (!(file instanceof MemoryFile)) {
      throw new StorageError("io", `cannot cut ${path}: it is not there`);
    }
    if (file.sizeBytes < sizeBytes) {
      throw new StorageError(
        "io",
        `cannot cut ${path}: it has ${file.sizeBytes} bytes, fewer than ${sizeBytes}`,
      );
    }
    file.truncate(sizeBytes);
    file.modifiedMs = this.#clock.now();
  }

  async publish(uploadPath: string, finalPath: string): Promise<void> {
    const file = this.#find(checkedEntryPath(uploadPath));
    const before = this.#find(checkedEntryPath(finalPath));
    if (file instanceof MemoryFile) {
      this.#put(finalPath, file);
      this.#take(uploadPath);
    } else if (!(before instanceof MemoryFile)) {
      throw new StorageError(
        "io",
        `cannot publish ${uploadPath} as ${finalPath}: the upload is gone and has not been published`,
      );
    }
  }

  async move(from: string, to: string): Promise<void> {
    const file = this.#find(checkedEntryPath(from));
    const before = this.#find(checkedEntryPath(to));
    if (!(file instanceof MemoryFile) || before !== null) {
      const reason = before === null ? "it is not there" : "something is there already";
      throw new StorageError("io", `cannot move ${from} to ${to}: ${reason}`);
    }
    this.#put(to, file);
    this.#take(from);
  }

  async putFile(path: string, content: Uint8Array): Promise<void> {
    const file = new MemoryFile(this.#clock.now());
    file.append(content);
    this.#put(checkedEntryPath(path), file);
  }

  async applyChanges(changes: readonly SmallFileChange[]): Promise<void> {
    for (const { path } of changes) checkedEntryPath(path);
    for (const { path, content } of changes) {
      if (content === null) await this.remove(path);
      else await this.putFile(path, typeof content === "string" ? Buffer.from(content) : content);
    }
  }

  async remove(path: string): Promise<void> {
    const node = this.#find(checkedEntryPath(path));
    if (node instanceof MemoryDirectory) {
      throw new StorageError("io", `cannot remove ${path}: it is a directory`);
    }
    if (node !== null) this.#take(path);
  }

  async removeAll(path: string): Promise<void> {
    if (this.#find(checkedEntryPath(path)) !== null) this.#take(path);
  }

  async removeEmptyDirectories(path: string, stopAt: string): Promise<void> {
    checkBelow(path, stopAt);
    for (let at = path; at !== stopAt; at = parentOf(at)) {
      const node = this.#find(at);
      if (node === null) continue;
      if (node instanceof MemoryFile || node.children.size > 0) return;
      this.#take(at);
    }
  }

  async check(): Promise<void> {
    // Memory that is there can be written to.
  }

  #find(path: string): MemoryNode | null {
    return findNode(this.#root, path);
  }

  #put(path: string, file: MemoryFile): void {
    const directory = makeDirectories(this.#root, parentOf(path));
    if (directory.children.get(nameOf(path)) instanceof MemoryDirectory) {
      throw new StorageError("io", `cannot write ${path}: it is a directory`);
    }
    directory.children.set(nameOf(path), file);
  }

  #take(path: string): void {
    const directory = this.#find(parentOf(path));
    if (directory instanceof MemoryDirectory) directory.children.delete(nameOf(path));
  }
}

class MemoryUpload implements UploadWriter {
  readonly #file: MemoryFile;
  readonly #clock: Clock;
  readonly #path: string;
  #open = true;

  constructor(file: MemoryFile, clock: Clock, path: string) {
    this.#file = file;
    this.#clock = clock;
    this.#path = path;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  get waitingBytes(): number {
    return 0;
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#checkOpen();
    this.#file.append(chunk);
    this.#file.modifiedMs = this.#clock.now();
  }

  async sync(): Promise<void> {
    this.#checkOpen();
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #checkOpen(): void {
    if (!this.#open) throw new Error(`the upload ${this.#path} is closed`);
  }
}

/** Fails when it is read, as a file that has vanished does. */
function failing(path: string): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      controller.error(Object.assign(new Error(`no such file: ${path}`), { code: "ENOENT" }));
    },
  });
}
