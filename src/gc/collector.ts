// One run at a time. Who asks while one is under way joins it, when it does all that is asked for;
// otherwise, or when it has had its second look already, it waits for its turn. A background run that
// does not do all that is asked for gives way instead of keeping a person waiting.
// Decides nothing about what goes: that is in plan.ts and execute.ts.
import { Audience, type Member } from "./audience.ts";
import type { CollectionObserver, CollectionReport, CollectOptions } from "./collection-events.ts";
import { CollectionMonitor } from "./collection-monitor.ts";
import type { CollectionParts } from "./collection-parts.ts";
import { Pace } from "./pace.ts";
import { runCollection } from "./run-collection.ts";
import { messageOf } from "./run-record.ts";
import { unlessAborted } from "../registry/ports/unless-aborted.ts";
import { CollectionStop } from "./stop-reason.ts";

interface Run {
  readonly options: CollectOptions;
  readonly audience: Audience;
  readonly abort: AbortController;
  readonly pace: Pace;
  /** Nobody waits for it: it gives way to whoever asks for more. */
  isBackground: boolean;
  readonly startedAtMs: number;
  /** Somebody joined, and what they want gone may have come after the run had looked. */
  askedAgain: boolean;
  /** A run looks again once; so a stream of requests cannot keep it from ending. */
  mayLookAgain: boolean;
  readonly report: Promise<CollectionReport>;
}

export class Collector {
  /** Looked at by whoever wants to know; nobody waits for those. */
  readonly monitor = new CollectionMonitor();
  readonly #parts: CollectionParts;
  #current: Run | null = null;
  #stopped = false;

  constructor(parts: CollectionParts) {
    this.#parts = parts;
  }

  /**
   * Collects now; resolves with the report of the run that did it. The observer hears events from the
   * moment on at which it joined. When its `signal` is aborted this request is given up, and the run
   * with it once nobody is left who asked for it.
   * @throws the signal's reason, when it is aborted while the run goes on for others, or before its turn
   * @throws what made the run fail as a whole: a full or broken disk, an index that cannot be written.
   */
  async collect(
    options: CollectOptions,
    observer: CollectionObserver,
    signal?: AbortSignal,
  ): Promise<CollectionReport> {
    const member: Member = { observer };
    for (;;) {
      if (this.#stopped) throw new Error("the registry is stopping; collect again later");
      signal?.throwIfAborted();
      const current = this.#current;
      if (current === null) return await this.#joined(this.#begin(options, member), member, signal);
      if (canJoin(current, options)) {
        current.askedAgain ||= !current.options.dryRun;
        if (options.background === undefined) {
          current.isBackground = false;
          current.pace.hurry();
        }
        const { startedAtMs } = current;
        const { dryRun } = options;
        await current.audience.add(member, {
          kind: "started",
          startedAtMs,
          dryRun,
          attached: true,
        });
        return await this.#joined(current, member, signal);
      }
      if (current.isBackground && options.background === undefined) {
        current.abort.abort(new CollectionStop("gave-way"));
      }
      // Its failure is for those who asked for it.
      const over = current.report.catch(() => undefined);
      await unlessAborted(over, signal);
    }
  }

  /** Stops the run under way between two batches and waits for it; later requests are refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#current?.abort.abort(new CollectionStop("stopping"));
    // Its failure is for those who asked for it.
    await this.#current?.report.catch(() => undefined);
  }

  /** Stops the run under way between two batches; what is left goes on with the next. False: none is. */
  stopRun(): boolean {
    this.#current?.abort.abort(new CollectionStop("asked"));
    return this.#current !== null;
  }

  /** The run under way has come to its end, whatever that was. */
  async settle(): Promise<void> {
    await this.#current?.report.catch(() => undefined);
  }

  #begin(options: CollectOptions, member: Member): Run {
    const audience = new Audience(member);
    const abort = new AbortController();
    const startedAtMs = this.#parts.clock.now();
    const pace = new Pace(options.background ?? null);
    const { within = (work) => work() } = this.#parts;
    this.monitor.begin(options, startedAtMs);
    const run: Run = {
      options,
      audience,
      abort,
      pace,
      isBackground: options.background !== undefined,
      startedAtMs,
      askedAgain: false,
      mayLookAgain: true,
      report: this.#ended(
        within(() =>
          runCollection({
            parts: this.#parts,
            options,
            pace,
            startedAtMs,
            signal: abort.signal,
            tell: (event) => {
              this.monitor.hear(event);
              return audience.tell(event);
            },
            isAskedAgain: () => isAskedAgain(run),
            closeDoors: () => (run.mayLookAgain = false),
          }),
        ),
      ),
    };
    this.#current = run;
    return run;
  }

  async #ended(report: Promise<CollectionReport>): Promise<CollectionReport> {
    let failure: { failure: string; atMs: number } | null = null;
    try {
      return await report;
    } catch (error) {
      failure = { failure: messageOf(error), atMs: this.#parts.clock.now() };
      throw error;
    } finally {
      this.monitor.end(failure);
      this.#current = null;
    }
  }

  async #joined(run: Run, member: Member, signal?: AbortSignal): Promise<CollectionReport> {
    if (signal === undefined) return await run.report;
    const left = Promise.withResolvers<never>();
    const leave = (): void => {
      run.audience.remove(member);
      if (run.audience.isEmpty) run.abort.abort(signal.reason);
      // It goes on for others, for as long as that takes.
      else left.reject(signal.reason);
    };
    // It may have been aborted by what the observer has heard already.
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([run.report, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }
}

function canJoin(run: Run, wanted: CollectOptions): boolean {
  const { options } = run;
  return (
    run.mayLookAgain &&
    !run.abort.signal.aborted &&
    !options.dryRun &&
    !wanted.dryRun &&
    (options.untagged || !wanted.untagged) &&
    (options.full || !wanted.full) &&
    options.foreignGraceMs <= wanted.foreignGraceMs &&
    (options.keepDeletedMs ?? 0) <= (wanted.keepDeletedMs ?? 0) &&
    (!wanted.untagged || (options.untaggedOlderThanMs ?? 0) <= (wanted.untaggedOlderThanMs ?? 0)) &&
    (options.listing === "marks" || wanted.listing !== "marks")
  );
}

function isAskedAgain(run: Run): boolean {
  const asked = run.askedAgain;
  run.askedAgain = false;
  // Whoever comes from now on may have missed the last look.
  run.mayLookAgain = false;
  return asked;
}
