// Sees to it that tree and index come to agree after a start, and says whether they do (INV-8): the first
// build before anything is served, later comparisons beside everything else, again after a failure.
import { Comparison, type ComparisonMode, type ComparisonParts } from "./comparison.ts";
import { reportLines } from "./report-lines.ts";

/** A comparison that failed (a disk that was away, say) is tried again this much later. */
const retryMs = 60_000;
/** How often progress is told. */
const progressMs = 5_000;

export interface AgreementParts extends Omit<ComparisonParts, "onProgress" | "index"> {
  readonly index: ComparisonParts["index"] & { isComplete(): Promise<boolean> };
  /** `index.exclusive`: nobody else writes to the root. */
  readonly isExclusive: boolean;
  /** Hears why a comparison failed, before it is tried again. */
  readonly onFailure?: (error: unknown) => void;
  readonly log: {
    readonly info: (message: string) => void;
    readonly warn: (message: string) => void;
  };
}

export class Agreement {
  readonly #parts: AgreementParts;
  readonly #comparison: Comparison;
  readonly #stopped = new AbortController();
  readonly #agreed = Promise.withResolvers<void>();
  #isAgreed = false;
  #background: Promise<void> = Promise.resolve();
  #toldAtMs = 0;
  #onProgress: ComparisonParts["onProgress"] | null = null;

  constructor(parts: AgreementParts) {
    this.#parts = parts;
    // Whoever waits hears of it when it is stopped; without anybody waiting it is nobody's failure.
    this.#agreed.promise.catch(() => undefined);
    this.#comparison = new Comparison({
      ...parts,
      onProgress: (progress) => {
        this.#onProgress?.(progress);
        const { repositories, blobs, elapsedMs, isFinishing } = progress;
        if (elapsedMs - this.#toldAtMs < progressMs) return;
        this.#toldAtMs = elapsedMs;
        const what = isFinishing ? "looking for what nothing refers to" : "walking the tree";
        parts.log.info(
          `${what}: ${repositories} repositories, ${blobs} blobs after ${Math.round(elapsedMs / 1000)} s`,
        );
      },
    });
  }

  /** Whether index and tree are known to agree; while not, a miss in the index looks at the tree. */
  get isAgreed(): boolean {
    return this.#isAgreed;
  }

  /**
   * An index that is not complete is built before this resolves; any other is compared in the background.
   * @throws when the first build fails.
   */
  async begin(): Promise<void> {
    const { tree, isExclusive } = this.#parts;
    await this.buildIfIncomplete();
    if (this.#isAgreed) return;
    if (tree === null || isExclusive) {
      this.#agree();
    } else {
      this.#background = this.#compareUntilAgreed();
    }
  }

  /** Builds an index that counts for nothing yet; leaves any other as it is, also where it differs. */
  async buildIfIncomplete(): Promise<void> {
    if (await this.#parts.index.isComplete()) return;
    if (this.#parts.tree !== null) this.#parts.log.info("building the index from the tree");
    await this.#run("first-build", this.#stopped.signal);
    this.#agree();
  }

  /** Resolves when index and tree agree. @throws when this process stops before that. */
  async wait(signal: AbortSignal): Promise<void> {
    const gone = Promise.withResolvers<never>();
    const leave = (): void => {
      gone.reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([this.#agreed.promise, gone.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Builds the index again from the tree; nothing else may use it meanwhile. */
  async rebuild(
    signal: AbortSignal,
    onProgress: ComparisonParts["onProgress"] | null = null,
  ): Promise<void> {
    await this.#runHeard("first-build", signal, onProgress);
    this.#agree();
  }

  /** Compares once more, beside everything else. */
  async compareAgain(
    signal: AbortSignal,
    onProgress: ComparisonParts["onProgress"] | null = null,
  ): Promise<void> {
    await this.wait(signal);
    await this.#runHeard("compare", signal, onProgress);
  }

  async #runHeard(
    mode: ComparisonMode,
    signal: AbortSignal,
    onProgress: ComparisonParts["onProgress"] | null,
  ): Promise<void> {
    this.#onProgress = onProgress;
    try {
      await this.#run(mode, AbortSignal.any([signal, this.#stopped.signal]));
    } finally {
      if (this.#onProgress === onProgress) this.#onProgress = null;
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the registry is stopping"));
    this.#agreed.reject(new Error("the registry is stopping; try again later"));
    await this.#background;
  }

  #agree(): void {
    this.#isAgreed = true;
    this.#agreed.resolve();
  }

  async #compareUntilAgreed(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#run("compare", this.#stopped.signal);
        this.#agree();
        return;
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        this.#parts.onFailure?.(error);
        this.#parts.log.warn(
          `index and tree could not be compared, so nothing is collected; trying again: ${error instanceof Error ? error.message : String(error)}`,
        );
        await sleepUnless(retryMs, this.#stopped.signal);
      }
    }
  }

  async #run(mode: ComparisonMode, signal: AbortSignal): Promise<void> {
    this.#toldAtMs = 0;
    const report = await this.#comparison.run(mode, signal);
    for (const { text, isProblem } of reportLines(report)) {
      if (isProblem) this.#parts.log.warn(text);
      else this.#parts.log.info(text);
    }
  }
}

/** Resolves after this time, or at once when the signal is aborted. */
export function sleepUnless(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
