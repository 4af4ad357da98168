// Notes which manifests are pulled, and when, to the hour. On a request's way it costs a look into a map;
// what is new is written in the background, many at once, and at a clean stop. A kill loses a few seconds.
// Bounded: what cannot be written for long (a full disk) is counted and told, never gathered without end.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type { Clock } from "./ports/clock.ts";
import type { Pull, PullIndex, PullPosition } from "./ports/index.ts";
import type { Reports } from "./services.ts";

/** A manifest that is pulled all the time is written once an hour (index/pulls.ts keeps to it, too). */
const writtenOncePerMs = 3_600_000;
/** Pulls come together for so long. */
const gatherMs = 5_000;
/** After a failure it is tried again this much later. */
const retryMs = 30_000;
/** Noted lately, two generations of them: some 5 MB each. */
const recentMax = 20_000;
/** Pulls that wait to be written. */
const waitingMax = 20_000;
/** Of one transaction: some 3 ms of the write lock, with the times that it sweeps over. */
const batchMax = 200;

export interface PullLogParts {
  readonly index: Pick<PullIndex, "recordPulls">;
  readonly clock: Clock;
  readonly reports: Reports;
}

export class PullLog {
  readonly #parts: PullLogParts;
  #recent = new Map<string, number>();
  #older: ReadonlyMap<string, number> = new Map();
  /** The oldest first; numbered as they came. */
  readonly #waiting = new Map<string, Pull & { readonly number: number }>();
  #noted = 0;
  #sweptTo: PullPosition | null = null;
  #dropped = 0;
  #isFailing = false;
  #writing: Promise<void> | null = null;
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(parts: PullLogParts) {
    this.#parts = parts;
  }

  /** The manifest was pulled now. Returns at once. */
  note(repository: RepositoryName, digest: Digest): void {
    const pulledAtMs = this.#parts.clock.now();
    const key = keyOf(repository, digest);
    const last = this.#recent.get(key) ?? this.#older.get(key);
    // A clock that was set back makes an age that is none.
    if (last !== undefined && Math.abs(pulledAtMs - last) < writtenOncePerMs) return;
    if (this.#waiting.size >= waitingMax) {
      this.#dropped += 1;
      return;
    }
    if (this.#recent.size >= recentMax) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, pulledAtMs);
    this.#noted += 1;
    // The younger of two goes to the end.
    this.#waiting.delete(key);
    this.#waiting.set(key, { repository, digest, pulledAtMs, number: this.#noted });
    if (this.#waiting.size >= waitingMax / 2 && !this.#isFailing) void this.settle();
    else this.#schedule();
  }

  /** A pull of it has not reached the index yet. */
  isWaiting(repository: RepositoryName, digest: Digest): boolean {
    return this.#waiting.size > 0 && this.#waiting.has(keyOf(repository, digest));
  }

  /**
   * What was noted before is in the index, as far as the index can be written; what comes meanwhile need not
   * be, so that pulls that go on keep nobody waiting. Never throws.
   */
  async settle(): Promise<void> {
    const until = this.#noted;
    while (this.#oldestWaiting() <= until) {
      this.#writing ??= this.#write().finally(() => (this.#writing = null));
      await this.#writing;
      if (this.#isFailing) return;
    }
  }

  #oldestWaiting(): number {
    for (const { number } of this.#waiting.values()) return number;
    return Number.POSITIVE_INFINITY;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.settle();
  }

  #schedule(): void {
    if (this.#isStopped || this.#timer !== null || this.#isFailing) return;
    this.#setTimer(gatherMs);
  }

  #setTimer(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.settle();
    }, delayMs);
    this.#timer.unref();
  }

  async #write(): Promise<void> {
    const batch = [...this.#waiting.entries().take(batchMax)];
    try {
      // It sweeps over more than it adds, so that what is gone never piles up.
      const sweep = { after: this.#sweptTo, limit: 2 * batch.length + 10 };
      const pulls = batch.map(([, { repository, digest, pulledAtMs }]) => ({
        repository,
        digest,
        pulledAtMs,
      }));
      this.#sweptTo = await this.#parts.index.recordPulls(pulls, sweep);
      for (const [key, pull] of batch) {
        if (this.#waiting.get(key) === pull) this.#waiting.delete(key);
      }
      this.#tellDropped();
      this.#isFailing = false;
      if (this.#waiting.size > 0) this.#schedule();
    } catch (error) {
      if (!this.#isFailing) {
        this.#parts.reports.error("pull times could not be written; trying again", error);
      }
      this.#isFailing = true;
      if (!this.#isStopped && this.#timer === null) this.#setTimer(retryMs);
    }
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    this.#parts.reports.info(
      `${this.#dropped} pulls were not noted while pull times could not be written`,
    );
    this.#dropped = 0;
  }
}

function keyOf(repository: RepositoryName, digest: Digest): string {
  return `${repository} ${digest}`;
}
