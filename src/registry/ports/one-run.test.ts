import { describe, expect, test } from "bun:test";
import { OneRun } from "./one-run.ts";

describe("one run", () => {
  test("a second one is refused until the first is over", async () => {
    const run = new OneRun();
    const gate = Promise.withResolvers<void>();
    expect(run.start(() => gate.promise)).toBe(true);
    expect([run.isRunning, run.start(() => Promise.resolve())]).toEqual([true, false]);
    gate.resolve();
    await Bun.sleep(0);
    expect([run.isRunning, run.changes]).toEqual([false, 2]);
    expect(run.start(() => Promise.resolve())).toBe(true);
  });

  test("begins after start() has returned", async () => {
    const run = new OneRun();
    let began = false;
    run.start(() => {
      began = true;
      return Promise.resolve();
    });
    expect(began).toBe(false);
    await Bun.sleep(0);
    expect([began, run.isRunning]).toEqual([true, false]);
  });

  test("a stop aborts it, waits for its end, and refuses later ones", async () => {
    const run = new OneRun();
    let reason: unknown;
    run.start(async (signal) => {
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve);
      });
      await Bun.sleep(5);
      reason = signal.reason;
    });
    await Bun.sleep(0);
    await run.stop(new Error("the end"));
    expect(reason).toEqual(new Error("the end"));
    expect([
      run.isRunning,
      run.abort(new Error("again")),
      run.start(() => Promise.resolve()),
    ]).toEqual([false, false, false]);
  });
});
