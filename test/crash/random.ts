// Chance that can be had again: the seed is printed, and PLIMSOLL_SEED gives it back.

export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env["PLIMSOLL_SEED"] ?? Math.floor(Math.random() * 2 ** 31))) {
    if (!Number.isInteger(seed)) throw new Error("PLIMSOLL_SEED must be a whole number");
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** A whole number below `bound`, from a linear congruential generator. */
  below(bound: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * bound);
  }
}

/** Of all kills of a run, which are 100, or PLIMSOLL_KILLS: the share of one kind. */
export function killsOf(share: number): number {
  const kills = Number(process.env["PLIMSOLL_KILLS"] ?? 100);
  if (!Number.isInteger(kills) || kills < 1) throw new Error("PLIMSOLL_KILLS must be 1 or more");
  return Math.ceil(kills * share);
}
