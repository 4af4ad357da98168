// What is kept of a run once it is over (`garbage-collect --history`), and the line that is logged of it.
// Begun before the first thing goes, so that a run that is killed leaves a record too. That a record
// cannot be written (a full disk) never keeps a run from giving the disk back.
import type { CollectionIndex, RunRecord } from "../registry/ports/index.ts";
import type { CollectionReport, CollectOptions } from "./collection-events.ts";

export interface RecorderParts {
  readonly index: Pick<CollectionIndex, "beginRun" | "endRun">;
  /** Logs a run that is over. Absent: not logged. */
  readonly log?: (record: RunRecord) => void;
}

/** Of a run that has done nothing yet. */
function blank(options: CollectOptions, startedAtMs: number): RunRecord {
  return {
    askedBy: options.askedBy?.kind ?? "command",
    user: options.askedBy?.user ?? null,
    trigger: options.background?.trigger ?? options.trigger ?? "request",
    startedAtMs,
    durationMs: null,
    untagged: options.untagged,
    full: options.full,
    candidates: 0,
    manifests: 0,
    blobs: 0,
    bytes: 0,
    links: 0,
    uploads: 0,
    repositories: 0,
    steppedOver: { count: 0, atLeast: false },
    errors: [],
    stopped: null,
  };
}

export class RunRecorder {
  readonly #parts: RecorderParts;
  readonly #blank: RunRecord;
  #begun: Promise<number | null> | null = null;
  #failure: string | null = null;

  constructor(parts: RecorderParts, options: CollectOptions, startedAtMs: number) {
    this.#parts = parts;
    this.#blank = blank(options, startedAtMs);
  }

  /** Something is about to be done. Only the first call writes. */
  async begin(): Promise<void> {
    this.#begun ??= this.#parts.index.beginRun(this.#blank).catch((error: unknown) => {
      this.#failure = messageOf(error);
      return null;
    });
    await this.#begun;
  }

  /** A run that never began left nothing to tell. */
  async end(outcome: RunOutcome): Promise<void> {
    if (this.#begun === null) return;
    const id = await this.#begun;
    const record: RunRecord = { ...this.#blank, ...outcome };
    try {
      if (id !== null) await this.#parts.index.endRun(id, record);
    } catch (error) {
      this.#failure = messageOf(error);
    }
    const errors =
      this.#failure === null
        ? record.errors
        : [...record.errors, `the run could not be recorded: ${this.#failure}`];
    this.#parts.log?.({ ...record, errors });
  }
}

export type RunOutcome = Pick<RunRecord, "durationMs" | "errors" | "stopped"> & Partial<RunRecord>;

export function outcomeOf(report: CollectionReport): RunOutcome {
  const { durationMs, candidates, manifests, blobs, bytes, links, uploads } = report;
  return {
    durationMs,
    candidates,
    manifests,
    blobs,
    bytes,
    links,
    uploads,
    repositories: report.repositories,
    steppedOver: report.steppedOver,
    errors: report.errors,
    stopped: report.stopped,
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
