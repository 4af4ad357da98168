// Directories and files in memory, as a file system keeps them: an empty directory stays until it is
// removed. Knows nothing of the port but its errors; memory.ts speaks for it.
import { StorageError } from "../registry/ports/storage.ts";

const contentType = "application/octet-stream";

export class MemoryFile {
  #pieces: (Blob | Uint8Array<ArrayBuffer>)[] = [];
  #sizeBytes = 0;
  modifiedMs: number;

  constructor(modifiedMs: number) {
    this.modifiedMs = modifiedMs;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Takes a copy. */
  append(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#pieces.push(chunk.slice());
    this.#sizeBytes += chunk.length;
  }

  truncate(sizeBytes: number): void {
    this.#pieces = [this.body().slice(0, sizeBytes, contentType)];
    this.#sizeBytes = sizeBytes;
  }

  /** The bytes as they are now; later appends make another Blob. */
  body(): Blob {
    const [first] = this.#pieces;
    if (this.#pieces.length === 1 && first instanceof Blob) return first;
    const joined = new Blob(this.#pieces, { type: contentType });
    this.#pieces = [joined];
    return joined;
  }
}

export class MemoryDirectory {
  readonly children = new Map<string, MemoryNode>();
}

export type MemoryNode = MemoryFile | MemoryDirectory;

/** Null when nothing is there. */
export function findNode(root: MemoryDirectory, path: string): MemoryNode | null {
  let node: MemoryNode | undefined = root;
  for (const name of namesIn(path)) {
    if (!(node instanceof MemoryDirectory)) return null;
    node = node.children.get(name);
    if (node === undefined) return null;
  }
  return node;
}

/** Makes what is missing on the way. @throws StorageError io when a file is in the way */
export function makeDirectories(root: MemoryDirectory, path: string): MemoryDirectory {
  let directory = root;
  for (const name of namesIn(path)) {
    let next = directory.children.get(name);
    if (next === undefined) {
      next = new MemoryDirectory();
      directory.children.set(name, next);
    }
    if (!(next instanceof MemoryDirectory)) {
      throw new StorageError("io", `cannot make ${path}: ${name} is a file`);
    }
    directory = next;
  }
  return directory;
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function namesIn(path: string): string[] {
  return path === "/" ? [] : path.slice(1).split("/");
}
