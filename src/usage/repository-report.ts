// One repository: what it uses, with whom it shares, what of it no tag leads to.
import type { RepositoryName } from "../oci/index.ts";
import type { HeldBlob, RepositoryUsage, Scan, ScanPage } from "../registry/ports/index.ts";
import { Largest } from "./largest.ts";
import { findUntaggedOf, type Untagged } from "./untagged.ts";
import type { ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

export interface SharedWith {
  readonly repository: RepositoryName;
  /** Of the blobs that both hold. */
  readonly bytes: number;
}

export interface RepositoryReport extends RepositoryUsage {
  readonly repository: RepositoryName;
  readonly sharedBytes: number;
  /** The most first. */
  readonly sharedWith: readonly SharedWith[];
  /** Some blobs are shared with more repositories than were looked at: the bytes are "at least". */
  readonly isSharedWithMore: boolean;
  /** What `garbage-collect -m` would free of it. */
  readonly untagged: Untagged;
}

/** Repositories looked at for one blob, and remembered altogether: some 5 MB. */
const sharedWithMax = 20;
const rememberedMax = 20_000;

/** Null: there is no such repository. */
export async function reportRepository(
  parts: ReadingParts,
  repository: RepositoryName,
  limit: number,
): Promise<RepositoryReport | null> {
  const { index } = parts;
  const usage = await index.repositoryUsage(repository);
  if (usage === null) return null;
  const bytes = new Map<RepositoryName, number>();
  let isSharedWithMore = false;
  const look = (page: ScanPage): Promise<Scan<HeldBlob>> =>
    index.scanHeldBlobs(repository, { ...page, sharedWithMax });
  for await (const page of walk(parts, look)) {
    for (const blob of page) {
      isSharedWithMore ||= blob.isSharedWithMore;
      for (const other of blob.sharedWith) {
        if (bytes.size >= rememberedMax && !bytes.has(other)) isSharedWithMore = true;
        else bytes.set(other, (bytes.get(other) ?? 0) + blob.sizeBytes);
      }
    }
  }
  const largest = new Largest<SharedWith>(limit, (shared) => shared.bytes);
  for (const [other, shared] of bytes) largest.add({ repository: other, bytes: shared });
  return {
    repository,
    ...usage,
    sharedBytes: usage.logicalBytes - usage.exclusiveBytes,
    sharedWith: largest.items,
    isSharedWithMore,
    untagged: await findUntaggedOf(parts, repository),
  };
}
