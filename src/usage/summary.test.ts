import { describe, expect, test } from "bun:test";
import { growthOf } from "./summary.ts";

const dayMs = 86_400_000;
const nowMs = 1_000 * dayMs;
const ago = (days: number, storedBytes: number): { takenAtMs: number; storedBytes: number } => ({
  takenAtMs: nowMs - days * dayMs,
  storedBytes,
});

describe("growth", () => {
  const now = { storedBytes: 1_000 };

  test("nothing is told of less than a day", () => {
    expect(growthOf(now, [], nowMs)).toEqual([]);
    expect(growthOf(now, [ago(0.5, 0)], nowMs)).toEqual([]);
  });

  test("over a week and a month, each since the oldest sample in it", () => {
    const history = [ago(0.2, 990), ago(2, 980), ago(6, 700), ago(20, 200), ago(31, 0)];
    expect(growthOf(now, history, nowMs)).toEqual([
      { days: 6, bytesPerDay: 50 },
      { days: 20, bytesPerDay: 40 },
    ]);
  });

  test("a young history is told once, and a registry may shrink", () => {
    expect(growthOf(now, [ago(3, 4_000)], nowMs)).toEqual([{ days: 3, bytesPerDay: -1_000 }]);
  });

  test("a sample of the future, by a clock that was set back, is left out", () => {
    expect(growthOf(now, [ago(-5, 1)], nowMs)).toEqual([]);
  });
});
