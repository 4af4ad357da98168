// Verify: index and tree agree, every needed blob is there with the right size and, if asked for, with
// the right bytes. Changes nothing. What it finds is handed on as it comes, never gathered.
import type { Clock } from "../registry/ports/clock.ts";
import type { TreeProblem } from "../registry/ports/index.ts";
import { runScan } from "./run-scan.ts";
import type { Seen } from "./scan.ts";
import { type Finding, isHarmless, type VerifyCounts } from "./verify-findings.ts";

export interface VerifyObserver {
  /** Something is wrong. */
  finding(finding: Finding): void;
  /** Something in the tree is odd; wrong, too, unless it is harmless. */
  problem(problem: TreeProblem, isHarmless: boolean): void;
  /** About twice a second, while the tree is walked. */
  progress?(seen: Seen): void;
}

export interface VerifyOptions {
  readonly tree: { readonly rootDirectory: string; readonly indexPath: string };
  readonly clock: Clock;
  /** Reads and checks every byte of every blob. */
  readonly hash: boolean;
  readonly observer: VerifyObserver;
  readonly signal: AbortSignal;
}

export interface VerifyReport extends Seen {
  /** Nothing is wrong; odd but harmless things there may be. */
  readonly isSound: boolean;
  readonly findings: Readonly<Partial<Record<Finding["kind"], number>>>;
  readonly problems: Readonly<Partial<Record<TreeProblem["kind"], number>>>;
  readonly harmlessProblems: number;
  readonly checked: VerifyCounts;
  readonly durationMs: number;
}

/** @throws the signal's reason, or why tree or index could not be read at all. */
export async function verifyRegistry(options: VerifyOptions): Promise<VerifyReport> {
  const { tree, clock, hash, observer, signal } = options;
  const startedMs = clock.now();
  const findings: Partial<Record<Finding["kind"], number>> = {};
  const problems: Partial<Record<TreeProblem["kind"], number>> = {};
  let harmlessProblems = 0;
  let wrong = 0;
  const { seen, counts } = await runScan(
    { mode: "verify", ...tree, nowMs: startedMs, hash },
    {
      problems: (found) => {
        for (const problem of found) {
          problems[problem.kind] = (problems[problem.kind] ?? 0) + 1;
          if (isHarmless(problem.kind)) harmlessProblems++;
          else wrong++;
          observer.problem(problem, isHarmless(problem.kind));
        }
      },
      findings: (found) => {
        for (const finding of found) {
          findings[finding.kind] = (findings[finding.kind] ?? 0) + 1;
          wrong++;
          observer.finding(finding);
        }
      },
      progress: (now) => observer.progress?.(now),
    },
    signal,
  );
  return {
    ...seen,
    isSound: wrong === 0,
    findings,
    problems,
    harmlessProblems,
    checked: counts ?? { blobs: 0, hashedBytes: 0 },
    durationMs: clock.now() - startedMs,
  };
}
