// What is done for one request or one collection while it is traced: how often and how long the index was
// changed and the storage written to. Calls of one name are one entry, so that an upload of a million chunks
// and a run over a million blobs are as small as any other. Loaded only when traces are sent.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Index } from "../../registry/ports/index.ts";
import type { Storage, UploadWriter } from "../../registry/ports/storage.ts";

/** Times of `performance.now()`. */
export interface Done {
  readonly name: string;
  readonly firstBeganMs: number;
  lastEndedMs: number;
  /** All calls together; they may have run at the same time. */
  busyMs: number;
  calls: number;
  failures: number;
}

export class Ledger {
  readonly #done = new Map<string, Done>();
  #isClosed = false;

  /** What goes on afterwards in its name (the tree that follows, say) is nobody's any more. */
  close(): readonly Done[] {
    this.#isClosed = true;
    return [...this.#done.values()];
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  add(name: string, beganMs: number, isFailure: boolean): void {
    if (this.#isClosed) return;
    const endedMs = performance.now();
    const done = this.#done.get(name);
    if (done === undefined) {
      const first = { name, firstBeganMs: beganMs, lastEndedMs: endedMs };
      const counted = { busyMs: endedMs - beganMs, calls: 1, failures: isFailure ? 1 : 0 };
      this.#done.set(name, { ...first, ...counted });
      return;
    }
    done.lastEndedMs = endedMs;
    done.busyMs += endedMs - beganMs;
    done.calls += 1;
    if (isFailure) done.failures += 1;
  }
}

export const ledgers = new AsyncLocalStorage<Ledger>();

async function noted<Result>(name: string, call: () => Promise<Result>): Promise<Result> {
  const ledger = ledgers.getStore();
  if (ledger === undefined || ledger.isClosed) return await call();
  const beganMs = performance.now();
  try {
    const result = await call();
    ledger.add(name, beganMs, false);
    return result;
  } catch (error) {
    ledger.add(name, beganMs, true);
    throw error;
  }
}

/** Mostly no more than the end of one that was computed on the way; all bytes again after a restart. */
export function notedDigest<Result>(work: () => Promise<Result>): Promise<Result> {
  return noted("digest", work);
}

type Method = (...args: readonly unknown[]) => Promise<unknown>;

/** @param writes names of operations that change the index: look-ups take microseconds. */
export function notedIndex(index: Index, writes: ReadonlySet<string>): Index {
  const methods: Readonly<Record<string, unknown>> = { ...index };
  const changing = Object.entries(methods)
    .filter(([name]) => writes.has(name))
    .map(([name, method]): [string, Method] => {
      const call = method as Method;
      return [name, (...args) => noted(`index ${name}`, () => call(...args))];
    });
  return { ...index, ...(Object.fromEntries(changing) as Partial<Index>) };
}

/** What waits for a disk. `read` and `list` take as long as whoever reads; `stat` is inline. */
export function notedStorage(storage: Storage): Storage {
  return {
    stat: (path) => storage.stat(path),
    read: (path, range) => storage.read(path, range),
    list: (path) => storage.list(path),
    check: () => storage.check(),
    readSmall: (path, bytesMax) =>
      noted("storage readSmall", () => storage.readSmall(path, bytesMax)),
    openUpload: async (path) =>
      notedWriter(await noted("storage openUpload", () => storage.openUpload(path))),
    truncate: (path, sizeBytes) =>
      noted("storage truncate", () => storage.truncate(path, sizeBytes)),
    publish: (from, to) => noted("storage publish", () => storage.publish(from, to)),
    move: (from, to) => noted("storage move", () => storage.move(from, to)),
    putFile: (path, content) => noted("storage putFile", () => storage.putFile(path, content)),
    applyChanges: (changes) => noted("storage applyChanges", () => storage.applyChanges(changes)),
    remove: (path) => noted("storage remove", () => storage.remove(path)),
    removeAll: (path) => noted("storage removeAll", () => storage.removeAll(path)),
    removeEmptyDirectories: (path, stopAt) =>
      noted("storage removeEmptyDirectories", () => storage.removeEmptyDirectories(path, stopAt)),
  };
}

function notedWriter(writer: UploadWriter): UploadWriter {
  return {
    get sizeBytes() {
      return writer.sizeBytes;
    },
    get waitingBytes() {
      return writer.waitingBytes;
    },
    append: (chunk) => noted("storage append", () => writer.append(chunk)),
    sync: () => noted("storage sync", () => writer.sync()),
    close: () => writer.close(),
  };
}
