// When the walk pauses: always often enough to hear a stop, and while others are served, for as long as
// it has worked, so that it never takes more than half of one processor and of the disk.

/** Work between two pauses. */
const sliceMs = 20;
/** After a step that took long (a slow disk) the pause is no longer than this. */
const restMsMax = 200;

export class Pacer {
  readonly #isGentle: boolean;
  #startedMs = performance.now();

  constructor(options: { readonly isGentle: boolean }) {
    this.#isGentle = options.isGentle;
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
