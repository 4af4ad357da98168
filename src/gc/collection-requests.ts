// Collections that nobody waits for at the other end of a connection (the API): asked for, and looked at
// later. One such request at a time; it waits for the index to be checked (INV-8) and for its turn.
import type { CollectOptions } from "./collection-events.ts";
import type { Collector } from "./collector.ts";
import { OneRun } from "../registry/ports/one-run.ts";
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
  readonly #asked = new OneRun();

  constructor(parts: CollectionRequestParts) {
    this.#parts = parts;
  }

  /** Somebody asked, and the collection has not ended yet; it may wait for its turn. */
  get isAsked(): boolean {
    return this.#asked.isRunning;
  }

  /** Grows with every change of `isAsked`. */
  get changes(): number {
    return this.#asked.changes;
  }

  /** False: another request is not over yet, or the process stops. */
  start(options: CollectOptions): boolean {
    return this.#asked.start((signal) => this.#collect(options, signal));
  }

  /** Stops the run under way between two batches, whoever asked for it; false: there is none. */
  stopRun(): boolean {
    const isRunning = this.#parts.collector.stopRun();
    return this.#asked.abort(new CollectionStop("asked")) || isRunning;
  }

  /** The process stops: later requests are refused. */
  async stop(): Promise<void> {
    await this.#asked.stop(new CollectionStop("stopping"));
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
    }
  }
}
