// Previews and applications that nobody waits for at the other end of a connection (the API): asked for, and
// looked at later. One at a time. Keeps the first things that go, and the sums of all.
import type { RepositoryName } from "../oci/index.ts";
import type { Actor } from "../registry/audit.ts";
import { askedToStop, OneRun, registryStops } from "../registry/ports/one-run.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { GoingTag, GoingUntagged, RetentionEvent, RetentionReport } from "./events.ts";
import type { Retention, RetentionWork } from "./retention.ts";
import type { RetentionRule } from "./rules.ts";

/** Things that go, and oddities, that are kept of one run. */
const keptMax = 1_000;

export interface RetentionAsked {
  readonly what: "preview" | "apply";
  /** Only the rule of this name; null: all. */
  readonly rule: string | null;
  /** Only these repositories; null: all. */
  readonly isWanted: ((repository: RepositoryName) => boolean) | null;
  readonly actor: Actor;
}

export interface RetentionRun {
  readonly asked: RetentionAsked;
  readonly startedAtMs: number;
  /** Repositories that are over. */
  readonly repositories: number;
  readonly going: readonly (GoingTag | GoingUntagged)[];
  readonly goingCount: number;
  /** Left alone, and where a rule would have removed every tag; some of them, if there are many. */
  readonly skipped: readonly { readonly repository: string; readonly reason: string }[];
  readonly refused: readonly { readonly repository: string; readonly rules: readonly string[] }[];
}

export interface RetentionResult extends RetentionRun {
  readonly endedAtMs: number;
  /** Null: it did not come to its end. */
  readonly report: RetentionReport | null;
  readonly failure: string | null;
}

export interface RetentionRequestParts {
  readonly retention: Pick<Retention, "preview" | "apply">;
  readonly rules: readonly RetentionRule[];
  readonly clock: Clock;
  /** Resolves once tree and index agree (INV-8). */
  readonly agreed: (signal: AbortSignal) => Promise<void>;
  readonly log: { readonly warn: (message: string) => void };
}

export class RetentionRequests {
  readonly #parts: RetentionRequestParts;
  readonly #run = new OneRun();
  #current: RetentionRun | null = null;
  #last: RetentionResult | null = null;

  constructor(parts: RetentionRequestParts) {
    this.#parts = parts;
  }

  get rules(): readonly RetentionRule[] {
    return this.#parts.rules;
  }

  get current(): RetentionRun | null {
    return this.#current;
  }

  /** The last one of this process that ended. */
  get last(): RetentionResult | null {
    return this.#last;
  }

  /** False: one is under way, or the process stops. */
  start(asked: RetentionAsked): boolean {
    if (!this.#run.start((signal) => this.#carryOut(asked, signal))) return false;
    this.#current = {
      asked,
      startedAtMs: this.#parts.clock.now(),
      repositories: 0,
      going: [],
      goingCount: 0,
      skipped: [],
      refused: [],
    };
    return true;
  }

  /** What an application has removed by then is gone. False: none is under way. */
  stopRun(why: Error = askedToStop()): boolean {
    return this.#run.abort(why);
  }

  /** The one under way was asked for under other rules: resolves when it is over. */
  async rulesChanged(): Promise<void> {
    if (this.stopRun(new Error("the rules have changed; ask again"))) await this.#run.settle();
  }

  /** The process stops: later requests are refused. */
  async stop(): Promise<void> {
    await this.#run.stop(registryStops());
  }

  async #carryOut(asked: RetentionAsked, signal: AbortSignal): Promise<void> {
    const { agreed, log, retention, rules } = this.#parts;
    const { rule, isWanted, actor } = asked;
    const work: RetentionWork = {
      rules,
      askedBy: `api (${actor.caller})`,
      actor,
      ...(rule === null ? {} : { applies: ({ name }) => name === rule }),
      ...(isWanted === null ? {} : { isWanted }),
    };
    const hear = (event: RetentionEvent): void => {
      if (this.#current !== null) this.#current = after(this.#current, event);
    };
    let report: RetentionReport | null = null;
    let failure: string | null = null;
    try {
      await agreed(signal);
      report =
        asked.what === "apply"
          ? await retention.apply({ ...work, countsBytes: true }, hear, signal)
          : await retention.preview(work, hear, signal);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      // Nobody waits for it: the log says it, and whoever looks.
      if (!signal.aborted) log.warn(`retention failed: ${failure}`);
    }
    const ended = this.#current;
    this.#current = null;
    if (ended === null) return;
    this.#last = { ...ended, endedAtMs: this.#parts.clock.now(), report, failure };
  }
}

function after(now: RetentionRun, event: RetentionEvent): RetentionRun {
  switch (event.kind) {
    case "tag":
    case "untagged":
      return {
        ...now,
        going: withOneMore(now.going, event),
        goingCount: now.goingCount + 1,
      };
    case "skipped": {
      const { repository, reason } = event;
      return { ...now, skipped: withOneMore(now.skipped, { repository, reason }) };
    }
    case "repository": {
      const { repository, refused: rules } = event;
      const repositories = now.repositories + 1;
      if (rules.length === 0) return { ...now, repositories };
      return { ...now, repositories, refused: withOneMore(now.refused, { repository, rules }) };
    }
    default:
      return now;
  }
}

function withOneMore<Item>(items: readonly Item[], item: Item): readonly Item[] {
  return items.length < keptMax ? [...items, item] : items;
}
