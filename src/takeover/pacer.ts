// When the walk pauses: always often enough to hear a stop, and while others are served, for as long as
// it has worked, so that it never takes more than half of one processor and of the disk. A scrub, which has
// weeks, takes no more than its rate.

/** Work between two pauses. */
const sliceMs = 20;
/** After a step that took long (a slow disk) the pause is no longer than this. */
const restMsMax = 200;

export interface WalkPacer {
  /** Something has been read: a piece of a blob, or (0) a place where it could be. */
  read(bytes: number): void;
  isDue(): boolean;
  rest(): Promise<void>;
}

export class Pacer implements WalkPacer {
  readonly #isGentle: boolean;
  #startedMs = performance.now();

  constructor(options: { readonly isGentle: boolean }) {
    this.#isGentle = options.isGentle;
  }

  read(): void {
    // Goes by time alone.
  }

  isDue(): boolean {
    return performance.now() - this.#startedMs > sliceMs;
  }

  async rest(): Promise<void> {
    const workedMs = performance.now() - this.#startedMs;
    if (this.#isGentle) await Bun.sleep(Math.min(workedMs, restMsMax));
    else await new Promise((resolve) => setImmediate(resolve));
    this.#startedMs = performance.now();
  }
}

/** What looking for a blob and opening it may cost besides its bytes: a disk that turns gives 100 a second. */
const lookBytes = 64 * 1024;
/** A stop is heard this much later at most. */
const napMsMax = 1_000;

export interface RateOptions {
  readonly bytesPerSecond: number;
  /** Milliseconds of a clock that never goes back; and its waiting. */
  readonly time?: {
    readonly now: () => number;
    readonly sleep: (ms: number) => Promise<void>;
  };
}

/** At most so many bytes a second, on average since any moment: a slow hour is not made up for. */
export class RatePacer implements WalkPacer {
  readonly #bytesPerSecond: number;
  readonly #time: NonNullable<RateOptions["time"]>;
  #restedMs: number;
  /** When what has been read so far is paid for. */
  #paidMs: number;

  constructor({ bytesPerSecond, time }: RateOptions) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#time = time ?? { now: () => performance.now(), sleep: (ms) => Bun.sleep(ms) };
    this.#restedMs = this.#time.now();
    this.#paidMs = this.#restedMs;
  }

  read(bytes: number): void {
    const costMs = ((bytes === 0 ? lookBytes : bytes) / this.#bytesPerSecond) * 1_000;
    this.#paidMs = Math.max(this.#paidMs, this.#time.now()) + costMs;
  }

  isDue(): boolean {
    const now = this.#time.now();
    return this.#paidMs - now > sliceMs || now - this.#restedMs > sliceMs;
  }

  /** At most a nap: whoever rests asks again, and hears a stop in between. */
  async rest(): Promise<void> {
    const owedMs = this.#paidMs - this.#time.now();
    await this.#time.sleep(Math.min(Math.max(owedMs, 0), napMsMax));
    this.#restedMs = this.#time.now();
  }
}
