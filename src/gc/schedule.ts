// The loop that lets the collector run by itself: when a cycle begins, and when it has to stop. Removes
// nothing, and knows nothing of what goes; the queue is all the state there is, so a cycle that is stopped
// goes on with the next one. Time, timers and chance are injected.
import type { Clock } from "../registry/ports/clock.ts";
import type { CollectionDue, CollectionIndex } from "../registry/ports/index.ts";
import type { CollectionReport, CollectOptions } from "./collection-events.ts";
import type { Collector } from "./collector.ts";
import { type DailyWindow, WindowClock } from "./daily-window.ts";
import { policyOf } from "./plan.ts";
import { CollectionStop, type StopReason, stopTexts } from "./stop-reason.ts";
import { sleepUntil, type Timers } from "./timers.ts";

/** The first cycle comes this long after tree and index agree: a start has enough to do. */
const firstCycleMs = 60_000;

/** Between two cycles at least: what falls due bit by bit, as leases do, is gathered. */
const restMsMin = 60_000;

/** After a failure (a full disk, say) the next cycle waits this long, and twice as long each time, up to an hour. */
const backOffMsMin = 60_000;
const backOffMsMax = 3_600_000;

export interface ScheduleOptions {
  readonly intervalMs: number;
  readonly window: DailyWindow | null;
  /** Of the window; an IANA name. */
  readonly timeZone: string;
  /** Of one cycle; 0: no limit. */
  readonly durationMsMax: number;
  readonly blobsPerSecondMax: number;
  readonly untagged: { readonly delete: boolean; readonly olderThanMs: number };
  readonly keepDeletedMs: number;
  readonly foreignGraceMs: number;
  /** Uploads untouched for this long are abandoned; null: they are left alone. */
  readonly uploadAgeMs: number | null;
}

export interface ScheduleParts {
  readonly collector: Pick<Collector, "collect">;
  readonly index: Pick<CollectionIndex, "collectionDue">;
  readonly clock: Clock;
  readonly timers: Timers;
  /** In [0, 1). */
  readonly random: () => number;
  /** Resolves once tree and index agree (INV-8). */
  readonly agreed: (signal: AbortSignal) => Promise<void>;
  readonly log: {
    readonly info: (message: string) => void;
    readonly warn: (message: string) => void;
  };
  readonly options: ScheduleOptions;
}

interface Next {
  readonly atMs: number;
  readonly trigger: "start" | "interval" | "due" | "resume" | "retry";
}

export class CollectionSchedule {
  readonly #parts: ScheduleParts;
  readonly #window: WindowClock | null;
  readonly #stopped = new AbortController();
  #failures = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
    const { window, timeZone } = parts.options;
    this.#window = window === null ? null : new WindowClock(window, timeZone);
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Stops a cycle that is under way between two batches, and waits for it. */
  async stop(reason: "stopping" | "reloaded" = "stopping"): Promise<void> {
    this.#stopped.abort(new CollectionStop(reason));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { agreed, clock, options } = this.#parts;
    const { signal } = this.#stopped;
    try {
      await agreed(signal);
    } catch {
      // It only ends without agreement when the process stops.
      return;
    }
    const firstMs = Math.min(firstCycleMs, options.intervalMs);
    let next: Next = { atMs: clock.now() + firstMs, trigger: "start" };
    while (!signal.aborted) {
      await sleepUntil(this.#parts, next.atMs, this.#stopped.signal);
      if (signal.aborted) return;
      const opensAtMs = this.#opensAt();
      if (opensAtMs === null) next = await this.#cycle(next.trigger);
      else next = { ...next, atMs: opensAtMs };
    }
  }

  /** When the window opens; null: it is open. */
  #opensAt(): number | null {
    const state = this.#window?.stateAt(this.#parts.clock.now());
    return state === undefined || state.open ? null : state.opensAtMs;
  }

  async #cycle(trigger: Next["trigger"]): Promise<Next> {
    try {
      const found = await this.#look();
      // Nothing to do: nothing is written, and no record made.
      if (!found.due) return this.#rested(found);
      const report = await this.#collect(trigger);
      if (report.stopped !== null) return this.#afterStop(report.stopped);
      if (!report.ok) return this.#backOff(report.errors.join("; "));
      this.#failures = 0;
      return this.#rested(await this.#look());
    } catch (error) {
      // It goes on for somebody who has asked for it, without this one.
      if (error instanceof CollectionStop) return this.#afterStop(error.reason);
      return this.#backOff(error instanceof Error ? error.message : String(error));
    }
  }

  #look(): Promise<CollectionDue> {
    const { clock, index, options } = this.#parts;
    const nowMs = clock.now();
    return index.collectionDue({
      nowMs,
      policy: policyOf(this.#asked("due"), nowMs),
      deletedBeforeMs: nowMs - options.keepDeletedMs,
      uploadsIdleSinceMs: options.uploadAgeMs === null ? null : nowMs - options.uploadAgeMs,
    });
  }

  #asked(trigger: Next["trigger"]): CollectOptions {
    const { options } = this.#parts;
    return {
      dryRun: false,
      untagged: options.untagged.delete,
      untaggedOlderThanMs: options.untagged.olderThanMs,
      full: false,
      foreignGraceMs: options.foreignGraceMs,
      keepDeletedMs: options.keepDeletedMs,
      askedBy: { kind: "background", user: null },
      background: { trigger, blobsPerSecondMax: options.blobsPerSecondMax },
      listing: "nothing",
    };
  }

  /** Until the window closes and no longer than it may. */
  async #collect(trigger: Next["trigger"]): Promise<CollectionReport> {
    const { clock, collector, options, timers } = this.#parts;
    const nowMs = clock.now();
    const limit = new AbortController();
    const stopAfter = (ms: number, reason: StopReason): (() => void) =>
      timers.set(Math.min(ms, timerMsMax), () => {
        limit.abort(new CollectionStop(reason));
      });
    const bounds: (() => void)[] = [];
    const state = this.#window?.stateAt(nowMs);
    if (state?.open === true) bounds.push(stopAfter(state.closesAtMs - nowMs, "window"));
    if (options.durationMsMax > 0) bounds.push(stopAfter(options.durationMsMax, "maxduration"));
    try {
      const signal = AbortSignal.any([limit.signal, this.#stopped.signal]);
      return await collector.collect(this.#asked(trigger), () => undefined, signal);
    } finally {
      for (const callOff of bounds) callOff();
    }
  }

  /** Until something falls due, or for the interval. */
  #rested({ nextMs }: CollectionDue): Next {
    const nowMs = this.#parts.clock.now();
    const atMs = nowMs + this.#parts.options.intervalMs;
    if (nextMs === null || nextMs >= atMs) return { atMs, trigger: "interval" };
    return { atMs: Math.min(atMs, Math.max(nextMs, nowMs + restMsMin)), trigger: "due" };
  }

  #afterStop(reason: StopReason): Next {
    const { clock, log, options } = this.#parts;
    if (reason !== "stopping" && reason !== "reloaded") {
      log.info(`collecting in the background stopped: ${stopTexts[reason]}; it goes on later`);
    }
    const nowMs = clock.now();
    // Who asked for a stop does not want it to go on in a minute.
    const rests = reason === "maxduration" || reason === "asked";
    const restMs = rests ? options.intervalMs : restMsMin;
    return { atMs: nowMs + Math.min(restMs, options.intervalMs), trigger: "resume" };
  }

  /** Twice as long after each failure in a row, and some chance, so that many do not come at once. */
  #backOff(why: string): Next {
    const { clock, log, random } = this.#parts;
    const fullMs = Math.min(backOffMsMax, backOffMsMin * 2 ** this.#failures);
    const waitMs = Math.round(fullMs * (0.5 + random() / 2));
    this.#failures += 1;
    if (!this.#stopped.signal.aborted) {
      log.warn(`collecting in the background failed, next try in ${seconds(waitMs)}: ${why}`);
    }
    return { atMs: clock.now() + waitMs, trigger: "retry" };
  }
}

/** Longer timers would wrap around and ring at once; a cycle that long is none. */
const timerMsMax = 2 ** 31 - 1;

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
