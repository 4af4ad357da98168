// The main thread's side of the scanning worker: starts it, deals with its batches one way or the other,
// and ends it, in the end or when told to stop. Never reads the tree itself.
import type { Difference, TreeProblem } from "../registry/ports/index.ts";
import type { Seen, Share } from "./scan.ts";
import type { FromScan, ScanJob, ToScan } from "./scan-messages.ts";
import type { VerifyPosition } from "./reading-position.ts";
import type { Found, VerifyCounts } from "./verify-findings.ts";

/** A worker that hangs on a dead disk hears no stop; it is ended without its consent after this. */
const stopMsMax = 5_000;

export interface ScanHandlers {
  /** The worker goes on once these have resolved for all but a few batches. */
  readonly differences?: (differences: readonly Difference[]) => Promise<void>;
  readonly problems: (problems: readonly TreeProblem[]) => void | Promise<void>;
  readonly findings?: (findings: readonly Found[]) => Promise<void>;
  readonly position?: (position: VerifyPosition) => Promise<void>;
  readonly progress?: (seen: Seen, counts: VerifyCounts | null) => void;
}

export interface ScanResult {
  readonly seen: Seen;
  readonly counts: VerifyCounts | null;
}

/**
 * Workers of a walk that nobody is served beside. More than there are processors: on a cold tree they
 * mostly wait for the disk, which serves several at once faster than one after the other.
 */
const sharesAlone = 3;

/** @throws the signal's reason when it was stopped; what a handler threw; or why the walk failed. */
export async function runScan(
  job: ScanJob,
  handlers: ScanHandlers,
  signal: AbortSignal,
): Promise<ScanResult> {
  signal.throwIfAborted();
  const of = job.mode === "first-build" ? sharesAlone : 1;
  const stop = new AbortController();
  const onAbort = (): void => {
    stop.abort(signal.reason);
  };
  signal.addEventListener("abort", onAbort);
  const progress = new SharedProgress(of, handlers);
  const workers = Array.from({ length: of }, (_, index) => {
    const own = { ...handlers, progress: progress.of(index) };
    return new ScanWorker(job, { handlers: own, stop });
  });
  try {
    const shares = await allEnded(workers.map((worker, index) => worker.walk({ index, of })));
    const seen = sum(shares);
    const [first] = workers;
    const counts = first === undefined ? null : await first.finish(seen);
    return { seen, counts };
  } finally {
    signal.removeEventListener("abort", onAbort);
    for (const worker of workers) worker.terminate();
  }
}

/** Like Promise.all, but a failure is told only when none is running any more. */
async function allEnded<Result>(promises: readonly Promise<Result>[]): Promise<Result[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

function sum(all: readonly Seen[]): Seen {
  const total: Seen = { repositories: 0, manifests: 0, blobs: 0 };
  for (const { repositories, manifests, blobs } of all) {
    total.repositories += repositories;
    total.manifests += manifests;
    total.blobs += blobs;
  }
  return total;
}

/** What all shares have seen together. */
class SharedProgress {
  readonly #handlers: ScanHandlers;
  readonly #seen: Seen[];

  constructor(of: number, handlers: ScanHandlers) {
    this.#handlers = handlers;
    this.#seen = Array.from({ length: of }, () => sum([]));
  }

  of(index: number): (seen: Seen, counts: VerifyCounts | null) => void {
    return (seen, counts) => {
      this.#seen[index] = seen;
      if (index === 0) this.#handlers.progress?.(sum(this.#seen), counts);
    };
  }
}

interface WorkerParts {
  readonly handlers: ScanHandlers;
  /** Shared by all workers of a walk: the failure of one ends the others. */
  readonly stop: AbortController;
}

class ScanWorker {
  readonly #worker = new Worker(new URL("./scan-worker.ts", import.meta.url).href);
  readonly #job: ScanJob;
  readonly #parts: WorkerParts;
  #walked = Promise.withResolvers<Seen>();
  #done = Promise.withResolvers<VerifyCounts | null>();
  #deadline: Timer | null = null;

  constructor(job: ScanJob, parts: WorkerParts) {
    this.#job = job;
    this.#parts = parts;
    // Whichever is not waited for any more may fail unheard.
    this.#walked.promise.catch(() => undefined);
    this.#done.promise.catch(() => undefined);
    this.#worker.onmessage = ({ data }: MessageEvent<FromScan>) => {
      void this.#receive(data);
    };
    this.#worker.onerror = (event) => {
      this.#fail(new Error(`the walk of the tree failed: ${event.message}`));
    };
    parts.stop.signal.addEventListener("abort", this.#onStop);
  }

  walk(share: Share): Promise<Seen> {
    this.#post({ kind: "walk", job: this.#job, share });
    return this.#walked.promise;
  }

  finish(seen: Seen): Promise<VerifyCounts | null> {
    this.#post({ kind: "finish", seen });
    return this.#done.promise;
  }

  terminate(): void {
    this.#parts.stop.signal.removeEventListener("abort", this.#onStop);
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#worker.terminate();
  }

  /** Tells the worker; its own end still has to come. */
  readonly #onStop = (): void => {
    this.#post({ kind: "stop" });
    this.#deadline = setTimeout(() => {
      this.#fail(this.#parts.stop.signal.reason);
    }, stopMsMax);
  };

  #post(message: ToScan): void {
    this.#worker.postMessage(message);
  }

  #fail(error: unknown): void {
    this.#walked.reject(error);
    this.#done.reject(error);
    this.#parts.stop.abort(error);
  }

  async #receive(message: FromScan): Promise<void> {
    const { handlers, stop } = this.#parts;
    switch (message.kind) {
      case "progress":
        handlers.progress?.(message.seen, message.counts);
        return;
      case "walked":
        this.#walked.resolve(message.seen);
        return;
      case "done":
        this.#done.resolve(message.counts);
        return;
      case "failed":
        this.#fail(stop.signal.aborted ? stop.signal.reason : failureOf(message));
        return;
      case "differences":
      case "problems":
      case "findings":
      case "position":
        try {
          await this.#handle(message);
          this.#post({ kind: "taken" });
        } catch (error) {
          stop.abort(error);
        }
    }
  }

  async #handle(
    message: Extract<FromScan, { kind: "differences" | "problems" | "findings" | "position" }>,
  ): Promise<void> {
    const { handlers } = this.#parts;
    switch (message.kind) {
      case "problems":
        await handlers.problems(message.problems);
        break;
      case "findings":
        await handlers.findings?.(message.findings);
        break;
      case "position":
        await handlers.position?.(message.position);
        break;
      case "differences":
        await handlers.differences?.(message.differences);
    }
  }
}

/** The walk has met damage in the index that it compares the tree with. */
export class IndexUnreadableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "IndexUnreadableError";
  }
}

function failureOf({ message, isDamage }: Extract<FromScan, { kind: "failed" }>): Error {
  return isDamage ? new IndexUnreadableError(message) : new Error(message);
}
