// Brings the index to agree with the tree (INV-8): all of it at the first build, differences after each
// start. The walk is a worker's; the index re-checks each difference while others write. Until `finished`
// nothing may be collected, and a miss in the index is to be looked for in the tree (look.ts).
import type { Clock } from "../registry/ports/clock.ts";
import type { Difference, EnqueuePage, Index, TreeProblem } from "../registry/ports/index.ts";
import { patiently } from "./patiently.ts";
import { ProblemList } from "./problem-list.ts";
import { runScan } from "./run-scan.ts";
import type { Seen } from "./scan.ts";

export type ComparisonMode = "first-build" | "compare";

export interface ComparisonParts {
  readonly index: Pick<
    Index,
    "absorb" | "startRebuild" | "markComplete" | "recordProblems" | "enqueuePage" | "checkpoint"
  >;
  /** Null: storage in memory, where there is no tree that could differ. */
  readonly tree: { readonly rootDirectory: string; readonly indexPath: string } | null;
  readonly clock: Clock;
  /** Called about twice a second. */
  readonly onProgress?: (progress: ComparisonProgress) => void;
}

export interface ComparisonProgress extends Seen {
  readonly mode: ComparisonMode;
  readonly elapsedMs: number;
  /** Things of the index's page by page, after the walk (the end of a first build). */
  readonly isFinishing: boolean;
}

export interface ComparisonReport extends Seen {
  readonly mode: ComparisonMode;
  readonly durationMs: number;
  /** Differences found, by kind, and how many of them still were any when they were taken in. */
  readonly found: ReadonlyMap<Difference["kind"], number>;
  readonly taken: number;
  readonly problems: {
    readonly counts: ReadonlyMap<TreeProblem["kind"], number>;
    /** At most 100. */
    readonly first: readonly TreeProblem[];
  };
}

/** Problems named one by one in a report; the index keeps the others. */
const problemsListedMax = 100;
/** Rows of a table that one transaction looks at, at the end of a first build. */
const enqueuePageSize = 5_000;
/** While clients are served, the index rests after each batch for as long as it took, at most this. */
const restMsMax = 100;

export class Comparison {
  readonly #parts: ComparisonParts;
  #finished = false;

  constructor(parts: ComparisonParts) {
    this.#parts = parts;
  }

  /** Whether tree and index have been compared to the end since the start. */
  get finished(): boolean {
    return this.#finished;
  }

  /**
   * `first-build` fills an index that counts for nothing yet, while nobody else writes; `compare` runs
   * beside everything else. @throws the signal's reason when it is stopped; then nothing is finished.
   */
  async run(mode: ComparisonMode, signal: AbortSignal): Promise<ComparisonReport> {
    const run = new ComparisonRun(this.#parts, mode, signal);
    const report = await run.run();
    this.#finished = true;
    return report;
  }
}

class ComparisonRun {
  readonly #parts: ComparisonParts;
  readonly #mode: ComparisonMode;
  readonly #signal: AbortSignal;
  readonly #startedMs: number;
  readonly #problems = new ProblemList();
  readonly #found = new Map<Difference["kind"], number>();
  #taken = 0;

  constructor(parts: ComparisonParts, mode: ComparisonMode, signal: AbortSignal) {
    this.#parts = parts;
    this.#mode = mode;
    this.#signal = signal;
    this.#startedMs = parts.clock.now();
  }

  async run(): Promise<ComparisonReport> {
    const { index } = this.#parts;
    const isFirst = this.#mode === "first-build";
    if (isFirst) await index.startRebuild();
    const seen = await this.#walk();
    // The problems of the comparison before protect until those of this one are all there.
    let first = true;
    for (const page of this.#problems.pages()) {
      await this.#patiently(() => index.recordProblems(page, { first }));
      first = false;
    }
    if (isFirst) {
      await this.#enqueueAll(seen);
      await index.markComplete();
      await index.checkpoint();
    }
    return this.#report(seen);
  }

  async #walk(): Promise<Seen> {
    const { tree, onProgress } = this.#parts;
    if (tree === null) return { repositories: 0, manifests: 0, blobs: 0 };
    const job = { mode: this.#mode, ...tree, nowMs: this.#startedMs, verify: null };
    const { seen } = await runScan(
      job,
      {
        differences: (differences) => this.#absorb(differences),
        problems: (problems) => {
          for (const problem of problems) this.#problems.add(problem);
        },
        progress: (now) => onProgress?.(this.#progress(now, false)),
      },
      this.#signal,
    );
    return seen;
  }

  async #absorb(differences: readonly Difference[]): Promise<void> {
    const recheck = this.#mode !== "first-build";
    const nowMs = this.#startedMs;
    for (const { kind } of differences) this.#found.set(kind, (this.#found.get(kind) ?? 0) + 1);
    const begunMs = performance.now();
    const { index } = this.#parts;
    const taken = await this.#patiently(() => index.absorb(differences, { nowMs, recheck }));
    this.#taken += taken;
    if (recheck) await Bun.sleep(Math.min(performance.now() - begunMs, restMsMax));
  }

  /** Nothing that came out of the tree is in the queue of the collector yet: all of it is looked at. */
  async #enqueueAll(seen: Seen): Promise<void> {
    const { index, clock, onProgress } = this.#parts;
    for (const what of ["blobs", "layers", "manifests", "repositories"] as const) {
      let after: string | null = null;
      do {
        this.#signal.throwIfAborted();
        onProgress?.(this.#progress(seen, true));
        const page: EnqueuePage = { what, after, limit: enqueuePageSize, nowMs: clock.now() };
        after = (await this.#patiently(() => index.enqueuePage(page))).next;
      } while (after !== null);
    }
  }

  /** All that is asked of the index here may be asked again. */
  #patiently<Result>(ask: () => Promise<Result>): Promise<Result> {
    return patiently(ask, this.#signal);
  }

  #progress(seen: Seen, isFinishing: boolean): ComparisonProgress {
    const elapsedMs = this.#parts.clock.now() - this.#startedMs;
    return { ...seen, mode: this.#mode, elapsedMs, isFinishing };
  }

  #report(seen: Seen): ComparisonReport {
    return {
      ...seen,
      mode: this.#mode,
      durationMs: this.#parts.clock.now() - this.#startedMs,
      found: this.#found,
      taken: this.#taken,
      problems: {
        counts: this.#problems.counts,
        first: this.#problems.first(problemsListedMax),
      },
    };
  }
}
