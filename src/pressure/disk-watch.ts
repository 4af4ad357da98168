// Watches how full the storage is: says so in the log when a mark is passed, has room made from `collect`
// on, and above `refuse`, the load line, lets nothing more in. An upload that was let in goes on, whatever
// happens. Frees nothing itself (relief.ts). Time and timers are injected. Documentation: docs/limits.md.
import type { Timers } from "../gc/index.ts";
import { DiskFullError } from "../oci/index.ts";
import type { Admission, LoadLine } from "../registry/load-line.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { DiskSpace, DiskUse } from "../registry/ports/disk-space.ts";
import { Admissions } from "./admissions.ts";
import { clearedAt, type Mark, markOf, type Marks, percentOf, percentText } from "./marks.ts";

/** Between two measurements when nothing happens. */
const intervalMs = 5_000;

/** What is admitted is counted by ourselves; this is for what others write to the same disk. */
const freshMs = 250;

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

/** Makes room. Called after each measurement at or above the mark `collect`; never waited for. */
export type Relieve = () => void;

interface Sample {
  readonly use: DiskUse;
  readonly atMs: number;
}

export class DiskWatch implements LoadLine {
  readonly #parts: DiskWatchParts;
  readonly #admissions = new Admissions();
  #relieve: Relieve = () => undefined;
  #last: Sample | null = null;
  #measuring: Promise<DiskUse> | null = null;
  #mark: Mark | null = null;
  #isFailing = false;
  #callOff: (() => void) | null = null;
  #isStopped = false;

  constructor(parts: DiskWatchParts) {
    this.#parts = parts;
  }

  /** Measures now, and again and again. */
  async start(relieve: Relieve): Promise<void> {
    this.#relieve = relieve;
    await this.#round();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#callOff?.();
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
    const use = await this.#recent();
    if (use !== null) this.#refuseAbove(use, bytes);
    return this.#admissions.add(bytes);
  }

  #refuseAbove({ usedBytes, capacityBytes }: DiskUse, bytes: number): void {
    const { marks, space } = this.#parts;
    const lineBytes = (capacityBytes * marks.refuse) / 100;
    const expectedBytes = usedBytes + this.#admissions.pendingBytes;
    const isOver = expectedBytes >= lineBytes || expectedBytes + bytes > lineBytes;
    if (!isOver) return;
    const would =
      expectedBytes >= lineBytes
        ? `is ${percentText({ usedBytes: expectedBytes, capacityBytes })} full`
        : `has no room for these ${bytes.toLocaleString("en-US")} bytes`;
    throw new DiskFullError(
      `the registry takes no pushes now: ${space.name} ${would}, and may be filled to ${marks.refuse}% (storage.watermark.refuse); nothing was stored. Pulls and deletions go on: delete images and run registry garbage-collect, or make room, then try again`,
      { retryAfterSeconds },
    );
  }

  /** Null: it cannot be told. Then nobody is refused for it; a disk that is full refuses by itself. */
  async #recent(): Promise<DiskUse | null> {
    const nowMs = this.#parts.clock.now();
    const ageMs = this.#last === null ? Number.POSITIVE_INFINITY : nowMs - this.#last.atMs;
    // A clock that was set back makes an age that is none.
    if (ageMs < 0 || ageMs > freshMs) await this.#tryToMeasure();
    return this.#last?.use ?? null;
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
    const use = await space.measure();
    settle();
    this.#last = { use, atMs: clock.now() };
    this.#judge(use);
    return use;
  }

  #judge(use: DiskUse): void {
    const before = this.#mark;
    const now = markOf(use, this.#parts.marks, before);
    this.#mark = now;
    if (now !== before) this.#tell(use, before, now);
    if ((now === "collect" || now === "refuse") && !this.#isStopped) this.#relieve();
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
