// The fuzzer's choices: all of them come from one seed, so that a failure can be had again.
// FUZZ_SEED gives the seed back; which connection's requests come first is the machine's choice.
import { Random } from "../crash/random.ts";

export class Chance {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** A whole number below `bound`. */
  below(bound: number): number {
    return this.#random.below(bound);
  }

  /** True in so many of a hundred. */
  percent(share: number): boolean {
    return this.#random.below(100) < share;
  }

  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new Error("nothing to pick from");
    return from[this.#random.below(from.length)] as T;
  }

  /** By weight: `[[3, a], [1, b]]` gives `a` three times as often. */
  weighted<T>(from: readonly (readonly [weight: number, value: T])[]): T {
    let at = this.#random.below(from.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of from) {
      at -= weight;
      if (at < 0) return value;
    }
    throw new Error("nothing to pick from");
  }

  /** Small sizes often, large ones seldom. */
  size(max: number): number {
    return Math.floor(max ** (this.#random.below(1_000) / 1_000));
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let n = 0; n < length; n += 1) bytes[n] = this.#random.below(256);
    return bytes;
  }

  /** The same text with some of its characters changed, doubled, or gone. */
  garble(text: string): string {
    let garbled = text;
    for (let times = 1 + this.below(3); times > 0; times -= 1) {
      const at = this.below(garbled.length + 1);
      const piece = this.pick([
        "",
        "/",
        ".",
        "%",
        "\0",
        "é",
        "\u{1f600}",
        ":",
        "A",
        "0",
        " ",
        "\\",
      ]);
      const cut = this.below(3);
      garbled = garbled.slice(0, at) + piece + garbled.slice(at + cut);
    }
    return garbled;
  }
}

/** FUZZ_SEED, or a new one. */
export function fuzzSeed(): number {
  const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  if (!Number.isInteger(seed)) throw new Error("FUZZ_SEED must be a whole number");
  return seed;
}
