// What `registry reindex` tells while it runs, as plain data, and no more than a few times a second.
import { z } from "zod";
import type { ComparisonProgress } from "./comparison.ts";

export interface ReindexProgress {
  readonly kind: "progress";
  readonly blobs: number;
  /** What the index knew before; null: nothing. */
  readonly blobsTotal: number | null;
  readonly isFinishing: boolean;
}

const schema = z.looseObject({ progress: z.boolean().default(false) });
/** The end of a first build goes through pages much faster than anybody looks. */
const tellMsMin = 250;

/** Whether somebody looks at a bar. */
export function wantsReindexProgress(options: unknown): boolean {
  return schema.safeParse(options).data?.progress === true;
}

export function reindexTeller(
  blobsTotal: number | null,
  tell: (event: ReindexProgress) => Promise<void>,
): (progress: ComparisonProgress) => void {
  let toldMs = 0;
  return ({ blobs, isFinishing }) => {
    const nowMs = performance.now();
    if (nowMs - toldMs < tellMsMin) return;
    toldMs = nowMs;
    // Whoever has gone away stops the run by another way.
    tell({ kind: "progress", blobs, blobsTotal, isFinishing }).catch(() => undefined);
  };
}
