import { describe, expect, test } from "bun:test";
import { renewalMs, retryMs } from "./renewal-times.ts";

const day = 24 * 3_600_000;
const hour = 3_600_000;
const minute = 60_000;

describe("renewalMs", () => {
  const quarter = { validFromMs: 0, validToMs: 90 * day };

  test("is before a third of the life is left, and not much earlier", () => {
    expect(renewalMs(quarter, 0)).toBe(60 * day);
    expect(renewalMs(quarter, 0.5)).toBe(57.75 * day);
    expect(renewalMs(quarter, 0.999_999)).toBeGreaterThan(55.5 * day);
  });

  test("goes with the life: of six days, of twenty seconds", () => {
    expect(renewalMs({ validFromMs: day, validToMs: 7 * day }, 0)).toBeCloseTo(5 * day, 0);
    expect(renewalMs({ validFromMs: 0, validToMs: 20_000 }, 0)).toBeCloseTo(13_333, 0);
  });
});

describe("retryMs", () => {
  test("doubles from five minutes to four hours", () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 1_000].map((failures) => retryMs(failures, 0) / minute);
    expect(waits).toEqual([5, 10, 20, 40, 80, 160, 240, 240, 240]);
  });

  test("is spread by a quarter", () => {
    expect(retryMs(1, 0.5)).toBe(5.625 * minute);
    expect(retryMs(100, 0.999_999)).toBeLessThan(5 * hour);
  });

  test("makes fewer than five attempts in the first hour, as Let's Encrypt allows", () => {
    let atMs = 0;
    let attempts = 1;
    for (let failures = 1; atMs < hour; failures++) {
      atMs += retryMs(failures, 0);
      if (atMs < hour) attempts++;
    }
    expect(attempts).toBe(4);
  });
});
