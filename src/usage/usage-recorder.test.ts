import { describe, expect, test } from "bun:test";
import { UsageRecorder } from "./usage-recorder.ts";

const dayMs = 86_400_000;

/** Time that passes when it is told to. */
class Hands {
  nowMs = 10 * dayMs;
  readonly #bells = new Map<() => void, number>();

  set = (ms: number, ring: () => void): (() => void) => {
    this.#bells.set(ring, this.nowMs + ms);
    return () => this.#bells.delete(ring);
  };

  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const [next] = [...this.#bells].filter(([, at]) => at <= untilMs).sort((a, b) => a[1] - b[1]);
      if (next === undefined) break;
      this.#bells.delete(next[0]);
      this.nowMs = next[1];
      next[0]();
      await Bun.sleep(0);
    }
    this.nowMs = untilMs;
  }
}

describe("the recorder of usage", () => {
  test("keeps the totals every hour, under the day's number; a failure is said and passes", async () => {
    const hands = new Hands();
    const days: number[] = [];
    const warnings: string[] = [];
    let fails = true;
    const recorder = new UsageRecorder({
      index: {
        recordUsage: ({ day }) => {
          if (fails) return Promise.reject(new Error("the disk is full"));
          days.push(day);
          return Promise.resolve();
        },
      },
      clock: { now: () => hands.nowMs },
      timers: hands,
      warn: (message) => warnings.push(message),
    });
    recorder.start();
    await hands.pass(120_000);
    expect(warnings).toEqual(["usage of the day could not be recorded: the disk is full"]);
    fails = false;
    await hands.pass(dayMs);
    expect(days.length).toBe(24);
    expect(new Set(days)).toEqual(new Set([10, 11]));
    await recorder.stop();
    await hands.pass(dayMs);
    expect(days.length).toBe(24);
  });
});
