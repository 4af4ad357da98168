// Writes lines to a descriptor without ever making a request wait: lines are gathered and written
// together, one write at a time, off the event loop. Memory is bounded: while the reader is too slow,
// lines are dropped and counted. Never throws, whatever becomes of the reader or the disk.
import { write as writeFile, writeSync } from "node:fs";

/** A write begins as soon as this much is waiting. */
const batchCharacters = 128 * 1024;
/** What may wait while a write is under way; then lines are dropped. */
const waitingCharactersMax = 4 * 1024 * 1024;
const lineFeed = 10;
/** Between two tries when the descriptor takes nothing at the moment (EAGAIN). */
const retryMs = 10;
/** How often an exiting process tries again: half a second. */
const exitTriesMax = 50;

export interface LineTarget {
  /** Writes some of the bytes and says how many. */
  write(bytes: Uint8Array, done: (error: Error | null, written: number) => void): void;
  writeSync(bytes: Uint8Array): number;
}

export interface LineWriterOptions {
  /** How long a line may wait for others; 0: for the end of this turn of the event loop. */
  readonly delayMs: number;
  /** The line, with its line feed, that tells how many were dropped; without it nothing tells. */
  readonly describeDropped?: (count: number) => string;
}

export function descriptorTarget(fd: number): LineTarget {
  return {
    write: (bytes, done) => writeFile(fd, bytes, done),
    writeSync: (bytes) => writeSync(fd, bytes),
  };
}

export class LineWriter {
  readonly #target: LineTarget;
  readonly #options: LineWriterOptions;
  #waiting = "";
  #dropped = 0;
  #scheduled = false;
  #busy = false;
  #writing: Promise<void> = Promise.resolve();
  #broken = false;

  constructor(target: LineTarget, options: LineWriterOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** @param line with its line feed. */
  write(line: string): void {
    if (this.#broken) return;
    if (this.#waiting.length + line.length > waitingCharactersMax) {
      this.#dropped += 1;
      return;
    }
    this.#waiting += line;
    if (this.#busy) return;
    if (this.#waiting.length >= batchCharacters) void this.flush();
    else this.#schedule();
  }

  /** Resolves when everything written so far is out, or has failed to get out. Never rejects. */
  flush(): Promise<void> {
    if (!this.#busy) this.#writing = this.#writeAll();
    return this.#writing;
  }

  /** For the end of the process, when nothing asynchronous runs any more. */
  flushSync(): void {
    if (this.#broken) return;
    let bytes = this.#takeWaiting();
    let triesLeft = exitTriesMax;
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(this.#target.writeSync(bytes));
      } catch (error) {
        // The process ends, and the place where a failure could be told is the one that failed.
        triesLeft -= 1;
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || triesLeft === 0) return;
        Bun.sleepSync(retryMs);
      }
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const run = (): void => {
      this.#scheduled = false;
      void this.flush();
    };
    // Unreferenced: waiting lines do not keep a process alive, its exit writes them.
    if (this.#options.delayMs === 0) setImmediate(run).unref();
    else setTimeout(run, this.#options.delayMs).unref();
  }

  async #writeAll(): Promise<void> {
    this.#busy = true;
    try {
      while (!this.#broken) {
        const bytes = this.#takeWaiting();
        if (bytes.length === 0 || !(await this.#writeBytes(bytes))) return;
      }
    } finally {
      this.#busy = false;
    }
  }

  #takeWaiting(): Uint8Array {
    let text = this.#waiting;
    this.#waiting = "";
    if (this.#dropped > 0) {
      text += this.#options.describeDropped?.(this.#dropped) ?? "";
      this.#dropped = 0;
    }
    return Buffer.from(text);
  }

  /** False: they are lost. */
  async #writeBytes(bytes: Uint8Array): Promise<boolean> {
    let rest = bytes;
    while (rest.length > 0) {
      const outcome = await this.#writeOnce(rest);
      if (typeof outcome === "number") {
        rest = rest.subarray(outcome);
      } else if (outcome.code === "EAGAIN") {
        await Bun.sleep(retryMs);
      } else {
        // Nobody is left to read (EPIPE, EBADF), or the disk is full or broken: these lines are lost,
        // and a registry that cannot log must go on serving. A full disk may have room again later.
        this.#broken = outcome.code === "EPIPE" || outcome.code === "EBADF";
        this.#dropped += rest.filter((byte) => byte === lineFeed).length;
        return false;
      }
    }
    return true;
  }

  #writeOnce(bytes: Uint8Array): Promise<number | NodeJS.ErrnoException> {
    return new Promise((resolve) => {
      this.#target.write(bytes, (error, written) => resolve(error ?? written));
    });
  }
}
