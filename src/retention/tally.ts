// Adds up what happened in each repository into the report of a preview or an application.
import type { RetentionReport } from "./events.ts";
import type { Removed } from "./execute.ts";

export class Tally {
  repositories = 0;
  tagsKept = 0;
  tags = 0;
  manifests = 0;
  changed = 0;
  leased = 0;
  refused = 0;
  skipped = 0;

  add({ tags, manifests, changed, leased }: Removed): void {
    this.tags += tags;
    this.manifests += manifests;
    this.changed += changed;
    this.leased += leased;
  }

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
