// What passes between bulk-writer.ts and its worker.
import type { Bulk } from "./bulk-changes.ts";

export interface ToBulk {
  readonly id: number;
  readonly bulk: Bulk;
}

export interface FromBulk {
  readonly id: number;
  /** What is not durable, or not changed at all. */
  readonly left: readonly string[];
}
