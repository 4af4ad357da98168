// How full the file system is that holds the root, by the figures that `df` shows.
import { statfs } from "node:fs/promises";
import type { DiskSpace, DiskUse } from "../../registry/ports/disk-space.ts";

export class FileSystemSpace implements DiskSpace {
  readonly name: string;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.name = `the file system of ${directory}`;
  }

  /** What only root may use counts neither as used nor as room. */
  async measure(): Promise<DiskUse> {
    const { blocks, bfree, bavail, bsize } = await statfs(this.#directory);
    const usedBytes = (blocks - bfree) * bsize;
    return { usedBytes, capacityBytes: usedBytes + bavail * bsize };
  }
}
