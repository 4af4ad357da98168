// Applies each rule on its interval. When it was last applied is kept in the index, so that a restart does
// not apply everything again. Removes nothing itself. Time, timers and chance are injected.
import { sleepUntil, type Timers } from "../gc/index.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { RetentionIndex } from "../registry/ports/index.ts";
import type { Retention } from "./retention.ts";
import type { RetentionRule } from "./rules.ts";

/** The first run comes this long after tree and index agree, or an interval if that is shorter; and chance. */
const firstRunMsMax = 120_000;

/** At most so much later than it is due, by chance: many registries must not all begin at once. */
const jitterMsMax = 600_000;

/** After a failure (a full disk, say) the next try waits this long, or the interval if that is shorter. */
const retryMs = 600_000;

export interface RetentionScheduleParts {
  readonly retention: Pick<Retention, "apply">;
  readonly index: Pick<RetentionIndex, "retentionRuns" | "setRetentionRuns">;
  readonly rules: readonly RetentionRule[];
  readonly clock: Clock;
  readonly timers: Timers;
  /** In [0, 1). */
  readonly random: () => number;
  /** Resolves once tree and index agree (INV-8). */
  readonly agreed: (signal: AbortSignal) => Promise<void>;
  readonly log: { readonly warn: (message: string) => void };
}

export class RetentionSchedule {
  readonly #parts: RetentionScheduleParts;
  readonly #stopped = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: RetentionScheduleParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#parts.rules.length > 0) this.#loop = this.#run();
  }

  /** Stops a run that is under way between two transactions, and waits for it. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the registry is stopping"));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { agreed, clock, log, rules } = this.#parts;
    const { signal } = this.#stopped;
    try {
      await agreed(signal);
    } catch {
      // It only ends without agreement when the process stops.
      return;
    }
    const firstRunMs = Math.min(firstRunMsMax, ...rules.map((rule) => rule.intervalMs));
    let notBeforeMs = clock.now() + firstRunMs + this.#jitter(firstRunMs);
    while (!signal.aborted) {
      await sleepUntil(this.#parts, notBeforeMs, signal);
      if (signal.aborted) return;
      try {
        notBeforeMs = await this.#applyDue();
      } catch (error) {
        if (signal.aborted) return;
        const waitMs = Math.min(retryMs, ...rules.map((rule) => rule.intervalMs));
        const why = error instanceof Error ? error.message : String(error);
        log.warn(`retention failed, next try in ${Math.round(waitMs / 1000)} s: ${why}`);
        notBeforeMs = clock.now() + waitMs;
      }
    }
  }

  /** Applies the rules that are due; when the next one is. */
  async #applyDue(): Promise<number> {
    const { clock, index, retention, rules } = this.#parts;
    const nowMs = clock.now();
    const lastRunMs = await index.retentionRuns();
    const due = rules.filter((rule) => dueAt(rule, lastRunMs, nowMs) <= nowMs);
    if (due.length > 0) {
      const applies = (rule: RetentionRule): boolean => due.includes(rule);
      const work = { rules, applies, askedBy: "interval" };
      const report = await retention.apply(work, () => undefined, this.#stopped.signal);
      if (!report.completed) return clock.now();
      const applied = new Set(due);
      const known = rules.flatMap((rule): [string, number][] => {
        const atMs = applied.has(rule) ? nowMs : lastRunMs.get(rule.name);
        return atMs === undefined ? [] : [[rule.name, atMs]];
      });
      await index.setRetentionRuns(new Map(known));
    }
    const after = await index.retentionRuns();
    const next = Math.min(...rules.map((rule) => dueAt(rule, after, nowMs)));
    return next + this.#jitter(Math.min(...rules.map((rule) => rule.intervalMs)) / 10);
  }

  #jitter(msMax: number): number {
    return Math.round(Math.min(jitterMsMax, msMax) * this.#parts.random());
  }
}

/** A rule that was never applied is due; one that was applied in the future was so by a clock that was wrong. */
function dueAt(rule: RetentionRule, lastRunMs: ReadonlyMap<string, number>, nowMs: number): number {
  const last = lastRunMs.get(rule.name);
  return last === undefined || last > nowMs ? nowMs : last + rule.intervalMs;
}
