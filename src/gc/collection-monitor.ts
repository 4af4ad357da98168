// How far the run under way has come, whoever asked for it, and what came of the last one. Hears every event
// of every run and keeps only sums, so that a run never waits for those who look.
import type { RunRecord } from "../registry/ports/index.ts";
import type { CollectionEvent, CollectionReport, CollectOptions } from "./collection-events.ts";

export interface CollectionProgress {
  readonly startedAtMs: number;
  readonly dryRun: boolean;
  readonly untagged: boolean;
  readonly full: boolean;
  readonly askedBy: RunRecord["askedBy"];
  readonly user: string | null;
  /** Removed so far. */
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly links: number;
  readonly repositories: number;
  /** Blobs that could not be removed. */
  readonly failures: number;
  /** Counted beforehand, for a run that somebody waits for; null: not counted yet, or not at all. */
  readonly expected: Expected | null;
}

interface Expected {
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
  /** There were more than are counted beforehand. */
  readonly atLeast: boolean;
}

/** How a run ended: with a report, or as a whole by a failure. */
export type CollectionResult =
  { readonly report: CollectionReport } | { readonly failure: string; readonly atMs: number };

export class CollectionMonitor {
  #current: CollectionProgress | null = null;
  #last: CollectionResult | null = null;
  #changes = 0;

  /** The run under way; null: none. */
  get current(): CollectionProgress | null {
    return this.#current;
  }

  /** Of the last run of this process that ended. */
  get last(): CollectionResult | null {
    return this.#last;
  }

  /** Grows with every change of the two. */
  get changes(): number {
    return this.#changes;
  }

  begin(options: CollectOptions, startedAtMs: number): void {
    this.#changes += 1;
    this.#current = {
      startedAtMs,
      dryRun: options.dryRun,
      untagged: options.untagged,
      full: options.full,
      askedBy: options.askedBy?.kind ?? "command",
      user: options.askedBy?.user ?? null,
      manifests: 0,
      blobs: 0,
      bytes: 0,
      links: 0,
      repositories: 0,
      failures: 0,
      expected: null,
    };
  }

  hear(event: CollectionEvent): void {
    if (this.#current === null) return;
    this.#current = after(this.#current, event);
    this.#changes += 1;
    if (event.kind === "summary") this.#last = { report: event.report };
  }

  /** `failure`: the run failed as a whole, and so told no summary; null: it did not. */
  end(failure: { readonly failure: string; readonly atMs: number } | null): void {
    this.#changes += 1;
    this.#current = null;
    if (failure !== null) this.#last = failure;
  }
}

function after(now: CollectionProgress, event: CollectionEvent): CollectionProgress {
  switch (event.kind) {
    case "manifest-removed":
      return { ...now, manifests: now.manifests + 1 };
    case "link-removed":
      return { ...now, links: now.links + 1 };
    case "blob-removed":
      return { ...now, blobs: now.blobs + 1, bytes: now.bytes + event.sizeBytes };
    case "blob-failed":
      return { ...now, failures: now.failures + 1 };
    case "repository-removed":
      return { ...now, repositories: now.repositories + 1 };
    case "counted": {
      const { manifests, blobs, bytes, atLeast } = event;
      return { ...now, expected: { manifests, blobs, bytes, atLeast } };
    }
    default:
      return now;
  }
}
