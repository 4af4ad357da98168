// Lets few through at a time: reports and lists that may walk over the whole registry for one request. Each
// gives others their turn between its looks, but many at once would leave nobody much.
import { TooManyRequestsError } from "../oci/index.ts";

/** Most are over sooner. */
const retrySeconds = 5;

export interface TurnstileOptions {
  readonly atOnce: number;
  readonly waitingMax: number;
  /** What is made: "reports". */
  readonly what: string;
}

/** Reports on usage, over the API. */
export const reportTurns: TurnstileOptions = { atOnce: 2, waitingMax: 20, what: "reports" };

/** Lists of the repositories that somebody may see, among all. */
export const walkTurns: TurnstileOptions = { atOnce: 4, waitingMax: 100, what: "lists" };

export class Turnstile {
  readonly #options: TurnstileOptions;
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: TurnstileOptions) {
    this.#options = options;
  }

  /** @throws TooManyRequestsError when too many wait already */
  async pass<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#inside >= this.#options.atOnce) await this.#turn();
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
    const { waitingMax, what } = this.#options;
    if (this.#waiting.length >= waitingMax) {
      throw new TooManyRequestsError(
        `${waitingMax} ${what} wait to be made already; ask again after the time in Retry-After`,
        { limit: "reports", retryAfterSeconds: retrySeconds },
      );
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
