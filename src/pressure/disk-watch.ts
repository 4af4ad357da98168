// Watches how full the storage is: says so in the log when a mark is passed, has room made from `collect`
// on, and above `refuse`, the load line, lets nothing more in. An upload that was let in goes on, unless it
// does not say how large it is and would fill the disk. Frees nothing itself (relief.ts). Time and timers
// are injected. Documentation: docs/limits.md.
import type { Timers } from "../gc/index.ts";
import { DiskFullError } from "../oci/index.ts";
import type { Admission, LoadLine } from "../registry/load-line.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { DiskSpace, DiskUse } from "../registry/ports/disk-space.ts";
import { Admissions } from "./admissions.ts";
import { clearedAt, type Mark, markOf, type Marks, percentOf, percentText } from "./marks.ts";

/** Between two measurements when nothing happens. */
const intervalMs = 5_000;

/**
 * A measurement is believed for so long: what is admitted is counted by ourselves, so this is for what
 * others write to the same disk. Near a mark that something has to be done at, it is believed less.
 */
const freshMs = { far: 250, near: 20 } as const;

/** Who would be refused waits this long for room that is being made: better a slow push than none. */
const patienceMs = 10_000;

/** How long a client that was refused should wait: a collection may have made room by then. */
const retryAfterSeconds = 30;

export interface DiskWatchParts {
  readonly space: DiskSpace;
  readonly marks: Marks;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: {
    readonly info: (message: string) => void;
    readonly warn: (message: string) => void;
  };
}

/** Makes room. Woken after each measurement at or above the mark `collect`. */
export interface Relieving {
  wake(): void;
  /** Resolves when nothing is under way. */
  settle(): Promise<void>;
}

interface Sample {
  readonly use: DiskUse;
  readonly atMs: number;
  readonly tookMs: number;
}

/** Measuring takes no more than this share of the time, whatever it costs. */
const measuringShareMax = 0.1;

export class DiskWatch implements LoadLine {
  readonly #parts: DiskWatchParts;
  readonly #admissions = new Admissions();
  #relief: Relieving | null = null;
  #last: Sample | null = null;
  #measuring: Promise<DiskUse> | null = null;
  #mark: Mark | null = null;
  #isFailing = false;
  #callOff: (() => void) | null = null;
  #isStopped = false;

  constructor(parts: DiskWatchParts) {
    this.#parts = parts;
  }

  /** Measures now, and again and again. `relief` null: nothing may be removed. */
  async start(relief: Relieving | null): Promise<void> {
    this.#relief = relief;
    await this.#round();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#callOff?.();
    // What it fails with has been told by who began it.
    await this.#measuring?.catch(() => undefined);
  }

  /** As it is now, and not a moment ago. @throws what measuring fails with */
  async measure(): Promise<DiskUse> {
    // Whoever began it before has what it fails with.
    while (this.#measuring !== null) await this.#measuring.catch(() => undefined);
    return await this.#begin();
  }

  /** Far enough below the mark that it is not passed again at once. */
  isClearOf(mark: Mark, use: DiskUse): boolean {
    return percentOf(use) < clearedAt(this.#parts.marks[mark]);
  }

  async admit(bytes: number): Promise<Admission> {
    const askedMs = this.#parts.clock.now();
    let why = this.#whyRefused(await this.#recent(), bytes);
    if (why !== null) {
      await this.#roomMade();
      // Nobody is refused for what was so a moment ago: something may just have been removed.
      if ((this.#last?.atMs ?? askedMs) <= askedMs) await this.#tryToMeasure();
      why = this.#whyRefused(await this.#recent(), bytes);
    }
    if (why !== null) {
      throw this.#refusal(`${why}, and may be filled to ${this.#parts.marks.refuse}%`);
    }
    const { expect, received, end } = this.#admissions.add(bytes);
    return { received, checkUnannounced: (more) => this.#promise(more, expect), end };
  }

  /** Bytes that nobody announced get none of the last room: it is for those announced, and for the index. */
  async #promise(bytes: number, expect: (bytes: number) => void): Promise<void> {
    // In the same turn as the look: two at once must not count on the same space.
    const isPromised = (): boolean => {
      if (this.#wouldFill(bytes)) return false;
      expect(bytes);
      return true;
    };
    if (isPromised()) return;
    await this.#recent();
    if (isPromised()) return;
    await this.#roomMade();
    await this.#tryToMeasure();
    if (isPromised()) return;
    throw this.#refusal("would be filled by this upload, whose size is not known");
  }

  /** More than half of what is above the line would be taken. */
  #wouldFill(bytes: number): boolean {
    if (this.#last === null) return false;
    const { usedBytes, capacityBytes } = this.#last.use;
    const brimPercent = (this.#parts.marks.refuse + 100) / 2;
    const expectedBytes = usedBytes + this.#admissions.pendingBytes + bytes;
    return expectedBytes > (capacityBytes * brimPercent) / 100;
  }

  /** Null: it is not. */
  #whyRefused(use: DiskUse | null, bytes: number): string | null {
    if (use === null) return null;
    const { capacityBytes } = use;
    const lineBytes = (capacityBytes * this.#parts.marks.refuse) / 100;
    if (use.usedBytes >= lineBytes) return `is ${percentText(use)} full`;
    const usedBytes = use.usedBytes + this.#admissions.pendingBytes;
    if (usedBytes >= lineBytes) return "has no room beside what is arriving now";
    if (usedBytes + bytes <= lineBytes) return null;
    return `has no room for these ${bytes.toLocaleString("en-US")} bytes`;
  }

  /** Room that is being made is there, or it takes too long. */
  async #roomMade(): Promise<void> {
    if (this.#relief === null) return;
    const patience = Promise.withResolvers<void>();
    const callOff = this.#parts.timers.set(patienceMs, patience.resolve);
    await Promise.race([this.#relief.settle(), patience.promise]);
    callOff();
  }

  #refusal(would: string): DiskFullError {
    const { space } = this.#parts;
    return new DiskFullError(
      `the registry takes no pushes now: ${space.name} ${would} (storage.watermark.refuse); nothing was stored. Pulls and deletions go on: delete images and run registry garbage-collect, or make room, then try again`,
      { retryAfterSeconds },
    );
  }

  /** Null: it cannot be told. Then nobody is refused for it; a disk that is full refuses by itself. */
  async #recent(): Promise<DiskUse | null> {
    if (!this.#isFresh()) await this.#tryToMeasure();
    return this.#last?.use ?? null;
  }

  #isFresh(): boolean {
    if (this.#last === null) return false;
    const { marks, clock } = this.#parts;
    const { usedBytes, capacityBytes } = this.#last.use;
    const expected = { usedBytes: usedBytes + this.#admissions.pendingBytes, capacityBytes };
    const isNear = percentOf(expected) >= marks.collect;
    // A clock that was set back makes an age that is none.
    const ageMs = clock.now() - this.#last.atMs;
    const limitMs = isNear ? freshMs.near : freshMs.far;
    return ageMs >= 0 && ageMs <= Math.max(limitMs, this.#last.tookMs / measuringShareMax);
  }

  async #round(): Promise<void> {
    await this.#tryToMeasure();
    if (this.#isStopped) return;
    this.#callOff = this.#parts.timers.set(intervalMs, () => void this.#round());
  }

  async #tryToMeasure(): Promise<void> {
    try {
      await (this.#measuring ?? this.#begin());
      this.#isFailing = false;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!this.#isFailing) {
        this.#parts.log.warn(`${this.#parts.space.name}: how full it is cannot be told: ${why}`);
      }
      this.#isFailing = true;
    }
  }

  #begin(): Promise<DiskUse> {
    this.#measuring = this.#measure().finally(() => {
      this.#measuring = null;
    });
    return this.#measuring;
  }

  async #measure(): Promise<DiskUse> {
    const { space, clock } = this.#parts;
    const settle = this.#admissions.mark();
    const begunMs = clock.now();
    try {
      const use = await space.measure();
      const atMs = clock.now();
      this.#last = { use, atMs, tookMs: Math.max(0, atMs - begunMs) };
      this.#judge(use);
      return use;
    } finally {
      // Also when it cannot be told: what has come in is not counted, and remembered, for ever.
      settle();
    }
  }

  #judge(use: DiskUse): void {
    const before = this.#mark;
    const now = markOf(use, this.#parts.marks, before);
    this.#mark = now;
    if (now !== before) this.#tell(use, before, now);
    if ((now === "collect" || now === "refuse") && !this.#isStopped) {
      this.#relief?.wake();
    }
  }

  /** Once for each mark that is passed. */
  #tell(use: DiskUse, before: Mark | null, now: Mark | null): void {
    const { log, space, marks } = this.#parts;
    const full = `${space.name} is ${percentText(use)} full`;
    if (before === "refuse") log.info(`${full}: pushes are accepted again`);
    switch (now) {
      case "refuse":
        log.warn(
          `${full}, above storage.watermark.refuse (${marks.refuse}%): pushes are refused until there is room again; pulls and deletions go on`,
        );
        return;
      case "collect":
        if (before === "refuse") return;
        log.warn(
          `${full}, above storage.watermark.collect (${marks.collect}%): making room; pushes are refused from ${marks.refuse}% on`,
        );
        return;
      case "warn":
        if (before !== null) return;
        log.warn(
          `${full}, above storage.watermark.warn (${marks.warn}%): room is made from ${marks.collect}% on, and pushes are refused from ${marks.refuse}% on`,
        );
        return;
      case null:
        if (before !== "refuse") log.info(`${full}, below storage.watermark.warn again`);
    }
  }
}
