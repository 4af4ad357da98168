// The largest of many, in bounded memory.

export class Largest<Item> {
  readonly #count: number;
  readonly #sizeOf: (item: Item) => number;
  /** The largest first. */
  #items: Item[] = [];

  constructor(count: number, sizeOf: (item: Item) => number) {
    this.#count = count;
    this.#sizeOf = sizeOf;
  }

  /** What is smaller has no place any more. */
  get sizeMin(): number {
    const last = this.#items.length < this.#count ? undefined : this.#items.at(-1);
    return last === undefined ? 0 : this.#sizeOf(last);
  }

  /** Of equals those that came first stand first. */
  add(item: Item): void {
    const size = this.#sizeOf(item);
    if (this.#items.length >= this.#count && size <= this.sizeMin) return;
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const there = this.#items[middle];
      if (there !== undefined && this.#sizeOf(there) >= size) low = middle + 1;
      else high = middle;
    }
    this.#items.splice(low, 0, item);
    if (this.#items.length > this.#count) this.#items.pop();
  }

  get items(): readonly Item[] {
    return this.#items;
  }
}
