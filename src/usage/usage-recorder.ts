// Keeps the totals of each day, so that growth can be told: the last ones of the day stand for it. Time
// and timers are injected. A sample that cannot be taken is left out: the next one is an hour away.
import type { Clock } from "../registry/ports/clock.ts";
import type { UsageIndex } from "../registry/ports/index.ts";
import type { Timers } from "../gc/timers.ts";

const dayMs = 86_400_000;
const firstMs = 60_000;
const everyMs = 3_600_000;

export interface RecorderParts {
  readonly index: Pick<UsageIndex, "recordUsage">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly warn: (message: string) => void;
}

export class UsageRecorder {
  readonly #parts: RecorderParts;
  #callOff: (() => void) | null = null;
  #recording: Promise<void> = Promise.resolve();

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#wait(firstMs);
  }

  async stop(): Promise<void> {
    this.#callOff?.();
    this.#callOff = null;
    await this.#recording;
  }

  #wait(ms: number): void {
    this.#callOff = this.#parts.timers.set(ms, () => {
      this.#wait(everyMs);
      this.#recording = this.#record();
    });
  }

  async #record(): Promise<void> {
    const { index, clock, warn } = this.#parts;
    const nowMs = clock.now();
    try {
      await index.recordUsage({ day: Math.floor(nowMs / dayMs), nowMs });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      warn(`usage of the day could not be recorded: ${reason}`);
    }
  }
}
