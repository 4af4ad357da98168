// All health checks together, as a request and `/debug/health` ask for them.

export interface HealthSource {
  start(): void;
  stop(): void;
  /** Name and message of what fails now. */
  failing(): Readonly<Record<string, string>>;
}

const nothing: Readonly<Record<string, string>> = {};

export class HealthMonitor implements HealthSource {
  readonly #sources: HealthSource[] = [];

  /** Before `start`. */
  add(...sources: readonly HealthSource[]): void {
    this.#sources.push(...sources);
  }

  start(): void {
    for (const source of this.#sources) source.start();
  }

  stop(): void {
    for (const source of this.#sources) source.stop();
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
