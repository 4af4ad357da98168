// Work that one caller begins and others look at and stop (collection, verify, retention over the API): never
// two at once, and none any more when the process stops. No port: it stands here because takeover/ may import
// nothing else of this room.

export class OneRun {
  #running: { readonly abort: AbortController; readonly over: Promise<void> } | null = null;
  #stopped = false;
  #changes = 0;

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Grows with every change of `isRunning`. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * @param work never rejects; begins after this call has returned
   * @returns false: one is under way, or the process stops
   */
  start(work: (signal: AbortSignal) => Promise<void>): boolean {
    if (this.#running !== null || this.#stopped) return false;
    const abort = new AbortController();
    const over = Promise.resolve()
      .then(() => work(abort.signal))
      .finally(() => {
        this.#running = null;
        this.#changes += 1;
      });
    this.#running = { abort, over };
    this.#changes += 1;
    return true;
  }

  /** False: none is under way. */
  abort(reason: Error): boolean {
    this.#running?.abort.abort(reason);
    return this.#running !== null;
  }

  /** Resolves when what is under way now, if anything is, is over. */
  async settle(): Promise<void> {
    await this.#running?.over;
  }

  /** The process stops: resolves when the run under way is over; later ones are refused. */
  async stop(reason: Error): Promise<void> {
    this.#stopped = true;
    this.#running?.abort.abort(reason);
    await this.#running?.over;
  }
}

export const askedToStop = (): Error => new Error("somebody asked for it to stop");
export const registryStops = (): Error => new Error("the registry is stopping");
