// Whether requests should come here: not while the registry starts or stops, not while its index cannot
// be asked, and not while a health check fails. That tree and index are being compared is no reason:
// everything is served meanwhile.
import type { HealthChecks, Readiness } from "./ports.ts";

export class ServingReadiness implements Readiness {
  readonly #health: HealthChecks;
  /** A look-up that fails when there is no index to ask. */
  #look: (() => Promise<unknown>) | null = null;
  #why = "starting";

  constructor(health: HealthChecks) {
    this.#health = health;
  }

  serving(look: () => Promise<unknown>): void {
    this.#look = look;
  }

  stopping(): void {
    this.#look = null;
    this.#why = "stopping";
  }

  async notReady(): Promise<string | null> {
    if (this.#look === null) return this.#why;
    for (const _name in this.#health.failing()) return "a health check fails: see /debug/health";
    try {
      await this.#look();
    } catch {
      // Why, the log says; whoever asks here only wants to know where to send requests.
      return "the index cannot be asked";
    }
    return this.#look === null ? this.#why : null;
  }
}
