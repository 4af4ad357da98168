// Work that nobody waits for but that must not be lost sight of: its failures are reported, and a clean
// stop waits for it.
import type { Reports } from "./services.ts";

export class BackgroundWork {
  readonly #pending = new Set<Promise<void>>();
  readonly #reports: Reports;

  constructor(reports: Reports) {
    this.#reports = reports;
  }

  /** `what`: said in the report when it fails. */
  add(what: string, work: () => Promise<void>): void {
    const promise = work()
      .catch((error: unknown) => {
        this.#reports.error(`${what} failed`, error);
      })
      .finally(() => this.#pending.delete(promise));
    this.#pending.add(promise);
  }

  async settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }
}
