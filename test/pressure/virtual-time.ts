// A clock that a test moves, and the timers of it. Between two moves it runs as the real one does, so that
// what was measured grows old while a request is served.
import type { Timers } from "../../src/gc/index.ts";
import type { Clock } from "../../src/registry/ports/clock.ts";

interface Alarm {
  readonly atMs: number;
  readonly ring: () => void;
}

export class VirtualTime implements Clock, Timers {
  #baseMs: number;
  #movedAt = performance.now();
  readonly #alarms = new Set<Alarm>();

  constructor(startMs: number) {
    this.#baseMs = startMs;
  }

  now(): number {
    return Math.floor(this.#baseMs + performance.now() - this.#movedAt);
  }

  set(ms: number, ring: () => void): () => void {
    const alarm: Alarm = { atMs: this.now() + ms, ring };
    this.#alarms.add(alarm);
    return () => {
      this.#alarms.delete(alarm);
    };
  }

  /** Moves the clock, and rings once what has fallen due. */
  moveTo(ms: number): void {
    if (ms > this.now()) {
      this.#baseMs = ms;
      this.#movedAt = performance.now();
    }
    const due = [...this.#alarms].filter(({ atMs }) => atMs <= this.now());
    for (const alarm of due.toSorted((a, b) => a.atMs - b.atMs)) {
      this.#alarms.delete(alarm);
      alarm.ring();
    }
  }
}
