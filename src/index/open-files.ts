// Whether the files that are open are still those on disk (INV-8): SQLite goes on writing happily to a
// file that was removed or replaced, and into the hole of one that was cut short.
import { statSync } from "node:fs";

interface Seen {
  readonly path: string;
  readonly device: number;
  readonly inode: number;
  sizeBytes: number;
}

export class OpenFiles {
  readonly #files: Seen[];

  /** @throws when one of them is not there. */
  constructor(paths: readonly string[]) {
    this.#files = paths.map((path) => {
      const { dev, ino, size } = statSync(path);
      return { path, device: dev, inode: ino, sizeBytes: size };
    });
  }

  /**
   * The same files under the same names, none shorter than it was when last looked at.
   * @param neededBytes of the first, the database: what its file has beyond, for a commit that came to
   *   nothing (room.ts), the next checkpoint cuts off.
   */
  areUnchanged(neededBytes = Number.POSITIVE_INFINITY): boolean {
    return this.#files.every((seen, at) => {
      const now = statSync(seen.path, { throwIfNoEntry: false });
      if (now?.ino !== seen.inode || now.dev !== seen.device) return false;
      const least = at === 0 ? Math.min(seen.sizeBytes, neededBytes) : seen.sizeBytes;
      if (now.size < least) return false;
      seen.sizeBytes = now.size;
      return true;
    });
  }

  /** We cut them ourselves: what they hold now is the new measure. */
  haveShrunk(): void {
    for (const seen of this.#files) {
      seen.sizeBytes = statSync(seen.path, { throwIfNoEntry: false })?.size ?? seen.sizeBytes;
    }
  }
}
