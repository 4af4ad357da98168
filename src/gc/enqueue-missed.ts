// `--full`: looks at every fact, and puts into the queue what nothing holds and the queue had missed.
// It must not have missed anything; the number says so.
import type { EnqueuePage } from "../registry/ports/index.ts";
import type { CollectionParts } from "./collection-parts.ts";

/** Rows looked at in one transaction: some 3 ms of the write lock. */
const rowsMax = 1_000;
const tables: readonly EnqueuePage["what"][] = ["manifests", "layers", "blobs", "repositories"];

export async function enqueueMissed(
  run: { readonly parts: Pick<CollectionParts, "index" | "pause">; readonly signal: AbortSignal },
  nowMs: number,
): Promise<number> {
  let missed = 0;
  for (const what of tables) {
    let after: string | null = null;
    do {
      const page: { readonly next: string | null; readonly missed: number } =
        await run.parts.index.enqueuePage({ what, after, limit: rowsMax, nowMs });
      missed += page.missed;
      after = page.next;
      await run.parts.pause(0);
    } while (after !== null && !run.signal.aborted);
  }
  return missed;
}
