// All health checks together, as a request and `/debug/health` ask for them.

export interface HealthSource {
  start(): void;
  stop(): void;
  /** Name and message of what fails now. */
  failing(): Readonly<Record<string, string>>;
}

const nothing: Readonly<Record<string, string>> = {};

export class HealthMonitor implements HealthSource {
  #sources: readonly HealthSource[] = [];
  #isStarted = false;

  /** Before `start`. */
  add(...sources: readonly HealthSource[]): void {
    this.#sources = [...this.#sources, ...sources];
  }

  start(): void {
    this.#isStarted = true;
    for (const source of this.#sources) source.start();
  }

  stop(): void {
    this.#isStarted = false;
    for (const source of this.#sources) source.stop();
  }

  /** These instead of all that there were. What has failed until then is forgotten. */
  replace(sources: readonly HealthSource[]): void {
    const isStarted = this.#isStarted;
    this.stop();
    this.#sources = sources;
    if (isStarted) this.start();
  }

  /** Asked for on every request: it makes nothing as long as nothing fails. */
  failing(): Readonly<Record<string, string>> {
    let all = nothing;
    for (const source of this.#sources) {
      const failing = source.failing();
      for (const name in failing) all = { ...all, [name]: failing[name] ?? "" };
    }
    return all;
  }
}
