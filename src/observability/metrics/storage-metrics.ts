// Times every call to the storage, and counts what fails and what is written.
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import {
  type BlobBody,
  type DirectoryEntry,
  type FileStat,
  type SmallFileChange,
  type Storage,
  StorageError,
  type UploadWriter,
} from "../../registry/ports/storage.ts";

/** From a stat in the cache to a sync of a disk that is busy. */
const secondsBuckets = [0.00005, 0.0005, 0.002, 0.01, 0.05, 0.25, 1, 5];

class StorageMetrics {
  readonly #seconds: Histogram<"operation">;
  readonly #failures: Counter<"operation" | "reason">;
  readonly writtenBytes: Counter;
  readonly receiving: Gauge;

  constructor(register: Registry) {
    const registers = [register];
    this.#seconds = new Histogram({
      name: "plimsoll_storage_operation_duration_seconds",
      help: "Calls to the storage.",
      labelNames: ["operation"],
      buckets: secondsBuckets,
      registers,
    });
    this.#failures = new Counter({
      name: "plimsoll_storage_failures_total",
      help: "Calls to the storage that failed, by reason: full, denied, too-large, invalid-path, io, other.",
      labelNames: ["operation", "reason"],
      registers,
    });
    this.writtenBytes = new Counter({
      name: "plimsoll_storage_written_bytes_total",
      help: "Bytes written: of uploads, and of manifests.",
      registers,
    });
    this.receiving = new Gauge({
      name: "plimsoll_uploads_receiving",
      help: "Uploads that receive bytes at the moment.",
      registers,
    });
  }

  async time<Result>(operation: string, call: () => Promise<Result>): Promise<Result> {
    const begunMs = performance.now();
    try {
      return await call();
    } catch (error) {
      const reason = error instanceof StorageError ? error.code : "other";
      this.#failures.inc({ operation, reason });
      throw error;
    } finally {
      this.#seconds.observe({ operation }, (performance.now() - begunMs) / 1000);
    }
  }
}

export function timedStorage(storage: Storage, register: Registry): Storage {
  return new TimedStorage(storage, new StorageMetrics(register));
}

class TimedStorage implements Storage {
  readonly #inner: Storage;
  readonly #metrics: StorageMetrics;

  constructor(inner: Storage, metrics: StorageMetrics) {
    this.#inner = inner;
    this.#metrics = metrics;
  }

  stat(path: string): Promise<FileStat | null> {
    return this.#metrics.time("stat", () => this.#inner.stat(path));
  }

  /** Takes no time: what is read is read while it is sent. */
  read(path: string, range?: { readonly start: number; readonly end: number }): BlobBody {
    return this.#inner.read(path, range);
  }

  readSmall(path: string, bytesMax: number): Promise<Uint8Array | null> {
    return this.#metrics.time("readSmall", () => this.#inner.readSmall(path, bytesMax));
  }

  /** As long as its reader takes, so it is not timed. */
  list(path: string): AsyncIterable<DirectoryEntry> {
    return this.#inner.list(path);
  }

  async openUpload(path: string): Promise<UploadWriter> {
    const writer = await this.#metrics.time("openUpload", () => this.#inner.openUpload(path));
    this.#metrics.receiving.inc();
    return new TimedWriter(writer, this.#metrics);
  }

  truncate(path: string, sizeBytes: number): Promise<void> {
    return this.#metrics.time("truncate", () => this.#inner.truncate(path, sizeBytes));
  }

  publish(uploadPath: string, finalPath: string): Promise<void> {
    return this.#metrics.time("publish", () => this.#inner.publish(uploadPath, finalPath));
  }

  move(from: string, to: string): Promise<void> {
    return this.#metrics.time("move", () => this.#inner.move(from, to));
  }

  async putFile(path: string, content: Uint8Array): Promise<void> {
    await this.#metrics.time("putFile", () => this.#inner.putFile(path, content));
    this.#metrics.writtenBytes.inc(content.byteLength);
  }

  applyChanges(changes: readonly SmallFileChange[]): Promise<void> {
    return this.#metrics.time("applyChanges", () => this.#inner.applyChanges(changes));
  }

  remove(path: string): Promise<void> {
    return this.#metrics.time("remove", () => this.#inner.remove(path));
  }

  removeAll(path: string): Promise<void> {
    return this.#metrics.time("removeAll", () => this.#inner.removeAll(path));
  }

  removeEmptyDirectories(path: string, stopAt: string): Promise<void> {
    return this.#metrics.time("removeEmptyDirectories", () =>
      this.#inner.removeEmptyDirectories(path, stopAt),
    );
  }

  check(): Promise<void> {
    return this.#metrics.time("check", () => this.#inner.check());
  }
}

class TimedWriter implements UploadWriter {
  readonly #inner: UploadWriter;
  readonly #metrics: StorageMetrics;
  #isOpen = true;

  constructor(inner: UploadWriter, metrics: StorageMetrics) {
    this.#inner = inner;
    this.#metrics = metrics;
  }

  get sizeBytes(): number {
    return this.#inner.sizeBytes;
  }

  get waitingBytes(): number {
    return this.#inner.waitingBytes;
  }

  async append(chunk: Uint8Array): Promise<void> {
    // Asked beforehand: the chunk's memory may be given back while it waits.
    const { byteLength } = chunk;
    await this.#metrics.time("append", () => this.#inner.append(chunk));
    this.#metrics.writtenBytes.inc(byteLength);
  }

  sync(): Promise<void> {
    return this.#metrics.time("sync", () => this.#inner.sync());
  }

  close(): Promise<void> {
    if (this.#isOpen) this.#metrics.receiving.dec();
    this.#isOpen = false;
    return this.#inner.close();
  }
}
