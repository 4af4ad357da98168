// Locks by name, first come, first served: one holder a key, keys do not wait for each other.
// Holds memory only for keys that somebody holds or waits for.
import type { Digest } from "../oci/index.ts";

export class KeyedLocks<Key> {
  /** The end of the line for each key: resolves when the last in it is done. */
  readonly #tails = new Map<Key, Promise<void>>();

  /** Runs the work once everybody who came before is done; passes on what it returns or throws. */
  async run<Result>(key: Key, work: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(key);
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    this.#tails.set(key, done);
    if (before !== undefined) await before;
    try {
      return await work();
    } finally {
      if (this.#tails.get(key) === done) this.#tails.delete(key);
      finish();
    }
  }

  /** Whether somebody holds the key now. */
  isHeld(key: Key): boolean {
    return this.#tails.has(key);
  }

  /** How many keys are held now. */
  get size(): number {
    return this.#tails.size;
  }
}

/**
 * The exclusion of a digest (INV-3): whoever puts bytes at its final path, or takes them away, does so
 * alone.
 */
export type DigestLocks = KeyedLocks<Digest>;
