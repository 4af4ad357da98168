// Ends upload sessions that nobody has touched for long (`storage.maintenance.uploadpurging`), and says
// so in the classic registry's words.
import { uploadDirectory } from "../storage/layout.ts";
import type { Clock } from "./ports/clock.ts";
import type { Index, UploadFact } from "./ports/index.ts";
import type { Reports } from "./services.ts";

const pageMax = 100;

export interface UploadExpiryParts {
  readonly index: Pick<Index, "listIdleUploads">;
  readonly uploads: { expire(upload: UploadFact, idleSinceMs: number): Promise<boolean> };
  readonly clock: Clock;
  readonly reports: Reports;
  readonly options: {
    readonly ageMs: number;
    readonly intervalMs: number;
    readonly dryRun: boolean;
  };
}

/** The first run comes soon, so that a registry that is often restarted is cleaned all the same. */
const firstRunMs = 60_000;

export class UploadExpiry {
  readonly #parts: UploadExpiryParts;
  #timer: Timer | null = null;
  #running: Promise<unknown> = Promise.resolve();

  constructor(parts: UploadExpiryParts) {
    this.#parts = parts;
  }

  start(): void {
    const { intervalMs } = this.#parts.options;
    this.#parts.reports.info(
      `Starting upload purge in ${Math.min(firstRunMs, intervalMs) / 1000}s`,
    );
    this.#schedule(Math.min(firstRunMs, intervalMs));
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#running;
  }

  #schedule(delayMs: number): void {
    // Longer delays than this many milliseconds would wrap around and fire at once.
    const timerMsMax = 2 ** 31 - 1;
    this.#timer = setTimeout(
      () => {
        this.#schedule(this.#parts.options.intervalMs);
        this.#running = this.run().catch((error: unknown) => {
          this.#parts.reports.error("upload purge failed", error);
        });
      },
      Math.min(delayMs, timerMsMax),
    );
    this.#timer.unref();
  }

  /** As run, for a collection: says nothing when there is nothing, and nothing ends in a dry run. */
  async expireIdle(): Promise<number> {
    const { index, clock, options } = this.#parts;
    if (options.dryRun) return 0;
    const [oldest] = await index.listIdleUploads(clock.now() - options.ageMs, 1);
    return oldest === undefined ? 0 : await this.run();
  }

  /** One pass over what is too old; how many sessions it ended (or would have). */
  async run(): Promise<number> {
    const { index, clock, reports, options } = this.#parts;
    const idleSinceMs = clock.now() - options.ageMs;
    const before = new Date(idleSinceMs).toISOString();
    reports.info(
      `PurgeUploads starting: olderThan=${before}, actuallyDelete=${String(!options.dryRun)}`,
    );
    let ended = 0;
    for (;;) {
      const page = await index.listIdleUploads(idleSinceMs, pageMax);
      for (const upload of page) ended += await this.#expire(upload, idleSinceMs);
      // A dry run ends nothing, so the same page would come again.
      if (page.length < pageMax || options.dryRun) break;
    }
    reports.info(`Purge uploads finished.  Num deleted=${ended}, num errors=0`);
    return ended;
  }

  async #expire(upload: UploadFact, idleSinceMs: number): Promise<number> {
    const { uploads, reports, options } = this.#parts;
    const started = new Date(upload.startedAtMs).toISOString();
    reports.info(
      `Upload files in ${uploadDirectory(upload.repository, upload.id)} have older date (${started}) than purge date (${new Date(idleSinceMs).toISOString()}).  Removing upload directory.`,
    );
    if (options.dryRun) return 1;
    return (await uploads.expire(upload, idleSinceMs)) ? 1 : 0;
  }
}
