// Reads a tree with synchronous calls: for a worker thread, never for the main one. Never writes.
// Tells "nothing is there" (null) from "cannot be looked at" (throws): the second stops collection
// (INV-7). Symbolic links are read as what they point to. A seam for tests, which inject failures.
import {
  closeSync,
  constants,
  type Dirent,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import { blobsRoot, repositoriesRoot } from "../storage/layout.ts";

export interface TreeStat {
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface TreeEntry {
  /** Escaped where it is not UTF-8: then no path can be made of it. */
  readonly name: string;
  readonly isUtf8: boolean;
  readonly isSymbolicLink: boolean;
  /** Of a symbolic link: null, its target has not been looked at. */
  readonly isDirectory: boolean | null;
}

/** Paths begin with "/" and are relative to the root. Everything throws the system's error. */
export interface TreeReader {
  /** Null: nothing is there, or no directory. */
  entries(path: string): readonly TreeEntry[] | null;
  /** The names alone, escaped where they are not UTF-8: for directories that may hold very many. */
  names(path: string): readonly string[] | null;
  stat(path: string): TreeStat | null;
  /** The same for two names of one real directory; null: nothing is there. */
  identity(path: string): string | null;
  /** Whether a symbolic link makes it a second name of a directory that has a place of its own here. */
  isAlias(path: string): boolean;
  /** The first bytes of a file as text; null: there is no such file. */
  text(path: string): string | null;
  /** A whole file, at most `bytesMax` and one byte more of it. */
  bytes(path: string, bytesMax: number): Uint8Array | null;
  /** Reads a file in pieces, each overwritten by the next; returns false when there is no file. */
  pieces(path: string): Generator<Uint8Array, boolean>;
}

/** A link is at most 135 bytes; of a file that is longer, this much shows that it is none. */
const textBytesMax = 1024;
const pieceBytes = 1024 * 1024;
/** What a decoder puts in place of bytes that are not UTF-8; also a character of its own. */
const replacement = "\uFFFD";
/** A pipe in the place of a file must not hold us. */
const readOnly = constants.O_RDONLY | constants.O_NONBLOCK;

export function systemCode(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

function isAbsent(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

export class FileTreeReader implements TreeReader {
  readonly #root: string;
  readonly #text = Buffer.allocUnsafeSlow(textBytesMax);
  readonly #piece = Buffer.allocUnsafeSlow(pieceBytes);

  constructor(rootDirectory: string) {
    this.#root = rootDirectory;
  }

  entries(path: string): readonly TreeEntry[] | null {
    const found = unlessAbsent(() => readdirSync(this.#root + path, { withFileTypes: true }));
    if (found === null) return this.#nothingAt(path);
    const entries = found.map((entry) => this.#entryOf(path, entry));
    if (entries.every(({ name }) => !name.includes(replacement))) return entries;
    return [
      ...entries.filter(({ name }) => !name.includes(replacement)),
      ...this.#undecodable(path).map((name) => this.#byBytes(path, name)),
    ];
  }

  names(path: string): readonly string[] | null {
    const names = unlessAbsent(() => readdirSync(this.#root + path));
    if (names === null) return this.#nothingAt(path);
    if (names.every((name) => !name.includes(replacement))) return names;
    return [
      ...names.filter((name) => !name.includes(replacement)),
      ...this.#undecodable(path).map(nameOf),
    ];
  }

  stat(path: string): TreeStat | null {
    const found = unlessAbsent(() => statSync(this.#root + path, { throwIfNoEntry: false }));
    if (found === null || found === undefined) return null;
    return {
      isFile: found.isFile(),
      isDirectory: found.isDirectory(),
      sizeBytes: found.size,
      modifiedMs: Math.round(found.mtimeMs),
    };
  }

  identity(path: string): string | null {
    const found = unlessAbsent(() => statSync(this.#root + path, { throwIfNoEntry: false }));
    return found === null || found === undefined ? null : `${found.dev}:${found.ino}`;
  }

  isAlias(path: string): boolean {
    const root = unlessAbsent(() => realpathSync.native(this.#root)) ?? this.#root;
    const real = unlessAbsent(() => realpathSync.native(this.#root + path));
    if (real === null || real === root + path) return false;
    return [blobsRoot, repositoriesRoot].some((place) => real.startsWith(`${root}${place}/`));
  }

  text(path: string): string | null {
    return this.#reading(path, (fd) => {
      const length = readSync(fd, this.#text, 0, textBytesMax, null);
      return this.#text.toString("latin1", 0, length);
    });
  }

  bytes(path: string, bytesMax: number): Uint8Array | null {
    return this.#reading(path, (fd) => {
      const parts: Uint8Array[] = [];
      let length = 0;
      while (length <= bytesMax) {
        const want = Math.min(pieceBytes, bytesMax + 1 - length);
        const read = readSync(fd, this.#piece, 0, want, null);
        if (read === 0) break;
        parts.push(new Uint8Array(this.#piece.subarray(0, read)));
        length += read;
      }
      return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    });
  }

  *pieces(path: string): Generator<Uint8Array, boolean> {
    const fd = this.#open(path);
    if (fd === null) return false;
    try {
      for (;;) {
        const read = readSync(fd, this.#piece, 0, pieceBytes, null);
        if (read === 0) return true;
        yield this.#piece.subarray(0, read);
      }
    } finally {
      closeSync(fd);
    }
  }

  #reading<Result>(path: string, read: (fd: number) => Result): Result | null {
    const fd = this.#open(path);
    if (fd === null) return null;
    try {
      return read(fd);
    } catch (error) {
      // A directory in the place of a file is no such file.
      if (systemCode(error) === "EISDIR") return null;
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  #open(path: string): number | null {
    try {
      return openSync(this.#root + path, readOnly);
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }

  /** A symbolic link to nowhere may be a disk that is not mounted: that is not "nothing". */
  #nothingAt(path: string): null {
    const link = unlessAbsent(() => lstatSync(this.#root + path, { throwIfNoEntry: false }));
    if (link?.isSymbolicLink() !== true || this.stat(path) !== null) return null;
    throw Object.assign(new Error("a symbolic link to nothing"), { code: "ENOENT" });
  }

  #entryOf(directory: string, entry: Dirent): TreeEntry {
    const known = entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();
    const type = known
      ? entry
      : // Some file systems do not tell in the listing.
        (lstatSync(`${this.#root}${directory}/${entry.name}`, { throwIfNoEntry: false }) ?? entry);
    return {
      name: entry.name,
      isUtf8: true,
      isSymbolicLink: type.isSymbolicLink(),
      isDirectory: type.isSymbolicLink() ? null : type.isDirectory(),
    };
  }

  /** Names whose text holds a replacement character, as the bytes that they are. */
  #undecodable(path: string): Buffer[] {
    return readdirSync(this.#root + path, { encoding: "buffer" }).filter((name) =>
      name.toString().includes(replacement),
    );
  }

  #byBytes(directory: string, name: Buffer): TreeEntry {
    const path = Buffer.concat([Buffer.from(`${this.#root}${directory}/`), name]);
    const found = lstatSync(path, { throwIfNoEntry: false });
    return {
      name: nameOf(name),
      isUtf8: Buffer.from(name.toString()).equals(name),
      isSymbolicLink: found?.isSymbolicLink() ?? false,
      isDirectory: found?.isSymbolicLink() === true ? null : (found?.isDirectory() ?? false),
    };
  }
}

function unlessAbsent<Result>(look: () => Result): Result | null {
  try {
    return look();
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function nameOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  return Buffer.from(text).equals(bytes) ? text : escapeBytes(bytes);
}

/** Printable ASCII as it is, everything else as \xff. */
function escapeBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}
