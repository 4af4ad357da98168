// Sends long uploads to the disk while their bytes still come, so that little is left to wait for at
// their end. One fsync at a time for all of them: the runtime's pool has few threads, and a disk that
// cannot follow must not take them all. Never what makes an upload durable: that is `sync` and
// `publish`.
import type { FileSystemCalls } from "./file-system-calls.ts";

export class WriteBack {
  readonly #calls: Pick<FileSystemCalls, "fsync">;
  #isBusy = false;

  constructor(calls: Pick<FileSystemCalls, "fsync">) {
    this.#calls = calls;
  }

  /** Null while another one is under way. The descriptor must stay open until it is over. */
  begin(fd: number): Promise<void> | null {
    return this.#isBusy ? null : this.#run(fd);
  }

  async #run(fd: number): Promise<void> {
    this.#isBusy = true;
    try {
      await this.#calls.fsync(fd);
    } finally {
      this.#isBusy = false;
    }
  }
}
