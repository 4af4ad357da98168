// This thread's side of the bulk worker: starts it when there is something to do, ends it when there has
// not been for a while, and takes a worker that fails for one that has changed nothing.
import type { Bulk } from "./bulk-changes.ts";
import type { FromBulk, ToBulk } from "./bulk-messages.ts";

/** A worker costs some megabytes while it is there, and some milliseconds to start. */
const idleMsMax = 15_000;

interface Waiting {
  readonly bulk: Bulk;
  readonly resolve: (left: readonly string[]) => void;
}

export class BulkWriter {
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #worker: Worker | null = null;
  #idle: Timer | null = null;

  /** Returns the paths that are not durable, or not changed at all. Never throws. */
  apply(bulk: Bulk): Promise<readonly string[]> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const worker = this.#worker;
    return new Promise((resolve) => {
      const message: ToBulk = { id: this.#next++, bulk };
      this.#waiting.set(message.id, { bulk, resolve });
      worker.ref();
      worker.postMessage(message);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL("./bulk-worker.ts", import.meta.url).href);
    worker.onmessage = ({ data }: MessageEvent<FromBulk>) => {
      this.#settle(data);
    };
    worker.onerror = () => {
      // What became of its work nobody knows: each change is made again, one by one, and then tells.
      this.#end();
      for (const [id, { bulk }] of this.#waiting) {
        this.#settle({ id, left: bulk.changes.map(({ absolutePath }) => absolutePath) });
      }
    };
    return worker;
  }

  #settle({ id, left }: FromBulk): void {
    this.#waiting.get(id)?.resolve(left);
    this.#waiting.delete(id);
    if (this.#waiting.size > 0 || this.#worker === null) return;
    this.#worker.unref();
    this.#idle = setTimeout(() => {
      this.#end();
    }, idleMsMax);
    this.#idle.unref();
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }
}
