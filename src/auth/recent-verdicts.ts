// Remembers for a short while what a check of credentials has found, so that the hundred requests of
// one pull cost one check. Bounded. Holds no credentials: keys are hashes under a key of this process
// that nobody else knows.
import { createHmac, randomBytes } from "node:crypto";

/** Users and robots at work at the same time, and likewise refusals; some 200 bytes each. */
const verdictsMax = 4096;

interface Remembered<Verdict> {
  readonly verdict: Verdict;
  readonly untilMs: number;
}

export class RecentVerdicts<Verdict> {
  readonly #key = randomBytes(32);
  readonly #isRefusal: (verdict: Verdict) => boolean;
  readonly #granted = new Map<string, Remembered<Verdict>>();
  /** Apart: a flood of refusals, which anybody can send, must not push out what is right. */
  readonly #refused = new Map<string, Remembered<Verdict>>();

  constructor(isRefusal: (verdict: Verdict) => boolean) {
    this.#isRefusal = isRefusal;
  }

  keyOf(...parts: readonly string[]): string {
    // Not Bun.CryptoHasher: with a key it throws when an import of a bad key has failed before it.
    const hasher = createHmac("sha256", this.#key);
    // Lengths first: no two different lists look the same.
    hasher.update(parts.map((part) => part.length).join(" "));
    for (const part of parts) hasher.update(`\0${part}`);
    return hasher.digest("base64");
  }

  get(key: string, nowMs: number): Verdict | undefined {
    const all = this.#granted.has(key) ? this.#granted : this.#refused;
    const known = all.get(key);
    if (known === undefined) return undefined;
    if (known.untilMs > nowMs) return known.verdict;
    all.delete(key);
    return undefined;
  }

  add(key: string, verdict: Verdict, untilMs: number): void {
    const all = this.#isRefusal(verdict) ? this.#refused : this.#granted;
    if (all.size >= verdictsMax) {
      const [oldest] = all.keys();
      if (oldest !== undefined) all.delete(oldest);
    }
    all.set(key, { verdict, untilMs });
  }

  clear(): void {
    this.#granted.clear();
    this.#refused.clear();
  }
}
