// Adds up what happened in each repository into the report of a preview or an application.
import type { RetentionReport } from "./events.ts";
import type { KeptBy, TagVerdict } from "./judgement.ts";

export class Tally {
  repositories = 0;
  tagsKept = 0;
  tags = 0;
  manifests = 0;
  changed = 0;
  leased = 0;
  refused = 0;
  skipped = 0;

  report(
    more: Pick<RetentionReport, "applied" | "bytes" | "atLeast" | "completed" | "durationMs">,
  ): RetentionReport {
    const { repositories, tagsKept, tags, manifests, changed, leased, refused, skipped } = this;
    return {
      applied: more.applied,
      repositories,
      tagsKept,
      tags,
      manifests,
      bytes: more.bytes,
      atLeast: more.atLeast,
      changed,
      leased,
      refused,
      skipped,
      completed: more.completed,
      durationMs: more.durationMs,
    };
  }
}

/** How many tags stay, by what keeps them. */
export function countKept(verdicts: readonly TagVerdict[]): Partial<Record<KeptBy, number>> {
  const kept: Partial<Record<KeptBy, number>> = {};
  for (const { keptBy } of verdicts) {
    if (keptBy !== null) kept[keptBy] = (kept[keptBy] ?? 0) + 1;
  }
  return kept;
}
