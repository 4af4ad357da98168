import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatGoDuration, parseGoDuration } from "./go-duration.ts";

describe("parseGoDuration", () => {
  test.each([
    ["0", 0],
    ["+0", 0],
    ["0s", 0],
    ["10s", 10_000],
    ["1h30m", 5_400_000],
    ["168h", 604_800_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["1.s", 1_000],
    ["300ms", 300],
    ["2h45m30.5s", 9_930_500],
    ["1500us", 2],
    ["1µs", 1],
    ["1μs", 1],
    ["60ns", 1],
    ["1.1s", 1_100],
  ])("%s is %d ms", (text, ms) => {
    expect(parseGoDuration(text)).toBe(ms);
  });

  test.each(["", "10", "s", "1d", "1h 30m", "-1s", "1e3s", ".s", "1h30", "9999999999999h", "1S"])(
    "%p is no duration",
    (text) => {
      expect(parseGoDuration(text)).toBeNull();
    },
  );

  test("any text gives null or a whole number of milliseconds", () => {
    const pieces = fc.constantFrom("1", "0", ".", "h", "m", "s", "ms", "ns", "µs", "-", "+", " ");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        const ms = parseGoDuration(parts.join(""));
        return ms === null || (Number.isInteger(ms) && ms >= 0);
      }),
    );
  });

  test("what is formatted is read back as the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 * 3_600_000 }), (ms) => {
        expect(parseGoDuration(formatGoDuration(ms))).toBe(ms);
      }),
    );
  });
});

test.each([
  [0, "0s"],
  [300, "300ms"],
  [90_000, "1m30s"],
  [604_800_000, "168h"],
  [1_500, "1.5s"],
])("formatGoDuration(%d) is %s", (ms, text) => {
  expect(formatGoDuration(ms)).toBe(text);
});
