// `health.storagedriver`: asks the storage now and then whether it works, and remembers.
import type { Storage } from "./ports/storage.ts";

export interface StorageHealthOptions {
  readonly enabled: boolean;
  readonly intervalMs: number;
  /** Failures in a row that make it unhealthy; 0 counts as 1. */
  readonly threshold: number;
}

export class StorageHealth {
  readonly #storage: Storage;
  readonly #options: StorageHealthOptions;
  #timer: Timer | null = null;
  #failures = 0;
  #message = "";

  constructor(storage: Storage, options: StorageHealthOptions) {
    this.#storage = storage;
    this.#options = options;
  }

  start(): void {
    if (!this.#options.enabled) return;
    this.#timer = setInterval(() => void this.check(), this.#options.intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Asks once; never throws: a failure is what is remembered. */
  async check(): Promise<void> {
    try {
      await this.#storage.check();
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      this.#message = error instanceof Error ? error.message : String(error);
    }
  }

  /** The failing checks by name, as `/debug/health` answers them. */
  failing(): Readonly<Record<string, string>> {
    const { enabled, threshold } = this.#options;
    if (!enabled || this.#failures < Math.max(1, threshold)) return {};
    return { storagedriver: this.#message };
  }
}
