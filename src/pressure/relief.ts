// Makes room when the storage is fuller than `storage.watermark.collect`, in this order, and no further
// than needed: what nothing holds; what only can still be restored, oldest deletion first; what retention
// rules with `onpressure` give up, oldest pulled first. One at a time; when nothing helps, it waits longer
// and longer. Decides nothing about what goes. Documentation: docs/limits.md.
import { CollectionStop, type CollectOptions, type Collector, policyOf } from "../gc/index.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { DiskUse } from "../registry/ports/disk-space.ts";
import { forNobody } from "../registry/ports/request-origin.ts";
import type { CollectionIndex, ComparisonIndex } from "../registry/ports/index.ts";
import type { Mark } from "./marks.ts";
import { percentText } from "./marks.ts";

/**
 * After an attempt that did not help the next one waits this long, twice as long each time, up to the most;
 * when something has become garbage meanwhile, only for the rest. That one doubles, too, while there is
 * always something to collect and none of it can be freed.
 */
const backOffMs = { least: 60_000, most: 300_000 } as const;
const restMs = 5_000;

/**
 * How much of `gc.keepdeleted` is left to deletions, step by step, so that the oldest are let go first; the
 * last steps are minutes of a day, so that what was deleted by mistake just now is the last to go.
 */
const keptShares = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256, 0] as const;

/** Then nothing is given up either: neither what can be restored, nor what rules would let go (INV-7). */
const nothingIsCollected = "a directory of the tree cannot be listed, so no blob is collected";

/** Removes what its rules would give up, in small steps, until `isEnough`, which is asked after each. */
export type ApplyRetention = (
  isEnough: () => Promise<boolean>,
  signal: AbortSignal,
) => Promise<void>;

export interface ReliefParts {
  readonly collector: Pick<Collector, "collect">;
  readonly index: Pick<CollectionIndex, "collectionDue"> & Pick<ComparisonIndex, "hasUnlistable">;
  readonly watch: {
    measure(): Promise<DiskUse>;
    isClearOf(mark: Mark, use: DiskUse): boolean;
  };
  /** Null: no rule is to be applied under pressure. */
  readonly applyRetention: ApplyRetention | null;
  /** Resolves once tree and index agree (INV-8). */
  readonly agreed: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: {
    readonly info: (message: string) => void;
    readonly warn: (message: string) => void;
  };
  readonly options: {
    readonly keepDeletedMs: number;
    readonly untagged: { readonly delete: boolean; readonly olderThanMs: number };
    readonly foreignGraceMs: number;
    /** Uploads untouched for this long are abandoned; null: they are left alone. */
    readonly uploadAgeMs: number | null;
  };
}

export class Relief {
  readonly #parts: ReliefParts;
  readonly #stopped = new AbortController();
  /** Of the attempt that is under way. */
  #ended = new AbortController();
  #running: Promise<void> | null = null;
  #failures = 0;
  #restMs = restMs;
  #notBeforeMs = 0;
  /** Until then only what has become garbage meanwhile is a reason to try again. */
  #inVainUntilMs = 0;
  #freedBytes = 0;
  #hasCollected = false;

  constructor(parts: ReliefParts) {
    this.#parts = parts;
  }

  /** Begins to make room, unless that is under way or was in vain a short while ago. */
  wake(): void {
    if (this.#running !== null || this.#stopped.signal.aborted) return;
    if (this.#isBefore(this.#notBeforeMs)) return;
    this.#ended = new AbortController();
    const signal = AbortSignal.any([this.#stopped.signal, this.#ended.signal]);
    // A push may have had it measured: what goes now does not go on its account.
    this.#running = forNobody(() => this.#run(signal)).finally(() => {
      this.#running = null;
    });
  }

  /** Ends what is under way between two batches, and waits for it. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the registry is stopping"));
    await this.#running;
  }

  /**
   * Other settings: what is under way, by those that it began with, ends between two steps. By the new ones
   * it may not be in vain: the next measurement begins anew.
   */
  async settingsChanged(): Promise<void> {
    this.#ended.abort(new CollectionStop("reloaded"));
    await this.#running;
    this.#failures = 0;
    this.#restMs = restMs;
    this.#notBeforeMs = 0;
    this.#inVainUntilMs = 0;
  }

  /** What is under way has come to its end. */
  async settle(): Promise<void> {
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { log, watch, agreed } = this.#parts;
    try {
      await agreed(signal);
      const wasInVain = this.#isBefore(this.#inVainUntilMs);
      if (wasInVain && !(await this.#isDue(0))) {
        this.#restMs = restMs;
        return;
      }
      this.#freedBytes = 0;
      this.#hasCollected = false;
      const isEnough = await this.#makeRoom(signal);
      if (!isEnough) signal.throwIfAborted();
      const full = percentText(await watch.measure());
      if (isEnough) {
        this.#failures = 0;
        this.#inVainUntilMs = 0;
        this.#restMs = restMs;
        log.info(`room was made: the storage is ${full} full`);
        return;
      }
      // Pushes have been as quick as the collector: the next measurement has it go on.
      if (this.#freedBytes > 0) return;
      if (!this.#hasCollected) this.#restMs = restMs;
      this.#notBeforeMs = this.#parts.clock.now() + this.#restMs;
      if (wasInVain) {
        this.#restMs = Math.min(backOffMs.most, 2 * this.#restMs);
        return;
      }
      const waitMs = this.#backOff();
      this.#inVainUntilMs = this.#parts.clock.now() + waitMs;
      log.warn(
        `the storage is still ${full} full, and nothing more can be freed now; next try in ${waitMs / 1000} s. Delete images, give retention rules onpressure: true, or make the disk larger`,
      );
    } catch (error) {
      if (signal.aborted) return;
      const waitMs = this.#backOff();
      this.#notBeforeMs = this.#parts.clock.now() + waitMs;
      const why = error instanceof Error ? error.message : String(error);
      log.warn(`making room failed, next try in ${waitMs / 1000} s: ${why}`);
    }
  }

  /** A clock that was set back must not make it wait for years. */
  #isBefore(ms: number): boolean {
    const nowMs = this.#parts.clock.now();
    return nowMs < ms && nowMs >= ms - backOffMs.most;
  }

  #backOff(): number {
    const waitMs = Math.min(backOffMs.most, backOffMs.least * 2 ** this.#failures);
    this.#failures += 1;
    return waitMs;
  }

  /** Whether the storage is below the mark now. */
  async #makeRoom(signal: AbortSignal): Promise<boolean> {
    const { options, applyRetention, index } = this.#parts;
    for (const share of keptShares) {
      if (await this.#collect(Math.floor(options.keepDeletedMs * share), { signal })) return true;
      if (await index.hasUnlistable()) throw new Error(nothingIsCollected);
    }
    if (applyRetention === null) return false;
    let isEnough = false;
    await applyRetention(async () => {
      isEnough = await this.#collect(0, { signal, mustFree: true });
      return isEnough;
    }, signal);
    return isEnough;
  }

  /**
   * If there is anything to collect. Whether the storage is below the mark now.
   * @throws with `mustFree` when errors have kept it from freeing anything: then nothing more is given up
   */
  async #collect(
    keepDeletedMs: number,
    { signal, mustFree = false }: { readonly signal: AbortSignal; readonly mustFree?: boolean },
  ): Promise<boolean> {
    const { collector, watch } = this.#parts;
    signal.throwIfAborted();
    if (await this.#isDue(keepDeletedMs)) {
      const asked = this.#asked(keepDeletedMs);
      const { bytes, ok, errors } = await collector.collect(asked, () => undefined, signal);
      this.#freedBytes += bytes;
      this.#hasCollected = true;
      if (mustFree && bytes === 0 && !ok) throw new Error(errors.join("; "));
    }
    return watch.isClearOf("collect", await watch.measure());
  }

  async #isDue(keepDeletedMs: number): Promise<boolean> {
    const { index, clock, options } = this.#parts;
    const { uploadAgeMs } = options;
    const nowMs = clock.now();
    const found = await index.collectionDue({
      nowMs,
      policy: policyOf(this.#asked(keepDeletedMs), nowMs),
      deletedBeforeMs: nowMs - keepDeletedMs,
      uploadsIdleSinceMs: uploadAgeMs === null ? null : nowMs - uploadAgeMs,
    });
    return found.due;
  }

  #asked(keepDeletedMs: number): CollectOptions {
    const { untagged, foreignGraceMs } = this.#parts.options;
    return {
      dryRun: false,
      untagged: untagged.delete,
      untaggedOlderThanMs: untagged.olderThanMs,
      full: false,
      foreignGraceMs,
      keepDeletedMs,
      askedBy: { kind: "background", user: null },
      trigger: "pressure",
      listing: "nothing",
    };
  }
}
