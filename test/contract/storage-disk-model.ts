// A disk that may lose power at any moment, beside the real one: makes the driver's system calls, and
// keeps, for every name and every file, all that a power cut could leave behind.
// A name survives only an fsync of its directory that began after the change; bytes likewise only an
// fsync of their file. Whatever is not fsynced may be there, or not, or (bytes) in part: "torn".
// Each call takes effect at one moment between its beginning and its end, as chance will have it; those of
// a bulk come one after the other, with nothing between them but what `onStep` does.
import * as fs from "node:fs";
import { dirname } from "node:path";
import {
  applyInBulk,
  type Bulk,
  type BulkCalls,
} from "../../src/storage/filesystem/bulk-changes.ts";
import type { FileSystemCalls, OpenMode } from "../../src/storage/filesystem/file-system-calls.ts";

/** What one thing has been since it was surely durable, oldest first. */
class History<Value> {
  #changes: { readonly value: Value; readonly at: number }[];

  constructor(durable: Value) {
    this.#changes = [{ value: durable, at: 0 }];
  }

  change(value: Value, at: number): void {
    this.#changes.push({ value, at });
  }

  /** An fsync that began then is over. */
  syncedSince(startedAt: number): void {
    const newest = this.#changes.findLastIndex((change) => change.at <= startedAt);
    this.#changes = this.#changes.slice(Math.max(newest, 0));
  }

  /** What a power cut now may leave. */
  possible(): Value[] {
    return this.#changes.map((change) => change.value);
  }

  current(): Value | undefined {
    return this.#changes.at(-1)?.value;
  }
}

class FileNode {
  readonly contents = new History<string>("");
  bytes: Uint8Array = new Uint8Array(0);
}

class DirectoryNode {
  readonly entries = new Map<string, History<Node | null>>();

  entry(name: string): History<Node | null> {
    const found = this.entries.get(name) ?? new History<Node | null>(null);
    this.entries.set(name, found);
    return found;
  }
}

type Node = FileNode | DirectoryNode;

const flags: Readonly<Record<OpenMode, number>> = {
  existing: fs.constants.O_WRONLY,
  append: fs.constants.O_WRONLY | fs.constants.O_CREAT,
  new: fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

export class DiskModel implements FileSystemCalls {
  /** Called after every effect, and after every fsync. */
  onStep: () => void = () => undefined;
  /** Fails this call (counted from 1) and all later ones, as if the process were dead. */
  dieAt = Infinity;
  calls = 0;
  /** Whether one sync of the whole file system counts, and tells that it has worked. */
  bulkSync: "works" | "fails" | "unknown" = "works";
  /** Paths below these lie on another device than the rest. */
  readonly otherDevices: string[] = [];
  readonly #root: string;
  readonly #tree = new DirectoryNode();
  readonly #open = new Map<number, FileNode>();
  #time = 1;
  #chance = 1;

  /** `root` is an empty directory, itself durable. */
  constructor(root: string) {
    this.#root = root;
  }

  /** All that may be at a path (relative to the root) after a power cut: contents, "torn", "absent". */
  outcomes(path: string): Set<string> {
    let nodes: (Node | null)[] = [this.#tree];
    for (const name of path.slice(1).split("/")) {
      nodes = nodes.flatMap((node) =>
        node instanceof DirectoryNode ? node.entry(name).possible() : [null],
      );
    }
    return new Set(
      nodes.flatMap((node) => (node instanceof FileNode ? node.contents.possible() : ["absent"])),
    );
  }

  /** Somebody else has removed it, in no call of this model. */
  forgetDirectory(path: string): void {
    this.#setEntry(path, null);
  }

  open(path: string, mode: OpenMode): Promise<number> {
    return this.#call(() => this.#openNow(path, mode));
  }

  #openNow(path: string, mode: OpenMode): number {
    const fd = fs.openSync(path, flags[mode]);
    const before = this.#find(path);
    const file = before instanceof FileNode ? before : new FileNode();
    if (file !== before) this.#setEntry(path, file);
    this.#open.set(fd, file);
    return fd;
  }

  write: FileSystemCalls["write"] = (fd, buffer, { from, to, position }) =>
    this.#call(() => this.#writeNow(fd, buffer.subarray(from, to), position));

  #writeNow(fd: number, part: Uint8Array, position: number): number {
    const written = fs.writeSync(fd, part, 0, part.length, position);
    const file = this.#opened(fd);
    const bytes = new Uint8Array(Math.max(position + written, file.bytes.length));
    bytes.set(file.bytes);
    bytes.set(part.subarray(0, written), position);
    this.#setContent(file, bytes);
    return written;
  }

  truncate(fd: number, sizeBytes: number): Promise<void> {
    return this.#call(() => {
      fs.ftruncateSync(fd, sizeBytes);
      const file = this.#opened(fd);
      this.#setContent(file, file.bytes.slice(0, sizeBytes));
    });
  }

  async fsync(fd: number): Promise<void> {
    const startedAt = this.#time++;
    const file = await this.#call(() => this.#opened(fd));
    file.contents.syncedSince(startedAt);
    this.onStep();
  }

  async syncPath(path: string): Promise<void> {
    const startedAt = this.#time++;
    const node = await this.#call(() => {
      fs.statSync(path);
      return this.#find(path);
    });
    if (node instanceof FileNode) node.contents.syncedSince(startedAt);
    if (node instanceof DirectoryNode) {
      for (const entry of node.entries.values()) entry.syncedSince(startedAt);
    }
    this.onStep();
  }

  close(fd: number): Promise<void> {
    this.closeFlushed(fd);
    return Promise.resolve();
  }

  /** Also what happens to a dead process's files. */
  closeFlushed(fd: number): void {
    this.#open.delete(fd);
    fs.closeSync(fd);
  }

  copyFile(from: string, to: string): Promise<void> {
    return this.#call(() => {
      fs.copyFileSync(from, to);
      const source = this.#find(from);
      const copy = new FileNode();
      this.#setEntry(to, copy);
      if (source instanceof FileNode) this.#setContent(copy, source.bytes);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call(() => this.#renameNow(from, to));
  }

  #renameNow(from: string, to: string): void {
    fs.renameSync(from, to);
    this.#setEntry(to, this.#find(from));
    this.#setEntry(from, null);
  }

  mkdir(path: string): Promise<void> {
    return this.#call(() => this.#mkdirNow(path));
  }

  #mkdirNow(path: string): void {
    fs.mkdirSync(path);
    this.#setEntry(path, new DirectoryNode());
  }

  rmdir(path: string): Promise<void> {
    return this.#removal(path, () => {
      fs.rmdirSync(path);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#removal(path, () => {
      fs.unlinkSync(path);
    });
  }

  removeTree(path: string): Promise<void> {
    return this.#removal(path, () => {
      fs.rmSync(path, { recursive: true, force: true });
    });
  }

  /** What the worker does, in one go: its calls are this model's, each a step. */
  async applyBulk(bulk: Bulk): Promise<readonly string[]> {
    await this.#while();
    try {
      return applyInBulk(this.#bulkCalls(), bulk);
    } catch {
      return bulk.changes.map(({ absolutePath }) => absolutePath);
    }
  }

  #bulkCalls(): BulkCalls {
    return {
      openFileSystem: (directory) => {
        fs.statSync(directory);
        if (this.bulkSync === "unknown") return null;
        const sync = (): boolean => this.#step(() => this.#syncAll());
        return { device: this.#deviceOf(directory), sync, close: () => undefined };
      },
      writeNew: (path, content) => {
        const fd = this.#step(() => this.#openNow(path, "new"));
        try {
          this.#step(() => this.#writeNow(fd, Buffer.from(content), 0));
          return this.#deviceOf(path);
        } finally {
          this.closeFlushed(fd);
        }
      },
      deviceOf: (path) => {
        fs.statSync(path);
        return this.#deviceOf(path);
      },
      rename: (from, to) => this.#step(() => this.#renameNow(from, to)),
      mkdir: (path) => this.#step(() => this.#mkdirNow(path)),
      unlink: (path) => {
        this.#step(() => {
          fs.unlinkSync(path);
          if (this.#find(path) !== null) this.#setEntry(path, null);
        });
      },
    };
  }

  #deviceOf(path: string): number {
    return this.otherDevices.findIndex((other) => `${path}/`.startsWith(`${other}/`));
  }

  /** All names and bytes, but those on other devices. */
  #syncAll(): boolean {
    if (this.bulkSync !== "works") return false;
    const startedAt = this.#time++;
    const sync = (node: DirectoryNode, path: string): void => {
      for (const [name, entry] of node.entries) {
        entry.syncedSince(startedAt);
        const below = entry.current();
        if (this.#deviceOf(`${path}/${name}`) !== -1) continue;
        if (below instanceof FileNode) below.contents.syncedSince(startedAt);
        if (below instanceof DirectoryNode) sync(below, `${path}/${name}`);
      }
    };
    sync(this.#tree, this.#root);
    return true;
  }

  /** One call of a process that does nothing else meanwhile. */
  #step<Result>(effect: () => Result): Result {
    this.calls++;
    if (this.calls >= this.dieAt) throw new Error("the process is dead");
    const result = effect();
    this.onStep();
    return result;
  }

  #removal(path: string, remove: () => void): Promise<void> {
    return this.#call(() => {
      remove();
      if (this.#find(path) !== null) this.#setEntry(path, null);
    });
  }

  async #call<Result>(effect: () => Result): Promise<Result> {
    this.calls++;
    if (this.calls >= this.dieAt) throw new Error("the process is dead");
    await this.#while();
    const result = effect();
    this.onStep();
    await this.#while();
    return result;
  }

  /** Some rounds of the event loop, so that concurrent calls meet in every order. */
  async #while(): Promise<void> {
    this.#chance = (this.#chance * 48_271) % 2_147_483_647;
    for (let i = this.#chance % 4; i > 0; i--) await new Promise(setImmediate);
  }

  #opened(fd: number): FileNode {
    const file = this.#open.get(fd);
    if (file === undefined) throw new Error("unknown descriptor");
    return file;
  }

  #setEntry(path: string, node: Node | null): void {
    const parent = this.#find(dirname(path));
    if (!(parent instanceof DirectoryNode)) throw new Error(`the model knows no ${path}`);
    parent.entry(path.slice(dirname(path).length + 1)).change(node, this.#time++);
  }

  #setContent(file: FileNode, bytes: Uint8Array): void {
    file.bytes = bytes;
    file.contents.change("torn", this.#time++);
    file.contents.change(Buffer.from(bytes).toString(), this.#time++);
  }

  /** What is at an absolute path now. */
  #find(path: string): Node | null {
    if (path === this.#root) return this.#tree;
    let node: Node | null = this.#tree;
    for (const name of path.slice(this.#root.length + 1).split("/")) {
      node = node instanceof DirectoryNode ? (node.entry(name).current() ?? null) : null;
    }
    return node;
  }
}
