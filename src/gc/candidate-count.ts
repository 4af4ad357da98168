// How many blobs of the queue would go now, and their bytes: asked once the manifests are gone, so that
// the count can be told before the first blob goes. Reads only, in short pages.
import type { Digest } from "../oci/index.ts";
import type { BlobStanding, QueuePosition } from "../registry/ports/index.ts";
import { type CollectionParts, pageMax } from "./collection-parts.ts";
import { isForeignYoung } from "./planned-blobs.ts";

/** A blob stands in the queue once for each repository, so those counted are remembered: some 15 MB. */
const countedMax = 100_000;

export class CandidateCount {
  blobs = 0;
  bytes = 0;
  truncated = false;

  static async take(
    { index, pause }: Pick<CollectionParts, "index" | "pause">,
    at: { readonly nowMs: number; readonly foreignGraceMs: number },
  ): Promise<CandidateCount> {
    const count = new CandidateCount();
    const seen = new Set<Digest>();
    let after: QueuePosition | null = null;
    do {
      const page: readonly BlobStanding[] = await index.blobCandidates({
        after,
        limit: pageMax,
        nowMs: at.nowMs,
      });
      for (const standing of page) {
        const { digest, sizeBytes, present, referenced, leasedUntilMs, heldSinceMs } = standing;
        if (!present || referenced || leasedUntilMs !== null || seen.has(digest)) continue;
        if (heldSinceMs !== null || isForeignYoung(standing, at)) continue;
        seen.add(digest);
        count.blobs += 1;
        count.bytes += sizeBytes;
      }
      count.truncated = seen.size >= countedMax;
      after = page.length < pageMax ? null : (page.at(-1)?.position ?? null);
      await pause(0);
    } while (after !== null && !count.truncated);
    return count;
  }
}
