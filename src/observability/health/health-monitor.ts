// All health checks together, as a request and `/debug/health` ask for them. Tells the log of what begins
// and ceases to fail: not everybody has a debug address.

export interface HealthSource {
  start(): void;
  stop(): void;
  /** Name and message of what fails now. */
  failing(): Readonly<Record<string, string>>;
}

/** How soon the log hears of it. */
const tellMs = 1_000;

const nothing: Readonly<Record<string, string>> = {};

type HealthLog = Readonly<Record<"info" | "error", (message: string) => void>>;

export class HealthMonitor implements HealthSource {
  readonly #log: HealthLog;
  #sources: readonly HealthSource[] = [];
  #isStarted = false;
  #timer: Timer | null = null;
  /** What the log has heard of. */
  #told: readonly string[] = [];

  constructor(log: HealthLog) {
    this.#log = log;
  }

  /** Before `start`. */
  add(...sources: readonly HealthSource[]): void {
    this.#sources = [...this.#sources, ...sources];
  }

  start(): void {
    this.#isStarted = true;
    for (const source of this.#sources) source.start();
    this.#timer = setInterval(() => {
      this.tellChanges();
    }, tellMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#isStarted = false;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const source of this.#sources) source.stop();
  }

  /** These instead of all that there were. What has failed until then is forgotten. */
  replace(sources: readonly HealthSource[]): void {
    const isStarted = this.#isStarted;
    this.stop();
    this.#sources = sources;
    this.#told = [];
    if (isStarted) this.start();
  }

  tellChanges(): void {
    const failing = this.failing();
    for (const [name, message] of Object.entries(failing)) {
      if (this.#told.includes(name)) continue;
      this.#log.error(
        `health check ${name} fails: ${message}; requests to /v2/ are answered 503 until it passes`,
      );
    }
    for (const name of this.#told) {
      if (!(name in failing)) this.#log.info(`health check ${name} passes again`);
    }
    this.#told = Object.keys(failing);
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
