// The marks of `storage.watermark`, and which of them the storage has passed. Pure.
import type { DiskUse } from "../registry/ports/disk-space.ts";

/** In percent of the capacity, none above the next. */
export interface Marks {
  readonly warn: number;
  readonly collect: number;
  readonly refuse: number;
}

export type Mark = keyof Marks;

const inOrder = ["warn", "collect", "refuse"] as const;

/**
 * A mark counts as passed until it is undercut by so many percent, so that a disk that stays about there
 * is not told of again and again.
 */
const hysteresisPercent = 1;

/** In percent: what a passed mark has to be undercut to, to count as not passed any more. */
export function clearedAt(percent: number): number {
  return percent - Math.min(hysteresisPercent, percent / 10);
}

export function percentOf({ usedBytes, capacityBytes }: DiskUse): number {
  return capacityBytes <= 0 ? 100 : (usedBytes / capacityBytes) * 100;
}

/** With one digit behind the point, never rounded up to a mark that is not reached. */
export function percentText(use: DiskUse): string {
  return `${(Math.floor(percentOf(use) * 10) / 10).toFixed(1)}%`;
}

/** The highest mark that is passed; null: none. `before`: what this was the last time. */
export function markOf(use: DiskUse, marks: Marks, before: Mark | null): Mark | null {
  const percent = percentOf(use);
  const rank = before === null ? -1 : inOrder.indexOf(before);
  return (
    inOrder.findLast((mark, n) => percent >= (n <= rank ? clearedAt(marks[mark]) : marks[mark])) ??
    null
  );
}
