// Lets few through at a time: reports that walk over the whole registry. Each gives others their turn between
// its looks, but many at once would leave nobody much.
import { TooManyRequestsError } from "../../oci/index.ts";

const atOnce = 2;
const waitingMax = 20;
/** Most are over sooner. */
const retrySeconds = 5;

export class Turnstile {
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  /** @throws TooManyRequestsError when too many wait already */
  async pass<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#inside >= atOnce) await this.#turn();
    else this.#inside += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // Whoever waits takes the place over.
      if (next === undefined) this.#inside -= 1;
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= waitingMax) {
      throw new TooManyRequestsError(
        `${waitingMax} reports wait to be made already; ask again after the time in Retry-After`,
        { limit: "reports", retryAfterSeconds: retrySeconds },
      );
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
