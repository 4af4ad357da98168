import { describe, expect, test } from "bun:test";
import { FakeTime } from "../../test/support/fake-time.ts";
import { parseGlobs } from "../oci/index.ts";
import type { RetentionReport } from "./events.ts";
import type { RetentionWork } from "./retention.ts";
import type { RetentionRule } from "./rules.ts";
import { RetentionSchedule } from "./schedule.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const startMs = Date.parse("2026-03-10T00:00:00Z");

function rule(name: string, intervalMs: number): RetentionRule {
  return {
    name,
    repositories: parseGlobs(["**"]),
    tags: parseGlobs(["*"]),
    keep: { newest: 1, pushedWithinMs: null, pulledWithinMs: null, matching: null },
    untaggedOlderThanMs: null,
    intervalMs,
    onPressure: false,
    allowEmpty: false,
  };
}

const report = { completed: true, durationMs: 5, tags: 3 } as unknown as RetentionReport;

/** Minutes at which rules were applied, and which. */
function scheduled(
  rules: readonly RetentionRule[],
  more: {
    readonly runs?: ReadonlyMap<string, number>;
    readonly random?: number;
    readonly apply?: (work: RetentionWork, signal: AbortSignal) => Promise<RetentionReport>;
  } = {},
) {
  const time = new FakeTime(startMs);
  const agreed = Promise.withResolvers<void>();
  const ran: string[] = [];
  const told: string[] = [];
  const state = { runs: more.runs ?? new Map<string, number>() };
  const schedule = new RetentionSchedule({
    retention: {
      apply: async (work, _, signal) => {
        const names = rules.filter((one) => work.applies?.(one)).map(({ name }) => name);
        ran.push(`${(time.nowMs - startMs) / minuteMs} ${names.join("+")}`);
        return (await more.apply?.(work, signal)) ?? report;
      },
    },
    index: {
      retentionRuns: () => Promise.resolve(state.runs),
      setRetentionRuns: (runs) => {
        state.runs = runs;
        return Promise.resolve();
      },
    },
    rules,
    clock: time,
    timers: time,
    random: () => more.random ?? 0,
    agreed: () => agreed.promise,
    log: { warn: (text) => told.push(text) },
  });
  schedule.start();
  return { schedule, time, agreed, ran, told, state };
}

describe("retention on its interval", () => {
  test("INV-8: begins only once tree and index agree, then each rule at its own pace", async () => {
    const { time, agreed, ran, schedule, state } = scheduled([
      rule("daily", 24 * hourMs),
      rule("often", 8 * hourMs),
    ]);
    await time.pass(hourMs);
    expect(ran).toEqual([]);
    agreed.resolve();
    await time.pass(24 * hourMs);
    expect(ran).toEqual(["62 daily+often", "542 often", "1022 often"]);
    await time.pass(2 * hourMs);
    expect(ran.at(-1)).toBe("1502 daily+often");
    expect(state.runs.get("daily")).toBe(startMs + 1502 * minuteMs);
    await schedule.stop();
  });

  test("a restart does not apply again what was applied", async () => {
    const runs = new Map([
      ["daily", startMs - 20 * hourMs],
      ["gone", startMs],
      ["often", startMs - 20 * hourMs],
    ]);
    const rules = [rule("daily", 24 * hourMs), rule("often", 8 * hourMs)];
    const { time, agreed, ran, schedule, state } = scheduled(rules, { runs });
    agreed.resolve();
    await time.pass(hourMs);
    expect(ran).toEqual(["2 often"]);
    await time.pass(4 * hourMs);
    expect(ran).toEqual(["2 often", "240 daily"]);
    // What no rule is called any more is forgotten.
    expect([...state.runs.keys()]).toEqual(["daily", "often"]);
    await schedule.stop();
  });

  test("comes later by chance, at most ten minutes", async () => {
    const { time, agreed, ran, schedule } = scheduled([rule("daily", 24 * hourMs)], {
      random: 0.5,
    });
    agreed.resolve();
    await time.pass(50 * hourMs);
    expect(ran).toEqual(["3 daily", "1448 daily", "2893 daily"]);
    await schedule.stop();
  });

  test("a failure is told and tried again; nothing is written down", async () => {
    let failures = 1;
    const { time, agreed, ran, told, schedule, state } = scheduled([rule("daily", 24 * hourMs)], {
      apply: () => {
        if (failures-- > 0) return Promise.reject(new Error("the disk is full"));
        return Promise.resolve(report);
      },
    });
    agreed.resolve();
    await time.pass(5 * minuteMs);
    expect(state.runs.size).toBe(0);
    expect(told).toEqual(["retention failed, next try in 600 s: the disk is full"]);
    await time.pass(hourMs);
    expect(ran).toEqual(["2 daily", "12 daily"]);
    await schedule.stop();
  });

  test("a stop ends a run that is under way, which will be done again", async () => {
    const { time, agreed, ran, schedule, state } = scheduled([rule("daily", 24 * hourMs)], {
      apply: (_, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            resolve({ ...report, completed: false });
          });
        }),
    });
    agreed.resolve();
    await time.pass(hourMs);
    expect(ran).toHaveLength(1);
    await schedule.stop();
    expect(state.runs.size).toBe(0);
  });

  test("a clock that was set back makes a rule due, not silent for years", async () => {
    const runs = new Map([["daily", startMs + 1_000 * hourMs]]);
    const { time, agreed, ran, schedule } = scheduled([rule("daily", 24 * hourMs)], { runs });
    agreed.resolve();
    await time.pass(hourMs);
    expect(ran).toEqual(["2 daily"]);
    await schedule.stop();
  });

  test("stops at once before it has begun, and without rules", async () => {
    const { schedule, agreed } = scheduled([rule("daily", hourMs)]);
    agreed.reject(new Error("stopping"));
    await schedule.stop();
    await scheduled([]).schedule.stop();
  });

  test("a clock that ran ahead for years and is set right costs no run", async () => {
    const { time, agreed, ran, schedule } = scheduled([rule("daily", 24 * hourMs)]);
    agreed.resolve();
    await time.pass(2 * minuteMs);
    time.setClock(time.nowMs + 10 * 365 * 24 * hourMs);
    await time.pass(24 * hourMs);
    expect(ran).toHaveLength(2);
    time.setClock(startMs + 25 * hourMs);
    await time.pass(25 * hourMs);
    // Soon after it was set right, and a day later.
    expect(ran).toHaveLength(4);
    expect(ran[2]).toBe("1510 daily");
    await schedule.stop();
  });
});
