// Chance that can be had again: the seed is printed, and PLIMSOLL_SEED gives it back.

export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env["PLIMSOLL_SEED"] ?? Math.floor(Math.random() * 2 ** 31))) {
    if (!Number.isInteger(seed)) throw new Error("PLIMSOLL_SEED must be a whole number");
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /**
   * A whole number below `bound`, from splitmix32: seeds that follow upon each other begin with numbers
   * that have nothing to do with each other (those of a linear congruential generator are all the same).
   */
  below(bound: number): number {
    this.#state = (this.#state + 0x9e37_79b9) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return Math.floor((((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32) * bound);
  }
}

/** Of all kills of a run, which are 100, or PLIMSOLL_KILLS: the share of one kind. */
export function killsOf(share: number): number {
  const kills = Number(process.env["PLIMSOLL_KILLS"] ?? 100);
  if (!Number.isInteger(kills) || kills < 1) throw new Error("PLIMSOLL_KILLS must be 1 or more");
  return Math.ceil(kills * share);
}
