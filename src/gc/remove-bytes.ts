// Unlinks the bytes of condemned blobs, each under its exclusion and only while it is still condemned
// (INV-3). What cannot be unlinked stays condemned, answers 404, and is tried again by the next run; so
// does what a run that is stopped did not get to.
import { blobDataPath, blobDirectory, blobShardDirectory } from "../storage/layout.ts";
import type { BlobFact } from "../registry/ports/index.ts";
import type { CollectionParts } from "./collection-parts.ts";
import type { Pace } from "./pace.ts";

export interface BytesRemoved {
  readonly removed: readonly BlobFact[];
  readonly failed: readonly { readonly blob: BlobFact; readonly error: unknown }[];
}

export async function removeBytes(
  run: { readonly parts: CollectionParts; readonly pace: Pace; readonly signal: AbortSignal },
  blobs: readonly BlobFact[],
): Promise<BytesRemoved> {
  const { parts, pace, signal } = run;
  const removed: BlobFact[] = [];
  const failed: { blob: BlobFact; error: unknown }[] = [];
  const work = async (waiting: IterableIterator<BlobFact>): Promise<void> => {
    for (const blob of waiting) {
      try {
        if (await unlink(parts, blob)) removed.push(blob);
      } catch (error) {
        failed.push({ blob, error });
      }
    }
  };
  let done = 0;
  while (done < blobs.length && !(signal.aborted && done > 0)) {
    const chunk = blobs.slice(done, done + pace.unlinksBeforeRest(blobs.length));
    const begunMs = performance.now();
    const waiting = chunk.values();
    await Promise.all(Array.from({ length: pace.unlinksAtOnce }, () => work(waiting)));
    done += chunk.length;
    const tookMs = performance.now() - begunMs;
    const restMs = pace.restAfterUnlinksMs({ blobs: chunk.length, tookMs });
    if (restMs > 0) await parts.pause(restMs);
  }
  return { removed, failed };
}

/** False: it was uploaded again before its bytes went, and they are needed. */
function unlink(
  { index, storage, locks }: CollectionParts,
  { digest }: BlobFact,
): Promise<boolean> {
  return locks.run(digest, async () => {
    if (!(await index.isCondemned(digest))) return false;
    await storage.remove(blobDataPath(digest));
    await storage.removeEmptyDirectories(blobDirectory(digest), blobShardDirectory(digest));
    return true;
  });
}
