// Remembers for a short while what a check of credentials has found, so that the hundred requests of
// one pull cost one check. Bounded. Holds no credentials: keys are hashes under a key of this process
// that nobody else knows.
import { createHmac, randomBytes } from "node:crypto";

/** Users and robots at work at the same time; some 200 bytes each. */
const verdictsMax = 4096;

export class RecentVerdicts<Verdict> {
  readonly #key = randomBytes(32);
  readonly #verdicts = new Map<string, { readonly verdict: Verdict; readonly untilMs: number }>();

  keyOf(...parts: readonly string[]): string {
    // Not Bun.CryptoHasher: with a key it throws when an import of a bad key has failed before it.
    const hasher = createHmac("sha256", this.#key);
    // Lengths first: no two different lists look the same.
    hasher.update(parts.map((part) => part.length).join(" "));
    for (const part of parts) hasher.update(`\0${part}`);
    return hasher.digest("base64");
  }

  get(key: string, nowMs: number): Verdict | undefined {
    const known = this.#verdicts.get(key);
    if (known === undefined) return undefined;
    if (known.untilMs > nowMs) return known.verdict;
    this.#verdicts.delete(key);
    return undefined;
  }

  add(key: string, verdict: Verdict, untilMs: number): void {
    if (this.#verdicts.size >= verdictsMax) {
      const [oldest] = this.#verdicts.keys();
      if (oldest !== undefined) this.#verdicts.delete(oldest);
    }
    this.#verdicts.set(key, { verdict, untilMs });
  }

  clear(): void {
    this.#verdicts.clear();
  }
}
