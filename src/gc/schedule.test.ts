import { describe, expect, test } from "bun:test";
import type { CollectionDue } from "../registry/ports/index.ts";
import { repository, World } from "../../test/race/world.ts";
import { FakeTime } from "../../test/support/fake-time.ts";
import type { CollectionReport, CollectOptions } from "./collection-events.ts";
import { CollectionSchedule, type ScheduleOptions } from "./schedule.ts";
import { stopReasonOf } from "./stop-reason.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

const plain: ScheduleOptions = {
  intervalMs: 10 * minuteMs,
  window: null,
  timeZone: "UTC",
  durationMsMax: 0,
  blobsPerSecondMax: 0,
  untagged: { delete: false, olderThanMs: 0 },
  keepDeletedMs: 24 * hourMs,
  foreignGraceMs: hourMs,
  uploadAgeMs: null,
};
const done = { ok: true, stopped: null, errors: [] } as unknown as CollectionReport;

/** A schedule over a collector that does what a test says, and the minutes at which it was asked. */
function scheduled(
  options: Partial<ScheduleOptions> = {},
  collect: (asked: CollectOptions, signal: AbortSignal) => Promise<CollectionReport> = () =>
    Promise.resolve(done),
) {
  const startMs = Date.parse("2026-03-10T00:00:00Z");
  const time = new FakeTime(startMs);
  const agreed = Promise.withResolvers<void>();
  const ran: string[] = [];
  const told: string[] = [];
  const state = { found: { due: true, nextMs: null } as CollectionDue, looks: 0 };
  const schedule = new CollectionSchedule({
    collector: {
      collect: (asked, _, signal = new AbortController().signal) => {
        ran.push(`${(time.nowMs - startMs) / minuteMs} ${asked.background?.trigger}`);
        return collect(asked, signal);
      },
    },
    index: {
      collectionDue: () => {
        state.looks += 1;
        return Promise.resolve(state.found);
      },
    },
    clock: time,
    timers: time,
    random: () => 0,
    agreed: () => agreed.promise,
    log: { info: (text) => told.push(text), warn: (text) => told.push(text) },
    options: { ...plain, ...options },
  });
  schedule.start();
  return { schedule, time, agreed, ran, told, state };
}

/** A cycle that goes on until it is stopped. */
function untilStopped(_: CollectOptions, signal: AbortSignal): Promise<CollectionReport> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => {
      resolve({ ...done, ok: false, stopped: stopReasonOf(signal) });
    });
  });
}

describe("collecting in the background", () => {
  test("a clock that ran ahead for years and is set right keeps no cycle waiting", async () => {
    const { time, agreed, ran, schedule } = scheduled({ intervalMs: hourMs });
    const startMs = time.nowMs;
    agreed.resolve();
    await time.pass(minuteMs);
    time.setClock(startMs + 10 * 365 * 24 * hourMs);
    await time.pass(hourMs);
    expect(ran).toHaveLength(2);
    time.setClock(startMs + hourMs);
    await time.pass(hourMs);
    expect(ran.length).toBeGreaterThan(2);
    await schedule.stop();
  });

  test("INV-8: begins only once tree and index agree, a minute later, and then every interval", async () => {
    const { time, agreed, ran, schedule } = scheduled();
    await time.pass(hourMs);
    expect(ran).toEqual([]);
    agreed.resolve();
    await time.pass(minuteMs);
    expect(ran).toEqual(["61 start"]);
    await time.pass(20 * minuteMs);
    expect(ran).toEqual(["61 start", "71 interval", "81 interval"]);
    await schedule.stop();
  });

  test("ends without a word when the process stops before that", async () => {
    const { agreed, schedule, ran } = scheduled();
    agreed.reject(new Error("stopping"));
    await schedule.stop();
    expect(ran).toEqual([]);
  });

  test("with nothing due: one look, and no run", async () => {
    const { time, agreed, ran, state, schedule } = scheduled();
    state.found = { due: false, nextMs: null };
    agreed.resolve();
    await time.pass(41 * minuteMs);
    expect(ran).toEqual([]);
    expect(state.looks).toBe(5);
    await schedule.stop();
  });

  test("comes when the next thing falls due, but not more than once a minute", async () => {
    const { time, agreed, ran, state, schedule } = scheduled();
    agreed.resolve();
    state.found = { due: true, nextMs: time.nowMs + 5 * minuteMs };
    await time.pass(5 * minuteMs);
    expect(ran).toEqual(["1 start", "5 due"]);
    state.found = { due: true, nextMs: time.nowMs + 1 };
    await time.pass(2 * minuteMs);
    // At the fifth minute it looked again when that was past, and so waited a minute.
    expect(ran).toEqual(["1 start", "5 due", "6 due", "7 due"]);
    await schedule.stop();
  });

  test("only in its window: stopped when it closes, resumed when it opens", async () => {
    const { time, agreed, ran, told, schedule } = scheduled(
      { window: { startMinute: 60, endMinute: 120 } },
      untilStopped,
    );
    agreed.resolve();
    await time.pass(59 * minuteMs);
    expect(ran).toEqual([]);
    await time.pass(24 * hourMs);
    expect(ran).toEqual(["60 start"]);
    expect(told.join()).toContain("gc.window");
    await time.pass(2 * minuteMs);
    expect(ran).toEqual(["60 start", `${25 * 60} resume`]);
    await schedule.stop();
  });

  test("no longer than gc.maxduration, and goes on after the interval", async () => {
    const { time, agreed, ran, told, schedule } = scheduled(
      { durationMsMax: 3 * minuteMs },
      untilStopped,
    );
    agreed.resolve();
    await time.pass(15 * minuteMs);
    expect(ran).toEqual(["1 start", "14 resume"]);
    expect(told.join()).toContain("gc.maxduration");
    await schedule.stop();
  });

  test("one that leaves a run to those who have asked for it has not failed", async () => {
    const collect = (_: CollectOptions, signal: AbortSignal): Promise<CollectionReport> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          reject(signal.reason as Error);
        });
      });
    const options = { durationMsMax: minuteMs, intervalMs: hourMs };
    const { time, agreed, ran, told, schedule } = scheduled(options, collect);
    agreed.resolve();
    await time.pass(2 * hourMs);
    expect(ran).toEqual(["1 start", "62 resume"]);
    expect(told[0]).toContain("gc.maxduration");
    await schedule.stop("reloaded");
    expect(told.join()).not.toContain("failed");
  });

  test("after failures it backs off, twice as long each time up to an hour, and not after a success", async () => {
    let isBroken = true;
    const { time, agreed, ran, told, schedule } = scheduled({}, () =>
      isBroken ? Promise.reject(new Error("the disk is full")) : Promise.resolve(done),
    );
    agreed.resolve();
    await time.pass(130 * minuteMs);
    // Chance is 0 here: half of 1, 2, 4 … 60 minutes.
    const minutes = ran.map((text) => Number.parseFloat(text));
    const waits = minutes.slice(1).map((minute, n) => minute - (minutes[n] ?? 0));
    expect(waits).toEqual([0.5, 1, 2, 4, 8, 16, 30, 30, 30]);
    expect(told[0]).toContain("the disk is full");
    isBroken = false;
    await time.pass(45 * minuteMs);
    expect(ran.at(-1)).toEndWith("interval");
    isBroken = true;
    told.length = 0;
    await time.pass(10 * minuteMs);
    expect(told[0]).toContain("next try in 30 s");
    await schedule.stop();
  });

  test("a stop ends the cycle under way and waits for it", async () => {
    const { time, agreed, schedule, told } = scheduled({}, untilStopped);
    agreed.resolve();
    await time.pass(2 * minuteMs);
    await schedule.stop();
    expect(told).toEqual([]);
  });

  test("other settings end the cycle under way too, which says so, and the next loop does not begin before", async () => {
    const reasons: (string | null)[] = [];
    const { time, agreed, schedule, told } = scheduled({}, async (asked, signal) => {
      const report = await untilStopped(asked, signal);
      reasons.push(report.stopped);
      return report;
    });
    agreed.resolve();
    await time.pass(2 * minuteMs);
    await schedule.stop("reloaded");
    expect(reasons).toEqual(["reloaded"]);
    expect(told).toEqual([]);
  });

  test("a cycle that gave way comes again soon", async () => {
    const { time, agreed, ran, schedule } = scheduled({}, () =>
      Promise.resolve({ ...done, ok: false, stopped: "gave-way" }),
    );
    agreed.resolve();
    await time.pass(2 * minuteMs);
    expect(ran).toEqual(["1 start", "2 resume"]);
    await schedule.stop();
  });

  test("on a real index: what lies about goes, what is kept is not looked for again", async () => {
    const world = new World();
    const time = new FakeTime(world.nowMs);
    const counted = { looks: 0, changes: 0 };
    const schedule = new CollectionSchedule({
      collector: world.collector,
      index: {
        collectionDue: (options) => {
          counted.looks += 1;
          return world.index.collectionDue(options);
        },
      },
      clock: time,
      timers: time,
      random: () => 0,
      agreed: () => Promise.resolve(),
      log: { info: () => undefined, warn: () => undefined },
      options: plain,
    });
    const layer = await world.pushBlob(repository, "layer");
    await world.index.unlinkBlob(repository, layer, world.nowMs);
    schedule.start();
    world.nowMs += minuteMs;
    await time.pass(minuteMs);
    expect(await world.stored()).toEqual([]);
    expect(await world.index.listRuns({ before: null, limit: 9 })).toMatchObject([
      {
        isOver: true,
        record: { askedBy: "background", trigger: "start", blobs: 1, stopped: null },
      },
    ]);
    counted.looks = 0;
    world.nowMs += hourMs;
    await time.pass(hourMs);
    expect(counted.looks).toBe(6);
    expect(await world.index.listRuns({ before: null, limit: 9 })).toHaveLength(1);
    await schedule.stop();
  });
});
