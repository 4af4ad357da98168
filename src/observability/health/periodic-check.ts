// One thing that is looked at again and again: how often it has failed in a row, and with what. Looks
// once at a time, never throws, and keeps no process alive.

export interface CheckOptions {
  /** As `/debug/health` names it. */
  readonly name: string;
  readonly intervalMs: number;
  /** Failures in a row that make it unhealthy; 0 counts as 1. */
  readonly threshold: number;
  /** Rejects with what is wrong. */
  readonly run: () => Promise<void>;
}

export class PeriodicCheck {
  readonly #options: CheckOptions;
  #timer: Timer | null = null;
  #failures = 0;
  #message = "";
  #running: Promise<void> | null = null;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  /** Looks now, and then again and again. */
  start(): void {
    void this.check();
    this.#timer = setInterval(() => void this.check(), this.#options.intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  check(): Promise<void> {
    this.#running ??= this.#check().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #check(): Promise<void> {
    try {
      await this.#options.run();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#message = error instanceof Error ? error.message : String(error);
    }
  }

  failing(): Readonly<Record<string, string>> {
    const { name, threshold } = this.#options;
    return this.#failures < Math.max(1, threshold) ? {} : { [name]: this.#message };
  }
}
