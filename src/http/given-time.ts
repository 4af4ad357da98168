// Waits for one thing after the other, until the time given for all of them is over. Not Promise.race: a
// promise that outlives what it is raced with keeps each of these, and all the bytes that they brought.

export class GivenTime {
  #over: Error | null = null;
  #giveUp: ((error: Error) => void) | null = null;

  /** From now on nothing is waited for. */
  end(error: Error): void {
    this.#over ??= error;
    this.#giveUp?.(this.#over);
  }

  /** One at a time. @throws what `end` was given, or what the work throws */
  wait<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      work.then(resolve, reject);
      if (this.#over !== null) reject(this.#over);
    });
  }
}
