// Writes, reads and removes a small file, to see whether the disk takes and gives bytes now.
// Never leaves more than that one file behind, however often it is killed.
import { dirname } from "node:path";
import { ownRoot } from "../layout.ts";
import type { FileSystemCalls } from "./file-system-calls.ts";
import { isAbsent, isNoEntry } from "./system-error.ts";

/** A block: fewer bytes may find room in the file's inode on a disk that is full. */
const checkBytes = 4096;

/** Runs one check at a time; who asks during one gets its answer. */
export class HealthCheck {
  readonly #calls: FileSystemCalls;
  readonly #path: string;
  #running: Promise<void> | null = null;

  constructor(calls: FileSystemCalls, root: string) {
    this.#calls = calls;
    this.#path = `${root}${ownRoot}/health-check`;
  }

  /** @throws the system's error */
  run(): Promise<void> {
    this.#running ??= this.#check().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #check(): Promise<void> {
    const content = crypto.getRandomValues(new Uint8Array(checkBytes));
    try {
      await this.#write(content);
      const found = await Bun.file(this.#path).bytes();
      if (Buffer.compare(found, content) !== 0) {
        throw new Error("the disk gives back other bytes than were written");
      }
    } finally {
      await this.#remove();
    }
  }

  async #write(content: Uint8Array): Promise<void> {
    const fd = await this.#open();
    try {
      const range = { from: 0, to: content.length, position: 0 };
      const written = await this.#calls.write(fd, content, range);
      if (written !== content.length) throw new Error("the disk took only a part of the bytes");
      // Some disks say only now that they are full, or broken.
      await this.#calls.fsync(fd);
    } finally {
      await this.#calls.close(fd);
    }
  }

  async #open(): Promise<number> {
    try {
      return await this.#calls.open(this.#path, "append");
    } catch (error) {
      if (!isNoEntry(error)) throw error;
      // The root itself is not made: where it is missing, its disk may have been unmounted.
      await this.#calls.mkdir(dirname(this.#path));
      return this.#calls.open(this.#path, "append");
    }
  }

  async #remove(): Promise<void> {
    try {
      await this.#calls.unlink(this.#path);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
}
