import { describe, expect, test } from "bun:test";
import { RatePacer } from "./pacer.ts";

const second = 1_000;

/** Reads pieces through a pacer on a clock that only its rests and `cost` move. */
function reader(bytesPerSecond: number) {
  const clock = { nowMs: 5_000, naps: [] as number[] };
  const pacer = new RatePacer({
    bytesPerSecond,
    time: {
      now: () => clock.nowMs,
      sleep: async (ms) => {
        clock.naps.push(ms);
        clock.nowMs += ms;
      },
    },
  });
  const read = async (pieces: number, bytes: number, costMs = 0): Promise<number> => {
    const startedMs = clock.nowMs;
    for (let n = 0; n < pieces; n++) {
      pacer.read(bytes);
      clock.nowMs += costMs;
      while (pacer.isDue()) await pacer.rest();
    }
    return clock.nowMs - startedMs;
  };
  return { clock, read };
}

describe("RatePacer", () => {
  test("100 pieces of 1 MB at 10 MB/s take 10 s", async () => {
    const tookMs = await reader(10_000_000).read(100, 1_000_000);
    expect(tookMs).toBeGreaterThan(9.9 * second);
    expect(tookMs).toBeLessThan(10.1 * second);
  });

  test("a piece that is worth longer than a nap is waited for in naps, so that a stop is heard", async () => {
    const { clock, read } = reader(100_000);
    expect(await read(1, 1_000_000)).toBeGreaterThan(9.9 * second);
    expect(Math.max(...clock.naps)).toBe(second);
  });

  test("a slow disk is not made up for afterwards", async () => {
    const { read } = reader(10_000_000);
    await read(10, 1_000_000, 60 * second);
    expect(await read(100, 1_000_000)).toBeGreaterThan(9.9 * second);
  });

  test("a million blobs of a byte are not read at once: each look counts", async () => {
    expect(await reader(20_000_000).read(1_000, 0)).toBeGreaterThan(3 * second);
  });
});
