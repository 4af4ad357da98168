// Walks a scan of the index from its first page to its last. Look-ups are made inline, so a page is what
// others wait for: its length follows the time that pages take, and between two others have their turn.
import type { Scan, ScanPage } from "../registry/ports/index.ts";
import type { UsageParts } from "./usage-parts.ts";

/** What a page is to take. */
const pageMs = 1;

const rowsAtFirst = 50;
const rowsMin = 10;
const rowsMax = 5_000;

export async function* walk<Row>(
  { pause }: Pick<UsageParts, "pause">,
  look: (page: ScanPage) => Promise<Scan<Row>>,
): AsyncGenerator<readonly Row[], void, undefined> {
  let after: string | null = null;
  let limit = rowsAtFirst;
  do {
    const begunMs = performance.now();
    const page: Scan<Row> = await look({ after, limit });
    limit = nextLimit(limit, performance.now() - begunMs);
    yield page.rows;
    after = page.next;
    if (after !== null) await pause(0);
  } while (after !== null);
}

function nextLimit(limit: number, tookMs: number): number {
  const factor = Math.min(2, Math.max(0.25, pageMs / Math.max(tookMs, 0.001)));
  return Math.round(Math.min(rowsMax, Math.max(rowsMin, limit * factor)));
}
