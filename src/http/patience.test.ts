import { expect, test } from "bun:test";
import { Patience } from "./patience.ts";

const limits = { bytesPerSecondMin: 1_000, graceMs: 60_000 };

/** How long it is waited for a sender of so many bytes each so often; null: as long as it likes. */
function givenUpAfterMs(bytes: number, eachMs: number, forMs = 10 * 3_600_000): number | null {
  const patience = new Patience(limits);
  for (let atMs = 0; atMs < forMs; atMs += eachMs) {
    if (patience.leftMs < eachMs) return atMs + patience.leftMs;
    patience.arrived(bytes, eachMs);
  }
  return null;
}

test("a sender at the least rate is never given up, whatever its portions", () => {
  expect(givenUpAfterMs(1_000, 1_000)).toBeNull();
  expect(givenUpAfterMs(59_000, 59_000)).toBeNull();
  expect(givenUpAfterMs(50, 1)).toBeNull();
});

test("one that is silent is given up after the grace, one that trickles not much later", () => {
  expect(givenUpAfterMs(0, 1_000)).toBe(60_000);
  expect(givenUpAfterMs(1, 1_000)).toBeLessThan(61_000);
  expect(givenUpAfterMs(500, 1_000)).toBeLessThanOrEqual(120_000);
});

test("what was sent fast does not pay for a long silence", () => {
  const patience = new Patience(limits);
  patience.arrived(100_000_000, 10);
  expect(patience.leftMs).toBe(60_000);
});
