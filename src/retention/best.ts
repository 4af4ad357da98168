// The first of many by some order, without sorting them all: as many as are wanted are held, no more.
import type { TagFact } from "../registry/ports/index.ts";

type Pushed = Pick<TagFact, "tag" | "pushedAtMs">;

/**
 * Negative: `a` is newer. By the time of the push; where that is the same (after a rebuild it is for all)
 * by name, numbers in it by their value, the greater counting as the newer: build-10 before build-9.
 */
export function newerFirst(a: Pushed, b: Pushed): number {
  return b.pushedAtMs - a.pushedAtMs || greaterFirst(a.tag, b.tag);
}

const numeric = new Intl.Collator("en", { numeric: true });

function greaterFirst(a: string, b: string): number {
  // The collator finds names equal that differ ("v01" and "v1").
  return numeric.compare(b, a) || (a < b ? 1 : a > b ? -1 : 0);
}

/** A heap whose top is the last of those held. */
export class Best<T> {
  readonly #heap: T[] = [];
  readonly #count: number;
  readonly #compare: (a: T, b: T) => number;

  /** @param compare negative: `a` comes before `b` */
  constructor(count: number, compare: (a: T, b: T) => number) {
    this.#count = count;
    this.#compare = compare;
  }

  /** What is held, in no order. */
  get held(): readonly T[] {
    return this.#heap;
  }

  add(item: T): void {
    const heap = this.#heap;
    const [last] = heap;
    if (heap.length < this.#count) {
      heap.push(item);
      this.#rise(heap.length - 1);
    } else if (last !== undefined && this.#compare(item, last) < 0) {
      heap[0] = item;
      this.#sink();
    }
  }

  #comesLater(a: number, b: number): boolean {
    return this.#compare(this.#heap[a] as T, this.#heap[b] as T) > 0;
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b] as T, heap[a] as T];
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#comesLater(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    for (let at = 0; ;) {
      let last = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#comesLater(child, last)) last = child;
      }
      if (last === at) return;
      this.#swap(at, last);
      at = last;
    }
  }
}
