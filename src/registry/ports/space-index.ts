// What the watch over the storage's load asks of the index.
import type { Page, UploadFact } from "./facts.ts";

export interface SpaceIndex {
  /** Bytes of all blobs that are there, condemned ones not counted. One row. */
  blobBytes(): Promise<number>;
  /** Open uploads in the order of their ids. */
  openUploads(page: Page): Promise<readonly UploadFact[]>;
}
