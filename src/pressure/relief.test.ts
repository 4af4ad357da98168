import { describe, expect, test } from "bun:test";
import type { CollectionReport, CollectOptions } from "../gc/index.ts";
import { type ApplyRetention, Relief } from "./relief.ts";

const hour = 3_600_000;

/** A storage in percent, whose collections free what a test says. */
class World {
  nowMs = 100 * hour;
  percent = 95;
  /** How much a collection frees that leaves so many hours to deletions; taken once. */
  readonly frees = new Map<number, number>();
  /** Whether there is always something to collect, or only what `frees` says. */
  alwaysDue = false;
  readonly asked: number[] = [];
  readonly options: CollectOptions[] = [];
  readonly lines: string[] = [];
  isUnlistable = false;
  fails: Error | null = null;
  /** Of a collection that comes to its end, and frees what it can all the same. */
  errors: readonly string[] = [];
  readonly relief: Relief;

  constructor(
    parts: {
      readonly applyRetention?: ApplyRetention;
      readonly agreed?: (signal: AbortSignal) => Promise<void>;
    } = {},
  ) {
    this.relief = new Relief({
      collector: { collect: (options, _tell, signal) => this.#collect(options, signal) },
      index: {
        hasUnlistable: () => Promise.resolve(this.isUnlistable),
        collectionDue: ({ nowMs, deletedBeforeMs, policy, uploadsIdleSinceMs }) => {
          expect([nowMs - policy.untaggedBeforeMs, uploadsIdleSinceMs]).toEqual([5, nowMs - 9]);
          const keptHours = (nowMs - deletedBeforeMs) / hour;
          return Promise.resolve({
            due: this.alwaysDue || this.frees.has(keptHours),
            nextMs: null,
          });
        },
      },
      watch: {
        measure: () => Promise.resolve({ usedBytes: this.percent, capacityBytes: 100 }),
        isClearOf: (_mark, { usedBytes }) => usedBytes < 89,
      },
      agreed: () => Promise.resolve(),
      clock: { now: () => this.nowMs },
      log: {
        info: (message) => this.lines.push(`info ${message}`),
        warn: (message) => this.lines.push(`warn ${message}`),
      },
      options: {
        keepDeletedMs: 24 * hour,
        untagged: { delete: true, olderThanMs: 5 },
        foreignGraceMs: 7,
        uploadAgeMs: 9,
      },
      applyRetention: null,
      ...parts,
    });
  }

  async #collect(options: CollectOptions, signal?: AbortSignal): Promise<CollectionReport> {
    signal?.throwIfAborted();
    if (this.fails !== null) throw this.fails;
    const keptMs = options.keepDeletedMs ?? 0;
    this.asked.push(keptMs / hour);
    this.options.push(options);
    const bytes = this.frees.get(keptMs / hour) ?? 0;
    this.percent -= bytes;
    this.frees.delete(keptMs / hour);
    const { errors } = this;
    const report = { bytes, ok: errors.length === 0, errors };
    return await Promise.resolve(report as unknown as CollectionReport);
  }

  async wake(): Promise<void> {
    this.relief.wake();
    await this.relief.settle();
  }
}

describe("making room", () => {
  test("what nothing holds is enough: deletions can still be undone", async () => {
    const world = new World();
    world.frees.set(24, 10);
    await world.wake();
    expect(world.asked).toEqual([24]);
    expect(world.options[0]).toMatchObject({
      untagged: true,
      untaggedOlderThanMs: 5,
      foreignGraceMs: 7,
      trigger: "pressure",
    });
    expect(world.options[0]?.background).toBeUndefined();
    expect(world.lines).toEqual(["info room was made: the storage is 85.0% full"]);
  });

  test("then the oldest deletions, and no more of them than needed", async () => {
    const world = new World();
    world.frees.set(12, 2);
    world.frees.set(6, 10);
    world.frees.set(0, 10);
    await world.wake();
    expect(world.asked).toEqual([12, 6]);
    expect(world.percent).toBe(83);
  });

  test("what was deleted an hour ago goes before what was deleted just now", async () => {
    const world = new World();
    world.frees.set(24 / 32, 10);
    world.frees.set(0, 10);
    await world.wake();
    expect(world.asked).toEqual([24 / 32]);
  });

  test("then all of them, and then rules under pressure, step by step", async () => {
    let steps = 0;
    const world = new World({
      applyRetention: async (isEnough) => {
        do {
          steps += 1;
          world.frees.set(0, 3);
        } while (!(await isEnough()));
      },
    });
    await world.wake();
    expect(steps).toBe(3);
    expect(world.asked).toEqual([0, 0, 0]);
    expect(world.percent).toBe(86);
  });

  test("rules are left alone while deletions are enough", async () => {
    const world = new World({
      applyRetention: () => Promise.reject(new Error("not to be called")),
    });
    world.frees.set(0, 10);
    await world.wake();
    expect(world.lines).toEqual(["info room was made: the storage is 85.0% full"]);
  });

  test("where nothing is due nothing is collected", async () => {
    const world = new World();
    await world.wake();
    expect(world.asked).toEqual([]);
  });

  test("when nothing helps it says what would, and waits longer and longer", async () => {
    const world = new World();
    const tries: number[] = [];
    for (let second = 0; second < 1_200; second += 5) {
      const before = world.lines.length;
      await world.wake();
      if (world.lines.length > before) tries.push(second);
      world.nowMs += 5_000;
    }
    expect(tries).toEqual([0, 60, 180, 420, 720, 1020]);
    expect(world.asked).toEqual([]);
    expect(world.lines[0]).toBe(
      "warn the storage is still 95.0% full, and nothing more can be freed now; next try in 60 s. Delete images, give retention rules onpressure: true, or make the disk larger",
    );
  });

  test("where pushes are as quick as the collector it goes on at once", async () => {
    const world = new World();
    for (const freed of [1, 2, 4]) {
      world.frees.set(0, freed);
      await world.wake();
      world.percent += 1;
    }
    expect(world.asked).toEqual([0, 0, 0]);
    expect(world.lines).toEqual([]);
  });

  test("what has become garbage meanwhile ends the waiting, at most every five seconds", async () => {
    const world = new World();
    await world.wake();
    world.frees.set(0, 0);
    world.nowMs += 4_999;
    await world.wake();
    expect(world.asked).toEqual([]);
    world.nowMs += 1;
    await world.wake();
    // It freed nothing: told once, not again.
    expect(world.asked).toEqual([0]);
    expect(world.lines).toHaveLength(1);
    world.frees.set(0, 10);
    world.nowMs += 5_000;
    await world.wake();
    expect(world.lines.slice(1)).toEqual(["info room was made: the storage is 85.0% full"]);
  });

  test("what can never be freed is not tried every five seconds for ever", async () => {
    const world = new World();
    world.alwaysDue = true;
    for (let second = 0; second < 3_600; second += 5) {
      await world.wake();
      world.nowMs += 5_000;
    }
    // Each attempt has a record in the history, which keeps a thousand.
    expect(world.asked.length).toBeLessThan(250);
    // Nor does it keep what can be freed waiting once it is gone.
    world.alwaysDue = false;
    world.nowMs += 300_000;
    await world.wake();
    world.frees.set(0, 10);
    world.nowMs += 5_000;
    await world.wake();
    expect(world.percent).toBe(85);
  });

  test("nothing is given up while no blob is collected (INV-7)", async () => {
    const world = new World({
      applyRetention: () => Promise.reject(new Error("not to be called")),
    });
    world.isUnlistable = true;
    world.alwaysDue = true;
    await world.wake();
    // Bytes of blobs that were condemned before, and abandoned uploads, still go.
    expect(world.asked).toEqual([24]);
    expect(world.lines).toEqual([
      "warn making room failed, next try in 60 s: a directory of the tree cannot be listed, so no blob is collected",
    ]);
  });

  test("rules give up nothing more while what they have given up cannot be collected", async () => {
    let steps = 0;
    const world = new World({
      applyRetention: async (isEnough) => {
        do {
          steps += 1;
          world.errors = ["the disk cannot be written"];
        } while (steps < 50 && !(await isEnough()));
      },
    });
    world.alwaysDue = true;
    await world.wake();
    expect(steps).toBe(1);
    expect(world.lines).toEqual([
      "warn making room failed, next try in 60 s: the disk cannot be written",
    ]);
  });

  test("a success ends the waiting", async () => {
    const world = new World();
    await world.wake();
    world.nowMs += 60_000;
    world.frees.set(24, 10);
    await world.wake();
    world.percent = 95;
    world.frees.set(24, 10);
    await world.wake();
    expect(world.asked).toEqual([24, 24]);
  });

  test("a collection that fails is told of, and tried again later", async () => {
    const world = new World();
    world.fails = new Error("the disk is on fire");
    world.alwaysDue = true;
    await world.wake();
    await world.wake();
    expect(world.lines).toEqual(["warn making room failed, next try in 60 s: the disk is on fire"]);
  });

  test("one at a time, and none until tree and index agree or after a stop", async () => {
    const agreement = Promise.withResolvers<void>();
    const world = new World({ agreed: () => agreement.promise });
    world.frees.set(24, 10);
    world.relief.wake();
    world.relief.wake();
    await Promise.resolve();
    expect(world.asked).toEqual([]);
    agreement.resolve();
    await world.relief.settle();
    expect(world.asked).toEqual([24]);
    await world.relief.stop();
    world.nowMs += hour;
    await world.wake();
    expect(world.asked).toEqual([24]);
  });

  test("a stop ends it without a word", async () => {
    const world = new World({
      agreed: (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("stopped")));
        }),
    });
    world.relief.wake();
    await world.relief.stop();
    expect(world.lines).toEqual([]);
  });

  test("other settings end what rules give up by the old ones, and it begins anew at once", async () => {
    const begun = Promise.withResolvers<void>();
    let isOver = false;
    let tries = 0;
    const world = new World({
      applyRetention: async (_isEnough, signal) => {
        tries += 1;
        if (tries > 1) return;
        begun.resolve();
        await new Promise((resolve) => {
          signal.addEventListener("abort", resolve);
        });
        await Bun.sleep(5);
        isOver = true;
      },
    });
    world.relief.wake();
    await begun.promise;
    await world.relief.settingsChanged();
    expect({ isOver, lines: world.lines }).toEqual({ isOver: true, lines: [] });
    await world.wake();
    expect(tries).toBe(2);
    expect(world.lines).toHaveLength(1);
    expect(world.lines[0]).toContain("next try in 60 s");
    await world.wake();
    expect(tries).toBe(2);
    // Somebody has done what it says: given rules `onpressure`, say.
    await world.relief.settingsChanged();
    await world.wake();
    expect(tries).toBe(3);
  });
});
