// How fast a run works. Who asks for a collection is served promptly; a background run takes its time, so
// that nobody else feels it. One that a person joins hurries from then on.

/**
 * Blobs unlinked at the same time. Measured on two cores, 2,000 blobs and their links: 1 took 4.7 s,
 * 2 3.8 s, 4 2.8 s, 8 2.9 s; more would only take the threads that serve other files.
 */
const promptUnlinksAtOnce = 4;

/**
 * Between two batches, so that the requests that queued up behind one are served before the next: a
 * second writer beside a loop without pauses starved. Costs 20 ms for every 1,000 blobs.
 */
const pauseBetweenBatchesMs = 2;

/**
 * The share of its time in which a background run works; the rest it rests, in proportion to what the
 * work took, so that a slow disk, too, belongs to others for most of the time.
 */
const backgroundWorkShare = 0.25;

/** No rest is longer: a stop waits for the end of it, also when a disk has hung for a minute. */
const restMsMax = 1_000;

/** Blobs that a background run unlinks, one by one, before it rests: a millisecond on a quick disk. */
const unlinksBeforeRest = 8;

/** Rests of a run that is bounded by `gc.maxrate` come at least this often in a second. */
const restsPerSecondMin = 4;

export interface BackgroundPace {
  /** `gc.maxrate`: blobs unlinked a second; 0: no limit beyond the rests. */
  readonly blobsPerSecondMax: number;
}

export class Pace {
  #background: BackgroundPace | null;

  constructor(background: BackgroundPace | null) {
    this.#background = background;
  }

  /** Somebody waits for it now. */
  hurry(): void {
    this.#background = null;
  }

  get unlinksAtOnce(): number {
    return this.#background === null ? promptUnlinksAtOnce : 1;
  }

  /** Blobs to unlink before the next rest, of as many as there are. */
  unlinksBeforeRest(there: number): number {
    if (this.#background === null) return there;
    const { blobsPerSecondMax } = this.#background;
    if (blobsPerSecondMax === 0) return unlinksBeforeRest;
    const bounded = Math.floor(blobsPerSecondMax / restsPerSecondMin);
    return Math.max(1, Math.min(unlinksBeforeRest, bounded));
  }

  /** The rest after so many blobs were unlinked, which took so long. 0: none. */
  restAfterUnlinksMs(done: { readonly blobs: number; readonly tookMs: number }): number {
    if (this.#background === null) return 0;
    const { blobsPerSecondMax } = this.#background;
    const wholeMs = blobsPerSecondMax === 0 ? 0 : (done.blobs * 1000) / blobsPerSecondMax;
    return Math.max(restAfter(done.tookMs), Math.min(restMsMax, wholeMs - done.tookMs));
  }

  /** The pause after a transaction, or a page of look-ups, that took so long. */
  pauseAfterBatchMs(tookMs: number): number {
    const least = pauseBetweenBatchesMs;
    return this.#background === null ? least : Math.max(least, restAfter(tookMs));
  }
}

function restAfter(tookMs: number): number {
  return Math.min(restMsMax, tookMs * (1 / backgroundWorkShare - 1));
}
