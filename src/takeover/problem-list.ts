// Keeps what a walk found odd until it is over: counted by kind, the list bounded. What protects
// something from collection is never left out (INV-7).
import type { TreeProblem } from "../registry/ports/index.ts";
import { isProtecting } from "./problems.ts";

const listedMax = 100_000;
/** Rows in one transaction of the index. */
const pageSize = 1_000;

export class ProblemList {
  readonly #protecting: TreeProblem[] = [];
  readonly #others: TreeProblem[] = [];
  /** What stops what: one row of each suffices where there are too many. */
  readonly #protected = new Set<string>();
  readonly #counts = new Map<TreeProblem["kind"], number>();

  add(problem: TreeProblem): void {
    this.#counts.set(problem.kind, (this.#counts.get(problem.kind) ?? 0) + 1);
    const isFull = this.#protecting.length + this.#others.length >= listedMax;
    if (!isProtecting(problem)) {
      if (!isFull) this.#others.push(problem);
      return;
    }
    const key = `${problem.kind} ${problem.repository ?? ""}`;
    if (isFull && this.#protected.has(key)) return;
    this.#protected.add(key);
    this.#protecting.push(problem);
  }

  get counts(): ReadonlyMap<TreeProblem["kind"], number> {
    return this.#counts;
  }

  /** The first ones, those that stop something before the rest. */
  first(limit: number): readonly TreeProblem[] {
    return [...this.#protecting.slice(0, limit), ...this.#others.slice(0, limit)].slice(0, limit);
  }

  /** To be recorded in this order; the first page, there even if empty, holds all that protect. */
  *pages(): Generator<readonly TreeProblem[]> {
    yield this.#protecting;
    for (let start = 0; start < this.#others.length; start += pageSize) {
      yield this.#others.slice(start, start + pageSize);
    }
  }
}
