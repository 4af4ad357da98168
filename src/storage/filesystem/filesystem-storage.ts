// The storage port on a POSIX file system, in place under one root directory. Checks every path, and
// says what went wrong in the port's terms. Never blocks the event loop but for a stat.
// Design: docs/design/storage-layout.md.
import { fstatSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { StorageError } from "../../registry/ports/storage.ts";
import type {
  BlobBody,
  DirectoryEntry,
  FileStat,
  SmallFileChange,
  Storage,
  UploadWriter,
} from "../../registry/ports/storage.ts";
import { checkBelow, checkedEntryPath, checkedPath, parentOf } from "../checked-path.ts";
import { AliasGuard } from "./alias-guard.ts";
import { applySmallFileChanges } from "./apply-changes.ts";
import { DurableDirectories, roundsMax } from "./durable-directories.ts";
import { type FileSystemCalls, fileSystemCalls } from "./file-system-calls.ts";
import { HealthCheck } from "./health-check.ts";
import { listDirectory } from "./listing.ts";
import { moveFile } from "./move-file.ts";
import { publishFile } from "./publish.ts";
import { writeWhole } from "./small-files.ts";
import { isAbsent, isNoEntry, systemCode, toStorageError } from "./system-error.ts";
import { UploadFile } from "./upload-file.ts";
import { WriteBack } from "./write-back.ts";

/** What rmdir says of a directory that stays: not empty, a symbolic link, a mount point. */
const staysCodes: ReadonlySet<string | null> = new Set(["ENOTEMPTY", "EEXIST", "ENOTDIR", "EBUSY"]);

export class FilesystemStorage implements Storage {
  readonly #root: string;
  readonly #calls: FileSystemCalls;
  readonly #directories: DurableDirectories;
  readonly #health: HealthCheck;
  readonly #aliases: AliasGuard;
  readonly #writeBack: WriteBack;

  /** `calls`: only tests give others than the system's. Looks at no disk yet. */
  constructor(rootDirectory: string, options: { readonly calls?: FileSystemCalls } = {}) {
    const root = resolve(rootDirectory);
    this.#root = root === "/" ? "" : root;
    this.#calls = options.calls ?? fileSystemCalls;
    this.#directories = new DurableDirectories(this.#calls, root);
    this.#health = new HealthCheck(this.#calls, this.#root);
    this.#aliases = new AliasGuard(this.#root);
    this.#writeBack = new WriteBack(this.#calls);
  }

  stat(path: string): Promise<FileStat | null> {
    return tried(`cannot look at ${path}`, () => Promise.resolve(this.#statNow(path)));
  }

  read(path: string, range?: { readonly start: number; readonly end: number }): BlobBody {
    // By path and never by descriptor: a slice of a descriptor sends the whole file's length.
    const file = Bun.file(this.#entry(path), { type: "application/octet-stream" });
    return range === undefined ? file : file.slice(range.start, range.end, file.type);
  }

  readSmall(path: string, bytesMax: number): Promise<Uint8Array | null> {
    return tried(`cannot read ${path}`, async () => {
      const found = this.#statNow(path);
      if (found === null) return null;
      if (found.sizeBytes > bytesMax) {
        throw new StorageError(
          "too-large",
          `${path} has ${found.sizeBytes} bytes; at most ${bytesMax} are read`,
        );
      }
      try {
        // No further than the bound, should the file have grown since.
        return await Bun.file(this.#entry(path)).slice(0, bytesMax).bytes();
      } catch (error) {
        if (isAbsent(error)) return null;
        throw error;
      }
    });
  }

  async *list(path: string): AsyncGenerator<DirectoryEntry> {
    const absolutePath = path === "/" ? this.#root || "/" : `${this.#root}${checkedPath(path)}`;
    try {
      yield* listDirectory(absolutePath);
    } catch (error) {
      throw toStorageError(`cannot list ${path}`, error);
    }
  }

  openUpload(path: string): Promise<UploadWriter> {
    return tried(`cannot open ${path}`, async () => {
      const absolutePath = this.#entry(path);
      const fd = await this.#openAppending(absolutePath);
      return new UploadFile({
        path,
        absolutePath,
        fd,
        sizeBytes: fstatSync(fd).size,
        calls: this.#calls,
        writeBack: this.#writeBack,
        settle: () => this.#directories.settle(dirname(absolutePath)),
      });
    });
  }

  truncate(path: string, sizeBytes: number): Promise<void> {
    return tried(`cannot cut ${path}`, async () => {
      const fd = await this.#calls.open(this.#entry(path), "existing");
      try {
        const size = fstatSync(fd).size;
        if (size < sizeBytes) throw new Error(`it has ${size} bytes, fewer than ${sizeBytes}`);
        await this.#calls.truncate(fd, sizeBytes);
      } finally {
        await this.#calls.close(fd);
      }
    });
  }

  publish(uploadPath: string, finalPath: string): Promise<void> {
    return tried(`cannot publish ${uploadPath} as ${finalPath}`, () => {
      const move = { from: this.#entry(uploadPath), to: this.#entry(finalPath) };
      return publishFile(this.#calls, this.#directories, move);
    });
  }

  move(from: string, to: string): Promise<void> {
    return tried(`cannot move ${from} to ${to}`, () => {
      const paths = { from: this.#entry(from), to: this.#entry(to) };
      return moveFile(this.#calls, this.#directories, paths);
    });
  }

  putFile(path: string, content: Uint8Array): Promise<void> {
    return tried(`cannot write ${path}`, async () => {
      const absolutePath = this.#entry(path);
      await writeWhole(this.#calls, this.#directories, { absolutePath, content });
      await this.#directories.settle(dirname(absolutePath));
    });
  }

  applyChanges(changes: readonly SmallFileChange[]): Promise<void> {
    return tried("cannot change files", () => {
      const absolute = changes.map(({ path, content }) => ({
        path,
        absolutePath: this.#entry(path),
        content,
      }));
      // What lies behind another name of it is needed there, for all that is known here.
      const safe = absolute.filter(
        ({ absolutePath, content }) =>
          content !== null || !this.#aliases.isAlias(dirname(absolutePath)),
      );
      return applySmallFileChanges(this.#calls, this.#directories, safe);
    });
  }

  remove(path: string): Promise<void> {
    return tried(`cannot remove ${path}`, async () => {
      const absolutePath = this.#entry(path);
      if (this.#aliases.isAlias(dirname(absolutePath))) {
        throw new StorageError(
          "denied",
          `${path} is left alone: its directory is a symbolic link to another one of this tree`,
        );
      }
      try {
        await this.#calls.unlink(absolutePath);
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
    });
  }

  removeAll(path: string): Promise<void> {
    return tried(`cannot remove ${path}`, async () => {
      try {
        const absolutePath = this.#entry(path);
        // What a finished upload leaves is an empty directory.
        if (!(await this.#removeDirectory(path))) await this.#calls.removeTree(absolutePath);
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
    });
  }

  removeEmptyDirectories(path: string, stopAt: string): Promise<void> {
    return tried(`cannot remove the directory ${path}`, async () => {
      checkBelow(path, stopAt);
      let at = path;
      while (at !== stopAt && (await this.#removeDirectory(at))) at = parentOf(at);
    });
  }

  check(): Promise<void> {
    return tried("cannot write to the storage", () => this.#health.run());
  }

  /** @throws StorageError invalid-path */
  #entry(path: string): string {
    return `${this.#root}${checkedEntryPath(path)}`;
  }

  #statNow(path: string): FileStat | null {
    if (path === "/") return null;
    const absolutePath = this.#entry(path);
    try {
      const found = statSync(absolutePath, { throwIfNoEntry: false });
      if (found?.isFile() !== true) return null;
      return { sizeBytes: found.size, modifiedMs: found.mtimeMs };
    } catch (error) {
      // A symbolic link to itself leads nowhere, as one to nothing does.
      if (isAbsent(error) || systemCode(error) === "ELOOP") return null;
      throw error;
    }
  }

  async #openAppending(absolutePath: string): Promise<number> {
    const directory = dirname(absolutePath);
    await this.#directories.makeUnlessThere(directory);
    for (let round = 1; ; round++) {
      try {
        return await this.#calls.open(absolutePath, "append");
      } catch (error) {
        if (!isNoEntry(error) || round === roundsMax) throw error;
        await this.#directories.make(directory);
      }
    }
  }

  /** False when it stays. One that is gone already lets its parents be looked at all the same. */
  async #removeDirectory(path: string): Promise<boolean> {
    try {
      await this.#calls.rmdir(`${this.#root}${path}`);
      return true;
    } catch (error) {
      if (isNoEntry(error)) return true;
      if (staysCodes.has(systemCode(error))) return false;
      throw error;
    }
  }
}

async function tried<Result>(what: string, act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    throw toStorageError(what, error);
  }
}
