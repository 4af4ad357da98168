// Collections that nobody waits for at the other end of a connection (the API): asked for, and looked at
// later. One such request at a time; it waits for the index to be checked (INV-8) and for its turn.
import type { CollectOptions } from "./collection-events.ts";
import type { Collector } from "./collector.ts";
import { messageOf } from "./run-record.ts";
import { CollectionStop } from "./stop-reason.ts";

export interface CollectionRequestParts {
  readonly collector: Pick<Collector, "collect" | "stopRun">;
  /** Resolves once tree and index agree (INV-8). */
  readonly agreed: (signal: AbortSignal) => Promise<void>;
  readonly log: { readonly warn: (message: string) => void };
}

export class CollectionRequests {
  readonly #parts: CollectionRequestParts;
  #asked: { readonly abort: AbortController; readonly over: Promise<void> } | null = null;
  #stopped = false;
  #changes = 0;

  constructor(parts: CollectionRequestParts) {
    this.#parts = parts;
  }

  /** Somebody asked, and the collection has not ended yet; it may wait for its turn. */
  get isAsked(): boolean {
    return this.#asked !== null;
  }

  /** Grows with every change of `isAsked`. */
  get changes(): number {
    return this.#changes;
  }

  /** False: another request is not over yet, or the process stops. */
  start(options: CollectOptions): boolean {
    if (this.#asked !== null || this.#stopped) return false;
    const abort = new AbortController();
    // Not before there is something to forget.
    const over = Promise.resolve().then(() => this.#collect(options, abort.signal));
    this.#asked = { abort, over };
    this.#changes += 1;
    return true;
  }

  /** Stops the run under way between two batches, whoever asked for it; false: there is none. */
  stopRun(): boolean {
    const isRunning = this.#parts.collector.stopRun();
    this.#asked?.abort.abort(new CollectionStop("asked"));
    return isRunning || this.#asked !== null;
  }

  /** The process stops: later requests are refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#asked?.abort.abort(new CollectionStop("stopping"));
    await this.#asked?.over;
  }

  async #collect(options: CollectOptions, signal: AbortSignal): Promise<void> {
    const { agreed, collector, log } = this.#parts;
    try {
      await agreed(signal);
      await collector.collect(options, () => undefined, signal);
    } catch (error) {
      // Nobody waits for it: the log says it, and the monitor of the collector.
      if (!signal.aborted)
        log.warn(`the collection that was asked for failed: ${messageOf(error)}`);
    } finally {
      this.#asked = null;
      this.#changes += 1;
    }
  }
}
