// The worker's way out: batches go to the main thread, at most a few that it has not dealt with yet, so
// that neither thread heaps up what the other cannot take. Knows nothing of what it carries.

/** Batches on their way. Two keep the writer busy while the next is made. */
const openMax = 3;

export class StoppedError extends Error {
  constructor() {
    super("the walk was stopped");
    this.name = "StoppedError";
  }
}

export class Outbox<Message> {
  readonly #post: (message: Message) => void;
  #open = 0;
  #stopped = false;
  #wake: (() => void) | null = null;

  constructor(post: (message: Message) => void) {
    this.#post = post;
  }

  /** Sends when there is room. @throws StoppedError */
  async send(message: Message): Promise<void> {
    await this.#until(() => this.#open < openMax);
    this.#open++;
    this.#post(message);
  }

  /** Resolves when everything sent has been dealt with. @throws StoppedError */
  settle(): Promise<void> {
    return this.#until(() => this.#open === 0);
  }

  taken(): void {
    this.#open--;
    this.#wake?.();
  }

  /** Whoever waits, or comes next, gets a StoppedError. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** @throws StoppedError */
  check(): void {
    if (this.#stopped) throw new StoppedError();
  }

  async #until(isSo: () => boolean): Promise<void> {
    this.check();
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
      this.check();
    }
  }
}
