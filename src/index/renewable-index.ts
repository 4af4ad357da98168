// An index that outlives its files (INV-8). When they are damaged, taken away or replaced, nothing is
// acknowledged any more: everybody is told to come again, until the files that are there have been moved
// aside and a new index has been built from the tree; then everything goes on. Decides that an index is
// lost, and in which order it is replaced; what is built, and from what, is the caller's matter.
import { existsSync, renameSync, statSync } from "node:fs";
import { UnavailableError } from "../oci/index.ts";
import type { Index, RedoRecord } from "../registry/ports/index.ts";
import { openIndex } from "./sqlite-index.ts";
import { IndexDamagedError, IndexLostError } from "./sql.ts";

/** Nobody may ask for anything for a long time: the files are looked at this often all the same. */
const lookMs = 2_000;
/** Links that the lost index owed; more are not held in memory. */
const owedMax = 100_000;
const retryAfterSeconds = 5;

export interface Renewal {
  /** Everything has ended that had begun with the old index; it goes quickly, as all of it is refused. */
  settle(): Promise<void>;
  /** Fills the new index. `owed`: what the tree owes to the old one, as far as that could be read. */
  build(fresh: Index, owed: readonly RedoRecord[]): Promise<void>;
  /** There is no index now, and there will not be one. */
  failed(error: unknown): void;
  readonly reports: { info(message: string): void; error(message: string, error: unknown): void };
}

export interface IndexPlace {
  readonly path: string;
  readonly rootDirectory: string;
}

type Method = (...args: readonly unknown[]) => unknown;

export class RenewableIndex {
  /** What everybody works with. */
  readonly index: Index;
  readonly #place: IndexPlace;
  #inner: Index;
  #files: string;
  #renewal: Renewal | null = null;
  #renewing: Promise<void> | null = null;
  #isLost = false;
  #isClosed = false;
  #underWay = 0;
  #timer: Timer | null = null;

  constructor(inner: Index, place: IndexPlace) {
    this.#inner = inner;
    this.#place = place;
    this.#files = identityOf(place.path);
    this.index = this.#facade(inner);
  }

  /** From now on a loss is made good. Before, and without this, it is an error like any other. */
  renewBy(renewal: Renewal): void {
    this.#renewal = renewal;
    this.#timer = setInterval(() => {
      this.look();
    }, lookMs);
    this.#timer.unref();
  }

  /** Looks whether the files are still there. */
  look(): void {
    if (identityOf(this.#place.path) !== this.#files) this.#lose(new IndexLostError());
  }

  /** A failure that was met elsewhere: in another thread, say, that reads the same files. */
  suspect(error: unknown): void {
    if (isLoss(error)) this.#lose(error);
  }

  /** Resolves when no renewal is under way; true: there was one. */
  async renewed(): Promise<boolean> {
    if (this.#renewing === null) return false;
    await this.#renewing;
    return true;
  }

  #facade(inner: Index): Index {
    const methods = Object.keys(inner).map((name) => {
      const call = (...args: readonly unknown[]): unknown => this.#call(name as keyof Index, args);
      return [name, name === "close" ? () => this.#close() : call];
    });
    return Object.fromEntries(methods) as Index;
  }

  #call(name: keyof Index, args: readonly unknown[]): unknown {
    if (this.#isLost) return Promise.reject(beingBuilt());
    const answer = (this.#inner[name] as Method)(...args);
    if (!(answer instanceof Promise)) return answer;
    return this.#follow(answer);
  }

  async #follow(answer: Promise<unknown>): Promise<unknown> {
    this.#underWay++;
    try {
      return await answer;
    } catch (error) {
      if (this.#renewal === null || !isLoss(error)) throw error;
      this.#lose(error);
      throw beingBuilt(error);
    } finally {
      this.#underWay--;
    }
  }

  async #close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#isClosed = true;
    await this.#renewing;
    await this.#inner.close();
  }

  #lose(error: unknown): void {
    const renewal = this.#renewal;
    if (this.#isLost || this.#isClosed || renewal === null) return;
    this.#isLost = true;
    renewal.reports.error(
      "the index is lost: nothing is acknowledged any more until it is built again from the tree",
      error,
    );
    this.#renewing = this.#renewOrFail(renewal);
  }

  async #renewOrFail(renewal: Renewal): Promise<void> {
    try {
      await this.#renew(renewal);
    } catch (failure) {
      renewal.reports.error("the index could not be built again", failure);
      renewal.failed(failure);
    }
    this.#renewing = null;
  }

  async #renew(renewal: Renewal): Promise<void> {
    const old = this.#inner;
    await renewal.settle();
    // Whoever is still answered "done" is among those whose links are owed below.
    while (this.#underWay > 0) await new Promise((resolve) => setImmediate(resolve));
    const owed = await readOwed(old, renewal);
    // It has nothing more to say: its log cannot be emptied into a file that is not its own.
    await old.close().catch(() => undefined);
    const aside = setAside(this.#place.path);
    if (aside !== null) renewal.reports.info(`what was in its place was moved to ${aside}`);
    const fresh = await openIndex(this.#place.path, this.#place.rootDirectory);
    this.#inner = fresh;
    this.#files = identityOf(this.#place.path);
    await renewal.build(fresh, owed);
    this.#isLost = false;
    renewal.reports.info("the index was built again from the tree; everything goes on");
  }
}

/** The files of an index that is no good, out of the way, for whoever wants to look at them. */
export function setAside(path: string): string | null {
  const aside = `${path}.damaged`;
  let found = false;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (!existsSync(path + suffix)) continue;
    renameSync(path + suffix, aside + suffix);
    found = true;
  }
  return found ? aside : null;
}

async function readOwed(old: Index, { reports }: Renewal): Promise<readonly RedoRecord[]> {
  try {
    return await old.pendingRedo(owedMax);
  } catch (error) {
    reports.error(
      "what the tree was owed could not be read: what was pushed or deleted in the last moments may have to be pushed or deleted again",
      error,
    );
    return [];
  }
}

function isLoss(error: unknown): boolean {
  return error instanceof IndexDamagedError || error instanceof IndexLostError;
}

function beingBuilt(cause?: unknown): UnavailableError {
  const message = "the registry's index was lost and is being built again; try again in a moment";
  return new UnavailableError(message, { retryAfterSeconds, cause });
}

/** Which files these are; a file that was emptied is another one. */
function identityOf(path: string): string {
  const [file, log] = ["", "-wal"].map((suffix) => {
    return statSync(path + suffix, { throwIfNoEntry: false });
  });
  return [file?.dev, file?.ino, (file?.size ?? 0) > 0, log?.dev, log?.ino].join(" ");
}
