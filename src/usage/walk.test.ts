import { describe, expect, test } from "bun:test";
import type { Scan, ScanPage } from "../registry/ports/index.ts";
import { walk } from "./walk.ts";

/** A table of so many rows, read by pages that take so long a row. */
function table(rows: number, msPerRow: number) {
  const limits: number[] = [];
  let pauses = 0;
  const look = ({ after, limit }: ScanPage): Promise<Scan<number>> => {
    limits.push(limit);
    const from = Number(after ?? 0);
    const page = Array.from({ length: Math.min(limit, rows - from) }, (_, n) => from + n);
    const untilMs = performance.now() + page.length * msPerRow;
    while (performance.now() < untilMs);
    const next = from + limit < rows ? String(from + limit) : null;
    return Promise.resolve({ next, rows: page });
  };
  const pause = (): Promise<void> => {
    pauses += 1;
    return Promise.resolve();
  };
  const all = async (): Promise<number[]> => {
    const seen: number[] = [];
    for await (const page of walk({ pause }, look)) seen.push(...page);
    return seen;
  };
  return { limits, all, pauses: () => pauses };
}

describe("a walk", () => {
  test("comes by every row once, and lets others have their turn between two pages", async () => {
    const { limits, all, pauses } = table(1_234, 0);
    expect(await all()).toEqual(Array.from({ length: 1_234 }, (_, n) => n));
    expect(pauses()).toBe(limits.length - 1);
    // Quick pages grow, but not without bound.
    expect(Math.max(...limits)).toBeGreaterThan(limits[0] ?? Infinity);
    expect(Math.max(...limits)).toBeLessThanOrEqual(5_000);
  });

  test("makes pages short where they take long", async () => {
    const { limits, all } = table(200, 0.2);
    expect(await all()).toHaveLength(200);
    expect(limits[1]).toBeLessThan(limits[0] ?? 0);
    expect(Math.min(...limits)).toBeGreaterThanOrEqual(10);
  });

  test("an empty table is one page", async () => {
    const { limits, all, pauses } = table(0, 0);
    expect(await all()).toEqual([]);
    expect([limits.length, pauses()]).toEqual([1, 0]);
  });
});
