// An upload's file, open for appending. Gathers the small chunks of a request body into few large
// writes; holds at most one buffer, and takes no chunk while a write is under way (back-pressure). Long
// ones are sent to the disk while they come (write-back.ts).
// Never leaves bytes behind that an fsync has failed for: nobody can tell what became of them.
import type { UploadWriter } from "../../registry/ports/storage.ts";
import type { FileSystemCalls } from "./file-system-calls.ts";
import { discardUnsynced } from "./discard-unsynced.ts";
import { toStorageError } from "./system-error.ts";
import type { WriteBack } from "./write-back.ts";

/**
 * 1 GiB in chunks of 64 KiB costs 2.7–5 CPU seconds written one by one and 0.8 gathered to 1 MiB
 * (1.4 at 512 KiB), as much as the cheapest synchronous way, which would block everybody.
 */
const bufferBytes = 1024 * 1024;
/** What follows a first small chunk: thousands of small uploads shall not take a mebibyte each. */
const firstBufferBytes = 64 * 1024;
/**
 * Chunks from this size on are written as they are, after what waits before them. While a write is
 * under way the runtime gathers up to half a mebibyte by itself: no need to do it again.
 */
const directBytes = 256 * 1024;

/**
 * After so many bytes a write-back is begun. Small uploads have none, and on a disk of 100 MB/s one
 * holds a thread of the pool for no more than half a second.
 */
const writeBackBytes = 64 * 1024 * 1024;

export interface OpenUpload {
  /** Relative to the root, for messages. */
  readonly path: string;
  readonly absolutePath: string;
  readonly fd: number;
  readonly sizeBytes: number;
  readonly calls: FileSystemCalls;
  readonly writeBack: WriteBack;
  /** Makes the file's name durable. */
  readonly settle: () => Promise<void>;
}

export class UploadFile implements UploadWriter {
  readonly #file: OpenUpload;
  #buffer = new Uint8Array(0);
  #buffered = 0;
  /** Bytes in the file. */
  #written: number;
  /** Of these, how many came before the latest write-back was begun. */
  #writtenBack: number;
  #writingBack: Promise<void> = Promise.resolve();
  #failure: Error | null = null;
  /** Of a write-back, and nobody has been told of it yet. */
  #failureIsNews = false;
  #nameIsDurable = false;
  #closing: Promise<void> | null = null;

  constructor(file: OpenUpload) {
    this.#file = file;
    this.#written = file.sizeBytes;
    this.#writtenBack = file.sizeBytes;
  }

  get sizeBytes(): number {
    return this.#written + this.#buffered;
  }

  get waitingBytes(): number {
    return this.#buffered;
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#checkUsable();
    let from = 0;
    while (from < chunk.length) {
      if (chunk.length - from >= directBytes) {
        await this.#flush();
        await this.#write(chunk, from, chunk.length);
        return;
      }
      if (this.#buffer.length === 0 && chunk.length < firstBufferBytes) {
        this.#buffer = new Uint8Array(chunk);
        this.#buffered = chunk.length;
        return;
      }
      if (this.#buffered === this.#buffer.length) this.#grow();
      const to = Math.min(chunk.length, from + this.#buffer.length - this.#buffered);
      this.#buffer.set(
        from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to),
        this.#buffered,
      );
      this.#buffered += to - from;
      from = to;
      if (this.#buffered === bufferBytes) await this.#flush();
    }
  }

  async sync(): Promise<void> {
    this.#checkUsable();
    await this.#flush();
    await this.#writingBack;
    this.#checkFailure();
    try {
      await this.#file.calls.fsync(this.#file.fd);
    } catch (error) {
      throw await this.#fail(error, { discard: true });
    }
    if (this.#nameIsDurable) return;
    try {
      await this.#file.settle();
    } catch (error) {
      throw await this.#fail(error, { discard: false });
    }
    this.#nameIsDurable = true;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      // After a failure, what waits has been given up, and the caller knows, but for a write-back's.
      if (this.#failure === null) await this.#flush();
      await this.#writingBack;
      if (this.#failureIsNews) this.#checkFailure();
    } finally {
      this.#buffer = new Uint8Array(0);
      await this.#file.calls.close(this.#file.fd);
    }
  }

  #grow(): void {
    const isFirst = this.#buffer.length < firstBufferBytes;
    const larger = new Uint8Array(isFirst ? firstBufferBytes : bufferBytes);
    larger.set(this.#buffer);
    this.#buffer = larger;
  }

  async #flush(): Promise<void> {
    if (this.#buffered === 0) return;
    await this.#write(this.#buffer, 0, this.#buffered);
  }

  /** Writes at the end of the file; what of the buffer it writes counts no longer as buffered. */
  async #write(bytes: Uint8Array, from: number, to: number): Promise<void> {
    const buffered = bytes === this.#buffer;
    for (let at = from; at < to;) {
      const written = await this.#writeSome(bytes, at, to);
      this.#checkFailure();
      at += written;
      this.#written += written;
      if (buffered) this.#buffered -= written;
    }
    if (this.#written - this.#writtenBack >= writeBackBytes) this.#beginWriteBack();
  }

  async #writeSome(bytes: Uint8Array, from: number, to: number): Promise<number> {
    const { calls, fd } = this.#file;
    try {
      const written = await calls.write(fd, bytes, { from, to, position: this.#written });
      if (written <= 0) throw new Error("the system wrote nothing and named no error");
      return written;
    } catch (error) {
      throw await this.#fail(error, { discard: false });
    }
  }

  /** Nobody waits for it but `sync` and `close`; that it failed is heard by whoever comes next. */
  #beginWriteBack(): void {
    const begun = this.#file.writeBack.begin(this.#file.fd);
    if (begun === null) return;
    this.#writtenBack = this.#written;
    this.#writingBack = begun.catch(async (error: unknown) => {
      this.#failureIsNews = true;
      await this.#fail(error, { discard: true });
    });
  }

  #checkFailure(): void {
    if (this.#failure === null) return;
    this.#failureIsNews = false;
    throw this.#failure;
  }

  #checkUsable(): void {
    this.#checkFailure();
    if (this.#closing !== null) throw new Error(`the upload ${this.#file.path} is closed`);
  }

  async #fail(error: unknown, options: { readonly discard: boolean }): Promise<Error> {
    this.#buffered = 0;
    this.#failure = toStorageError(`cannot write ${this.#file.path}`, error);
    if (options.discard) {
      this.#written = 0;
      await discardUnsynced(this.#file.calls, this.#file.absolutePath);
    }
    return this.#failure;
  }
}
