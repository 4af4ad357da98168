// How much of `storage.maxsize` is in use: the bytes of all blobs, which the index keeps count of, and
// those of unfinished uploads, which are looked at one by one.
import type { DiskSpace, DiskUse } from "../registry/ports/disk-space.ts";
import type { BoundsIndex, UsageIndex } from "../registry/ports/index.ts";
import type { Storage } from "../registry/ports/storage.ts";
import { uploadDataPath } from "../storage/layout.ts";

/** A look at a file takes microseconds; others have their turn between two pages. */
const uploadsAtOnce = 50;

export interface StoredBytesParts {
  readonly index: Pick<BoundsIndex, "blobBytes"> & Pick<UsageIndex, "scanUploads">;
  readonly storage: Pick<Storage, "stat">;
  readonly capacityBytes: number;
  /** Lets others have their turn. */
  readonly pause: (ms: number) => Promise<void>;
}

type Page = Awaited<ReturnType<UsageIndex["scanUploads"]>>;

export class StoredBytes implements DiskSpace {
  readonly name = "storage.maxsize";
  readonly #parts: StoredBytesParts;

  constructor(parts: StoredBytesParts) {
    this.#parts = parts;
  }

  async measure(): Promise<DiskUse> {
    const { index, capacityBytes } = this.#parts;
    const uploadBytes = await this.#uploadBytes();
    return { usedBytes: (await index.blobBytes()) + uploadBytes, capacityBytes };
  }

  async #uploadBytes(): Promise<number> {
    const { index, storage, pause } = this.#parts;
    let bytes = 0;
    for (let after: string | null = null; ;) {
      const page: Page = await index.scanUploads({ after, limit: uploadsAtOnce });
      for (const { repository, id } of page.rows) {
        bytes += (await storage.stat(uploadDataPath(repository, id)))?.sizeBytes ?? 0;
      }
      after = page.next;
      if (after === null) return bytes;
      await pause(0);
    }
  }
}
