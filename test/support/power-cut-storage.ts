// A storage in memory that forgets, when its power is cut, what the port does not call durable: bytes of
// uploads that were not synced, removals, directories, and changes still under way. With a seed, each of
// these is kept or lost or (bytes) torn by chance, as on a real disk; without, all of them are lost.
// How the real driver keeps the port's promises is test/contract/storage-power-cut.test.ts's matter.
import { type Clock, systemClock } from "../../src/registry/ports/clock.ts";
import {
  type BlobBody,
  type DirectoryEntry,
  type FileStat,
  type SmallFileChange,
  type Storage,
  StorageError,
  type UploadWriter,
} from "../../src/registry/ports/storage.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";

type Files = Map<string, Uint8Array>;

export class PowerCutStorage implements Storage {
  readonly #options: { readonly seed?: number; readonly clock?: Clock };
  /** What a running process sees. */
  readonly #now: MemoryStorage;
  readonly #durable: Files = new Map();
  /** Files whose bytes may be torn: appended to or cut since the last sync. */
  readonly #unsynced = new Set<string>();
  #isOn = true;

  /** `seed`: chance decides over what is not durable; the same seed decides alike. */
  constructor(options: { readonly seed?: number; readonly clock?: Clock } = {}) {
    this.#options = options;
    this.#now = new MemoryStorage(options.clock ?? systemClock);
  }

  /** The power fails now. Returns the disk as it is found afterwards; this one fails every call. */
  async powerCut(): Promise<PowerCutStorage> {
    this.#isOn = false;
    const random = randomFrom(this.#options.seed);
    const after = new PowerCutStorage({
      ...this.#options,
      // Another disk, another chance.
      ...(this.#options.seed === undefined ? {} : { seed: this.#options.seed + 1 }),
    });
    const now = await allFiles(this.#now);
    for (const path of new Set([...this.#durable.keys(), ...now.keys()])) {
      const found = this.#afterCut(path, now.get(path) ?? null, random);
      if (found === null) continue;
      await after.#now.putFile(path, found);
      after.#durable.set(path, found);
    }
    return after;
  }

  async stat(path: string): Promise<FileStat | null> {
    this.#checkPower();
    return this.#now.stat(path);
  }

  read(path: string, range?: { readonly start: number; readonly end: number }): BlobBody {
    this.#checkPower();
    return this.#now.read(path, range);
  }

  async readSmall(path: string, bytesMax: number): Promise<Uint8Array | null> {
    this.#checkPower();
    return this.#now.readSmall(path, bytesMax);
  }

  async *list(path: string): AsyncGenerator<DirectoryEntry> {
    this.#checkPower();
    yield* this.#now.list(path);
  }

  async openUpload(path: string): Promise<UploadWriter> {
    this.#checkPower();
    const writer = await this.#now.openUpload(path);
    return {
      get sizeBytes(): number {
        return writer.sizeBytes;
      },
      get waitingBytes(): number {
        return writer.waitingBytes;
      },
      append: async (chunk) => {
        this.#checkPower();
        this.#unsynced.add(path);
        await writer.append(chunk);
      },
      sync: async () => {
        this.#checkPower();
        await writer.sync();
        await this.#keep(path);
      },
      close: () => writer.close(),
    };
  }

  async truncate(path: string, sizeBytes: number): Promise<void> {
    this.#checkPower();
    await this.#now.truncate(path, sizeBytes);
    this.#unsynced.add(path);
  }

  async publish(uploadPath: string, finalPath: string): Promise<void> {
    this.#checkPower();
    await this.#moment();
    await this.#now.publish(uploadPath, finalPath);
    this.#unsynced.delete(uploadPath);
    this.#unsynced.delete(finalPath);
    await this.#moment();
    await this.#keep(finalPath);
  }

  async move(from: string, to: string): Promise<void> {
    this.#checkPower();
    await this.#moment();
    await this.#now.move(from, to);
    await this.#moment();
    await this.#keep(to);
    this.#durable.delete(from);
    this.#unsynced.delete(from);
  }

  async putFile(path: string, content: Uint8Array): Promise<void> {
    await this.applyChanges([{ path, content }]);
  }

  async applyChanges(changes: readonly SmallFileChange[]): Promise<void> {
    this.#checkPower();
    // Refuses bad paths before it changes anything.
    for (const { path } of changes) this.#now.read(path);
    for (const change of changes) {
      await this.#moment();
      await this.#now.applyChanges([change]);
      this.#unsynced.delete(change.path);
    }
    await this.#moment();
    for (const { path } of changes) await this.#keep(path);
  }

  async remove(path: string): Promise<void> {
    this.#checkPower();
    await this.#now.remove(path);
  }

  async removeAll(path: string): Promise<void> {
    this.#checkPower();
    await this.#now.removeAll(path);
  }

  async removeEmptyDirectories(path: string, stopAt: string): Promise<void> {
    this.#checkPower();
    await this.#now.removeEmptyDirectories(path, stopAt);
  }

  async check(): Promise<void> {
    this.#checkPower();
  }

  /** What there is at the path becomes durable, absence too. */
  async #keep(path: string): Promise<void> {
    const found = await this.#now.readSmall(path, Infinity);
    this.#checkPower();
    if (found === null) this.#durable.delete(path);
    else this.#durable.set(path, found);
    this.#unsynced.delete(path);
  }

  #afterCut(
    path: string,
    now: Uint8Array | null,
    random: (() => number) | null,
  ): Uint8Array | null {
    const durable = this.#durable.get(path) ?? null;
    if (random === null) return durable;
    if (now !== null && this.#unsynced.has(path) && random() < 0.5) return torn(now, random);
    return random() < 0.5 ? durable : now;
  }

  /** A moment at which the power may fail. */
  async #moment(): Promise<void> {
    await new Promise(setImmediate);
    this.#checkPower();
  }

  #checkPower(): void {
    if (!this.#isOn) throw new StorageError("io", "the power is off, as the test asked");
  }
}

async function allFiles(storage: Storage, directory = ""): Promise<Files> {
  const files: Files = new Map();
  for await (const entry of storage.list(directory === "" ? "/" : directory)) {
    const path = `${directory}/${entry.name}`;
    if (entry.kind === "directory") {
      for (const [below, bytes] of await allFiles(storage, path)) files.set(below, bytes);
    } else {
      files.set(path, (await storage.readSmall(path, Infinity)) ?? new Uint8Array(0));
    }
  }
  return files;
}

/** A beginning of the bytes, and sometimes nothing but zeros after it: space without its content. */
function torn(bytes: Uint8Array, random: () => number): Uint8Array {
  const written = bytes.slice(0, Math.floor(random() * (bytes.length + 1)));
  if (random() < 0.5) return written;
  const padded = new Uint8Array(bytes.length);
  padded.set(written);
  return padded;
}

/** Numbers in [0, 1), the same ones for the same seed (Lehmer's generator). */
function randomFrom(seed: number | undefined): (() => number) | null {
  if (seed === undefined) return null;
  let state = (Math.abs(seed) % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
