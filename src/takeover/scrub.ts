// The scrub: reads every byte of every blob once per interval, in a worker and no faster than its rate, and
// takes out of service what is not what its digest says. Goes on after a restart where it was.
// Decides nothing about a blob: whoever quarantines looks again. What is wrong is an error in the log.
import type { Clock } from "../registry/ports/clock.ts";
import type { Index } from "../registry/ports/index.ts";
import { patiently } from "./patiently.ts";
import { parseScrubPosition, type ScrubPosition } from "./reading-position.ts";
import { type ScanResult, runScan } from "./run-scan.ts";
import type { Finding, Found } from "./verify-findings.ts";
import { findingLine } from "./verify-lines.ts";
import { type RepairParts, VerifyRepair } from "./verify-repair.ts";

/** How much of the way is lost by a kill, at most; each time is a commit of the index. */
const keepEveryMs = 60_000;
/** A round that failed as a whole (a disk that is away, say) is tried again this much later. */
const retryMs = 10 * 60_000;
/** Longer waits are made of these: a clock that is set is noticed, and no timer wraps around. */
const waitMsMax = 60 * 60_000;

export interface ScrubParts {
  readonly tree: { readonly rootDirectory: string; readonly indexPath: string };
  readonly index: Pick<Index, "totals" | "readingPosition" | "setReadingPosition">;
  readonly repair: Pick<RepairParts, "quarantine">;
  readonly clock: Clock;
  /** Resolves after this time, or at once when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: {
    readonly info: (message: string) => void;
    readonly warn: (message: string) => void;
    readonly error: (message: string) => void;
  };
  readonly options: { readonly intervalMs: number; readonly rateBytes: number };
}

export class Scrub {
  readonly #parts: ScrubParts;
  readonly #repair: VerifyRepair;
  readonly #stopped = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(parts: ScrubParts) {
    this.#parts = parts;
    this.#repair = new VerifyRepair({
      ...parts.repair,
      // The comparison and the collector see to these; a scrub looks at bytes.
      absorb: () => Promise.resolve(false),
      requeue: () => Promise.resolve(),
      recountUsage: () => Promise.resolve(),
    });
  }

  /** @param ready when the first round may begin. */
  start(ready: Promise<void>): void {
    this.#running = this.#begin(ready);
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the registry is stopping"));
    await this.#running;
  }

  async #begin(ready: Promise<void>): Promise<void> {
    const { signal } = this.#stopped;
    const stopped = new Promise<false>((resolve) => {
      signal.addEventListener("abort", () => {
        resolve(false);
      });
    });
    // What is never ready is a server that stops before tree and index agree.
    const isReady = ready.then(
      () => true,
      () => false,
    );
    if (await Promise.race([isReady, stopped])) await this.#loop();
  }

  async #loop(): Promise<void> {
    const { sleep, log } = this.#parts;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await sleep(await this.step(), signal);
      } catch (error) {
        if (signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        log.error(`the scrub was cut off and goes on later: ${reason}`);
        await sleep(retryMs, signal);
      }
    }
  }

  /** Does what is due: a round, from its start or from where it was. How long to wait for the next. */
  async step(): Promise<number> {
    const { index, clock, options } = this.#parts;
    const kept = parseScrubPosition(await index.readingPosition("scrub"));
    const dueMs = kept === null ? clock.now() : kept.startedMs + options.intervalMs;
    const isOver = kept === null || kept.isOver;
    // A clock that was set back must not put the next round off for longer than an interval.
    const waitMs = Math.min(dueMs - clock.now(), options.intervalMs);
    if (isOver && waitMs > 0) return Math.min(waitMs, waitMsMax);
    await this.#round(
      isOver ? { startedMs: clock.now(), isOver: false, at: null, wrong: 0 } : kept,
    );
    return 0;
  }

  async #round(from: ScrubPosition): Promise<void> {
    await this.#tellStart(from);
    const round = { position: from };
    let result: ScanResult;
    try {
      result = await this.#read(round);
    } catch (error) {
      // As far as it came; what stopped it is told by the caller, and is what matters.
      await this.#keep(round.position).catch(() => undefined);
      throw error;
    }
    round.position = { ...round.position, isOver: true, at: null };
    await this.#keep(round.position);
    this.#tellEnd(round.position, result);
  }

  async #read(round: { position: ScrubPosition }): Promise<ScanResult> {
    const { tree, clock, options } = this.#parts;
    const { at, startedMs } = round.position;
    const resume = at === null ? null : { ...at, wrong: [] };
    const verify = { hash: true, resume, isAlone: false, keepsWrong: false, ...options };
    let keptAtMs = clock.now();
    return await runScan(
      { mode: "scrub", ...tree, nowMs: startedMs, verify },
      {
        problems: () => undefined,
        findings: async (all) => {
          for (const found of all) {
            if (!(await this.#tellFound(found))) continue;
            round.position = { ...round.position, wrong: round.position.wrong + 1 };
          }
        },
        position: async ({ after, counts }) => {
          round.position = { ...round.position, at: { after, counts } };
          if (clock.now() - keptAtMs < keepEveryMs) return;
          keptAtMs = clock.now();
          await this.#keep(round.position);
        },
      },
      this.#stopped.signal,
    );
  }

  /** False: it is in order after all. */
  async #tellFound(found: Found): Promise<boolean> {
    const repair = await this.#repair.mend(found);
    if (repair?.isFalseAlarm === true) return false;
    this.#parts.log.error(`scrub: ${findingLine(found.finding, repair)}${todoOf(found.finding)}`);
    return true;
  }

  async #keep(position: ScrubPosition): Promise<void> {
    // Also while it is being stopped: the index is closed afterwards.
    const text = JSON.stringify(position);
    const never = new AbortController().signal;
    await patiently(() => this.#parts.index.setReadingPosition("scrub", text), never);
  }

  async #tellStart(from: ScrubPosition): Promise<void> {
    const { index, log, options } = this.#parts;
    const { blobBytes } = await index.totals();
    const left = Math.max(blobBytes - (from.at?.counts.hashedBytes ?? 0), 0);
    const leftMs = (left / options.rateBytes) * 1_000;
    const how = from.at === null ? "reads" : "goes on reading";
    log.info(
      `the scrub ${how} ${left} bytes at ${options.rateBytes} a second at most: ${hours(leftMs)} or more`,
    );
    if ((blobBytes / options.rateBytes) * 1_000 > options.intervalMs) {
      log.warn(
        "verify.scrub: at this rate a round takes longer than the interval; the next one begins when it is over",
      );
    }
  }

  #tellEnd({ startedMs, wrong }: ScrubPosition, { counts }: ScanResult): void {
    const { clock, log } = this.#parts;
    const seen = `${counts?.blobs ?? 0} blobs and ${counts?.hashedBytes ?? 0} bytes`;
    const took = hours(clock.now() - startedMs);
    const outcome = wrong === 0 ? "all in order" : `${wrong} not in order, told above`;
    log.info(`the scrub has read ${seen} in ${took}: ${outcome}`);
  }
}

function todoOf(finding: Finding): string {
  return "neededBy" in finding && finding.neededBy.length > 0
    ? "; push the images named again"
    : "";
}

function hours(ms: number): string {
  return ms < 3_600_000 ? `${Math.ceil(ms / 60_000)} minutes` : `${(ms / 3_600_000).toFixed(1)} h`;
}
