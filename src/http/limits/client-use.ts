// What one client uses: requests, uploads at the same time, bandwidth. Uploads beyond the limit wait for
// their turn, because of a push that has begun no client sends a body twice.
import { Meter, Pace } from "./rate.ts";

/** Who waits for a turn holds a connection and nothing else. */
const waitMsMax = 15 * 60_000;
/** A client sends some layers at once, however few are let in. */
const waitingMin = 8;

export class ClientUse {
  readonly requests = new Meter();
  readonly receiving = new Pace();
  readonly sending = new Pace();
  #uploads = 0;
  readonly #waiting = new Set<(isMine: boolean) => void>();

  isIdle(nowMs: number): boolean {
    return (
      this.#uploads === 0 &&
      this.#waiting.size === 0 &&
      this.requests.isIdle(nowMs) &&
      this.receiving.isIdle(nowMs) &&
      this.sending.isIdle(nowMs)
    );
  }

  /** Whether one more would find a turn, or a place to wait for one. */
  hasPlace(uploadsMax: number): boolean {
    return this.#uploads < uploadsMax || this.#waiting.size < Math.max(waitingMin, uploadsMax);
  }

  /** False: there is no place, or the turn did not come. True: `endUpload` gives it back. */
  async beginUpload(uploadsMax: number, gone: () => AbortSignal): Promise<boolean> {
    if (this.#uploads < uploadsMax && this.#waiting.size === 0) {
      this.#uploads += 1;
      return true;
    }
    if (!this.hasPlace(uploadsMax)) return false;
    const signal = gone();
    if (signal.aborted) return false;
    return await new Promise<boolean>((resolve) => {
      const settle = (isMine: boolean): void => {
        this.#waiting.delete(settle);
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        resolve(isMine);
      };
      const giveUp = (): void => settle(false);
      const timer = setTimeout(giveUp, waitMsMax);
      signal.addEventListener("abort", giveUp);
      this.#waiting.add(settle);
    });
  }

  /** @param uploadsMax as it is now: it may have been changed meanwhile. */
  endUpload(uploadsMax: number): void {
    this.#uploads -= 1;
    while (this.#uploads < uploadsMax) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#uploads += 1;
      next(true);
    }
  }
}
