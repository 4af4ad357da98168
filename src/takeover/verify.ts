// Verify: index and tree agree, every needed blob is there with the right size and, if asked for, with
// the right bytes, and nothing lies there for good that nobody needs. Changes nothing by itself; with
// `repair`, what cannot lose anything is mended as it is found. Nothing is gathered: memory is bounded.
import type { Clock } from "../registry/ports/clock.ts";
import type { TreeProblem } from "../registry/ports/index.ts";
import type { VerifyPosition } from "./reading-position.ts";
import { runScan } from "./run-scan.ts";
import type { Seen } from "./scan.ts";
import {
  type Finding,
  type Found,
  isHarmless,
  type Repair,
  type VerifyCounts,
} from "./verify-findings.ts";
import { type RepairParts, VerifyRepair } from "./verify-repair.ts";
import { VerifyTodo } from "./verify-todo.ts";

/** What these return is awaited, so that who listens slowly holds the run up and not memory. */
export interface VerifyObserver {
  /** Something is wrong. `repair`: what was done about it; null: nothing. */
  finding(finding: Finding, repair: Repair | null): unknown;
  /** Something in the tree is odd; wrong, too, unless it is harmless. */
  problem(problem: TreeProblem, isHarmless: boolean): unknown;
  /** About twice a second. */
  progress?(seen: Seen, counts: VerifyCounts | null): void;
  /** With `hash`: everything up to here has been read and told. */
  position?(position: VerifyPosition): Promise<void>;
}

export interface VerifyOptions {
  readonly tree: { readonly rootDirectory: string; readonly indexPath: string };
  readonly clock: Clock;
  /** Reads and checks every byte of every blob. */
  readonly hash: boolean;
  /** Where an earlier run with `hash` was stopped; none: from the start. */
  readonly resume?: VerifyPosition | null;
  /** None: changes nothing. */
  readonly repair?: RepairParts | null;
  /** Nobody is served meanwhile. */
  readonly isAlone?: boolean;
  readonly observer: VerifyObserver;
  readonly signal: AbortSignal;
}

export interface VerifyReport extends Seen {
  /** Nothing is wrong, or nothing any more; odd but harmless things there may be. */
  readonly isSound: boolean;
  readonly findings: Readonly<Partial<Record<Finding["kind"], number>>>;
  readonly problems: Readonly<Partial<Record<TreeProblem["kind"], number>>>;
  readonly harmlessProblems: number;
  /** Findings about which nothing is left to do. */
  readonly mended: number;
  readonly checked: VerifyCounts;
  /** Blobs that the run which was stopped had read; null: this one began at the start. */
  readonly resumedAfter: VerifyCounts | null;
  /** What is left to a person, in words. */
  readonly todo: readonly string[];
  readonly durationMs: number;
}

/** @throws the signal's reason, or why tree or index could not be read at all. */
export async function verifyRegistry(options: VerifyOptions): Promise<VerifyReport> {
  const { tree, clock, hash, observer, signal } = options;
  const { resume = null, isAlone = false } = options;
  const startedMs = clock.now();
  const tally = new VerifyTally(options);
  const { seen, counts } = await runScan(
    {
      mode: "verify",
      ...tree,
      nowMs: startedMs,
      verify: { hash, resume, isAlone, keepsWrong: true, rateBytes: null },
    },
    {
      problems: async (found) => {
        for (const problem of found) await tally.problem(problem);
      },
      findings: (found) => tally.findings(found),
      position: async (position) => {
        await observer.position?.(position);
      },
      progress: (now, countsNow) => observer.progress?.(now, countsNow),
    },
    signal,
  );
  return {
    ...seen,
    isSound: tally.wrong === tally.mended,
    findings: tally.findingCounts,
    problems: tally.problemCounts,
    harmlessProblems: tally.harmless,
    mended: tally.mended,
    checked: counts ?? { blobs: 0, hashedBytes: 0 },
    resumedAfter: resume?.counts ?? null,
    todo: tally.todo.lines,
    durationMs: clock.now() - startedMs,
  };
}

/** Counts what comes, has it mended, and tells it on. */
class VerifyTally {
  readonly #observer: VerifyObserver;
  readonly #repair: VerifyRepair | null;
  readonly findingCounts: Partial<Record<Finding["kind"], number>> = {};
  readonly problemCounts: Partial<Record<TreeProblem["kind"], number>> = {};
  readonly todo = new VerifyTodo();
  wrong = 0;
  mended = 0;
  harmless = 0;

  constructor({ observer, repair = null }: VerifyOptions) {
    this.#observer = observer;
    this.#repair = repair === null ? null : new VerifyRepair(repair);
  }

  async problem(problem: TreeProblem): Promise<void> {
    this.problemCounts[problem.kind] = (this.problemCounts[problem.kind] ?? 0) + 1;
    if (isHarmless(problem.kind)) this.harmless++;
    else {
      this.wrong++;
      this.todo.problem(problem);
    }
    await this.#observer.problem(problem, isHarmless(problem.kind));
  }

  /**
   * What the index does it does side by side, in one transaction for all that wait; blobs one after the
   * other, since each is read again as a whole.
   */
  async findings(all: readonly Found[]): Promise<void> {
    const blobs = all.filter(({ finding }) => "isNeededByMore" in finding);
    const others = all.filter(({ finding }) => !("isNeededByMore" in finding));
    await Promise.all([
      ...others.map((found) => this.#finding(found)),
      (async () => {
        for (const found of blobs) await this.#finding(found);
      })(),
    ]);
  }

  async #finding(found: Found): Promise<void> {
    const repair = (await this.#repair?.mend(found)) ?? null;
    const { finding } = found;
    this.findingCounts[finding.kind] = (this.findingCounts[finding.kind] ?? 0) + 1;
    this.wrong++;
    if (repair?.isMended === true) this.mended++;
    this.todo.finding(finding, repair);
    await this.#observer.finding(finding, repair);
  }
}
