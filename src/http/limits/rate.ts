// Rates as one number each: the time at which what was used so far is paid off. (The generic cell rate
// algorithm: a bucket that fills up again without anybody filling it.) Pure: the time is given.

export interface Rate {
  readonly perSecond: number;
  /** So many at once, when nothing was used lately; at least 1. */
  readonly burst: number;
}

export class Meter {
  #paidAtMs = Number.NEGATIVE_INFINITY;

  /** Nothing of what was used is owed any more: as good as new. */
  isIdle(nowMs: number): boolean {
    return this.#paidAtMs <= nowMs;
  }

  /**
   * Uses one, if there is one. The milliseconds until there is; 0: it was used.
   * @param borrowed so many more than the burst, at most as many again, may be used by whoever may not
   *   be refused lightly
   */
  take({ perSecond, burst }: Rate, nowMs: number, borrowed = 0): number {
    const eachMs = 1000 / perSecond;
    // More than this rate ever lends is owed to a lower one, which has been replaced.
    const owedMs = Math.min(Math.max(this.#paidAtMs - nowMs, 0), 2 * burst * eachMs);
    const waitMs = owedMs + eachMs - (burst + borrowed) * eachMs;
    // Of sums of fractions a millionth is left over.
    const isTaken = waitMs <= 1e-6;
    this.#paidAtMs = nowMs + owedMs + (isTaken ? eachMs : 0);
    return isTaken ? 0 : waitMs;
  }

  /** The milliseconds until one could be used, beside others that may yet be; none is. */
  peek(rate: Rate, nowMs: number, others = 0): number {
    const eachMs = 1000 / rate.perSecond;
    const owedMs = Math.max(this.#paidAtMs - nowMs, 0);
    const waitMs = owedMs + (others + 1 - rate.burst) * eachMs;
    // As in `take`.
    return waitMs <= 1e-6 ? 0 : waitMs;
  }
}

/** Bytes that may go at once after a rest, in time at full rate. */
const restMsMax = 250;

/** Deals out one rate to many transfers, each of which waits its turn with every chunk. */
export class Pace {
  #freeAtMs = Number.NEGATIVE_INFINITY;
  #bytesPerSecond = 0;

  isIdle(nowMs: number): boolean {
    return this.#freeAtMs <= nowMs;
  }

  /** Books the bytes; the milliseconds that whoever moves them has to wait before moving more. */
  book(bytes: number, bytesPerSecond: number, nowMs: number): number {
    // What is owed is bytes: at a rate that was replaced it would have taken another time.
    const owedMs = this.#freeAtMs - nowMs;
    if (bytesPerSecond !== this.#bytesPerSecond && owedMs > 0) {
      this.#freeAtMs = nowMs + (owedMs * this.#bytesPerSecond) / bytesPerSecond;
    }
    this.#bytesPerSecond = bytesPerSecond;
    const fromMs = Math.max(this.#freeAtMs, nowMs - restMsMax);
    this.#freeAtMs = fromMs + (bytes * 1000) / bytesPerSecond;
    return Math.max(0, this.#freeAtMs - nowMs);
  }
}
