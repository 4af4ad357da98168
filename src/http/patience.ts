// How long a sender is waited for. It has credit for a time of silence, which waiting uses up and bytes
// bring back: who sends at the least rate, or faster, is never given up, however long it takes, and who
// lets bytes trickle is, soon after who sends none. Only time in which the sender is waited for counts,
// never what writing, or a limit of bandwidth, takes. Pure: the time is given.
import type { SlowLimits } from "./limits/options.ts";

export class Patience {
  readonly #limits: SlowLimits;
  #creditMs: number;

  constructor(limits: SlowLimits) {
    this.#limits = limits;
    this.#creditMs = limits.graceMs;
  }

  /** How much longer the sender may be silent. */
  get leftMs(): number {
    return this.#creditMs;
  }

  arrived(bytes: number, waitedMs: number): void {
    const { bytesPerSecondMin, graceMs } = this.#limits;
    const earnedMs = (bytes * 1000) / bytesPerSecondMin;
    this.#creditMs = Math.min(graceMs, this.#creditMs - waitedMs + earnedMs);
  }
}
