// The port to the bytes: paths and their contents, nothing of repositories.
// A path begins with "/" and is relative to the root, as storage/layout.ts draws it
// (e.g. "/docker/registry/v2/blobs/sha256/ab/ab…/data"). Drivers refuse a path with "." or ".." parts.
// One contract suite (test/contract/storage.test.ts and its neighbours) holds for every driver.

/** What a file is now. */
export interface FileStat {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/** One name in a directory. Symbolic links are reported as what they point to (INV-7). */
export interface DirectoryEntry {
  readonly name: string;
  readonly kind: "file" | "directory" | "other";
}

/** A body for a response: a (slice of a) Bun.file where there is a file, so that sendfile serves it. */
export type BlobBody = Blob | ReadableStream<Uint8Array>;

/** A small file to write (`content`), or to remove (null). */
export interface SmallFileChange {
  readonly path: string;
  readonly content: string | Uint8Array | null;
}

/** An open append-only file. One writer at a time; the caller sees to that (INV-1). */
export interface UploadWriter {
  /** Bytes written so far, what was there at opening included. */
  readonly sizeBytes: number;
  /** Of these, what is gathered in memory and not in the file yet. */
  readonly waitingBytes: number;
  /** Appends all of the chunk. Resolves when it may be reused. Not durable yet. */
  append(chunk: Uint8Array): Promise<void>;
  /** Makes everything appended so far durable. */
  sync(): Promise<void>;
  /** Closes the file; what was appended stays. Idempotent. */
  close(): Promise<void>;
}

export interface Storage {
  /** Null when nothing is there; a directory counts as nothing. Cheap: inline on a file system. */
  stat(path: string): Promise<FileStat | null>;

  /**
   * The bytes [start, end) of a file, to be sent as a body. Call after `stat` has seen the file; a file
   * that vanishes in between fails when the body is read, with an error whose `code` is ENOENT.
   */
  read(path: string, range?: { readonly start: number; readonly end: number }): BlobBody;

  /** A whole small file, or null when it is not there. @throws StorageError when larger than the bound. */
  readSmall(path: string, bytesMax: number): Promise<Uint8Array | null>;

  /** The names in a directory, in no order; [] when it is not there. @throws StorageError if unreadable. */
  list(path: string): AsyncIterable<DirectoryEntry>;

  /** Opens a file for appending, creating it and its directories. */
  openUpload(path: string): Promise<UploadWriter>;

  /** Cuts a file that an upload writes to, so that it holds `sizeBytes` bytes. */
  truncate(path: string, sizeBytes: number): Promise<void>;

  /**
   * Moves an upload's file to its final path, replacing what is there. Durable when it resolves: the
   * file, its directory entry, and every directory newly made on the way (INV-1). Idempotent: when the
   * upload is gone and the final path is there, nothing is left to do. May be slow; never called inside
   * an index transaction. May be called during a collection, under the digest's exclusion.
   */
  publish(uploadPath: string, finalPath: string): Promise<void>;

  /**
   * Moves a file to a path where nothing is (the caller sees to that: both paths are excluded from
   * others). Durable at both ends when it resolves, with every directory newly made on the way.
   * @throws StorageError when there is no such file, or something is at the target
   */
  move(from: string, to: string): Promise<void>;

  /** Writes a small file at its final path: whole or not at all, and durable when it resolves. */
  putFile(path: string, content: Uint8Array): Promise<void>;

  /**
   * Writes and removes small files, each whole or not at all for whoever reads. Everything is durable
   * when it resolves: files, directory entries, new directories. Not atomic as a whole; idempotent. A
   * power cut before it resolves may leave some of the files empty or torn.
   */
  applyChanges(changes: readonly SmallFileChange[]): Promise<void>;

  /** Removes a file. What is not there is not an error. Not durable by itself. */
  remove(path: string): Promise<void>;

  /** Removes a directory and all below it (an upload session). What is not there is not an error. */
  removeAll(path: string): Promise<void>;

  /**
   * Removes a directory if it is empty, then its parents while they are empty, up to but not including
   * `stopAt` (rmdir only, so a concurrent creator never loses a file; creators retry on ENOENT).
   */
  removeEmptyDirectories(path: string, stopAt: string): Promise<void>;

  /** Whether the storage can be written to and read from now; for health checks. @throws StorageError */
  check(): Promise<void>;
}

export type StorageErrorCode = "full" | "denied" | "too-large" | "invalid-path" | "busy" | "io";

/** A storage failure, with what the operator can do about it in `code`. */
export class StorageError extends Error {
  constructor(
    readonly code: StorageErrorCode,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options);
    this.name = "StorageError";
  }
}
