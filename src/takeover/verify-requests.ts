// Verifications that nobody waits for at the other end of a connection (the API): asked for, and looked at
// later. One at a time. Keeps the first findings and counts of all of them, however many there are.
import type { Clock } from "../registry/ports/clock.ts";
import type { TreeProblem } from "../registry/ports/index.ts";
import { askedToStop, OneRun, registryStops } from "../registry/ports/one-run.ts";
import type { VerifyEvent, VerifyProgress, VerifyRequest } from "./verify-events.ts";
import type { VerifyReport } from "./verify.ts";
import type { Finding, Repair } from "./verify-findings.ts";

/** Findings, and likewise oddities, that are kept of one run. */
const keptMax = 100;

export interface VerifyRequestOptions extends Omit<VerifyRequest, "progress"> {
  /** Who asked. */
  readonly user: string;
}

export interface VerifyRunState {
  readonly options: VerifyRequestOptions;
  readonly startedAtMs: number;
  readonly progress: VerifyProgress | null;
  /** The first ones, and how many there were. */
  readonly findings: readonly {
    readonly finding: Finding;
    readonly repair: Repair | null;
  }[];
  readonly findingsCount: number;
  readonly problems: readonly {
    readonly problem: TreeProblem;
    readonly isHarmless: boolean;
  }[];
  readonly problemsCount: number;
}

export interface VerifyResult extends VerifyRunState {
  readonly endedAtMs: number;
  /** Null: it did not come to its end. */
  readonly report: VerifyReport | null;
  readonly failure: string | null;
  /** Somebody stopped it. */
  readonly isStopped: boolean;
}

export interface VerifyRequestParts {
  readonly clock: Clock;
  /** Resolves at the end of the run that the request describes. */
  readonly verify: (
    request: VerifyRequest,
    asker: {
      readonly tell: (event: unknown) => Promise<void>;
      readonly signal: AbortSignal;
    },
  ) => Promise<unknown>;
  readonly log: { readonly warn: (message: string) => void };
}

export class VerifyRequests {
  readonly #parts: VerifyRequestParts;
  readonly #run = new OneRun();
  #current: VerifyRunState | null = null;
  #last: VerifyResult | null = null;

  constructor(parts: VerifyRequestParts) {
    this.#parts = parts;
  }

  get current(): VerifyRunState | null {
    return this.#current;
  }

  /** The last one of this process that ended. */
  get last(): VerifyResult | null {
    return this.#last;
  }

  /** False: one is under way, or the process stops. */
  start(options: VerifyRequestOptions): boolean {
    if (!this.#run.start((signal) => this.#carryOut(options, signal))) return false;
    this.#current = {
      options,
      startedAtMs: this.#parts.clock.now(),
      progress: null,
      findings: [],
      findingsCount: 0,
      problems: [],
      problemsCount: 0,
    };
    return true;
  }

  /** False: none is under way. With `hash` the next one can go on from there. */
  stopRun(): boolean {
    return this.#run.abort(askedToStop());
  }

  /** The process stops: later requests are refused. */
  async stop(): Promise<void> {
    await this.#run.stop(registryStops());
  }

  async #carryOut(options: VerifyRequestOptions, signal: AbortSignal): Promise<void> {
    const { hash, repair, resume } = options;
    let report: VerifyReport | null = null;
    let failure: string | null = null;
    try {
      await this.#parts.verify(
        { hash, repair, resume, progress: true },
        {
          signal,
          tell: async (told) => {
            // What the verification tells is what this program's own says.
            const event = told as VerifyEvent;
            if (event.kind === "summary") report = event.report;
            if (this.#current !== null) this.#current = after(this.#current, event);
          },
        },
      );
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      // Nobody waits for it: the log says it, and whoever looks.
      if (!signal.aborted) this.#parts.log.warn(`the verification failed: ${failure}`);
    }
    const ended = this.#current;
    this.#current = null;
    if (ended === null) return;
    const endedAtMs = this.#parts.clock.now();
    const isStopped = signal.aborted && report === null;
    this.#last = { ...ended, endedAtMs, report, failure, isStopped };
  }
}

function after(now: VerifyRunState, event: VerifyEvent): VerifyRunState {
  switch (event.kind) {
    case "progress":
      return { ...now, progress: event };
    case "finding": {
      const { finding, repair } = event;
      const findings = withOneMore(now.findings, { finding, repair });
      return { ...now, findings, findingsCount: now.findingsCount + 1 };
    }
    case "problem": {
      const { problem, isHarmless } = event;
      const problems = withOneMore(now.problems, { problem, isHarmless });
      return { ...now, problems, problemsCount: now.problemsCount + 1 };
    }
    default:
      return now;
  }
}

function withOneMore<Item>(items: readonly Item[], item: Item): readonly Item[] {
  return items.length < keptMax ? [...items, item] : items;
}
