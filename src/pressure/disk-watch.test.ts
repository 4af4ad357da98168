import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DiskSpace, DiskUse } from "../registry/ports/disk-space.ts";
import { FileSystemSpace } from "../storage/filesystem/file-system-space.ts";
import { mountSmallDisk, type SmallDisk } from "../../test/support/small-disk.ts";
import { DiskWatch } from "./disk-watch.ts";
import { markOf, type Marks, percentText } from "./marks.ts";

const marks: Marks = { warn: 80, collect: 90, refuse: 95 };
const use = (usedBytes: number): DiskUse => ({ usedBytes, capacityBytes: 1000 });

class World {
  nowMs = 0;
  usedBytes = 0;
  measured = 0;
  relieved = 0;
  takesMs = 0;
  relief: Promise<void> = Promise.resolve();
  failure: Error | null = null;
  readonly lines: string[] = [];
  ring: () => void = () => undefined;
  readonly watch: DiskWatch;

  constructor(space?: DiskSpace) {
    const fake: DiskSpace = {
      name: "the disk",
      measure: async () => {
        this.measured += 1;
        this.nowMs += this.takesMs;
        if (this.failure !== null) throw this.failure;
        return use(this.usedBytes);
      },
    };
    this.watch = new DiskWatch({
      space: space ?? fake,
      marks,
      clock: { now: () => this.nowMs },
      timers: {
        set: (_ms, ring) => {
          this.ring = ring;
          return () => {
            this.ring = () => undefined;
          };
        },
      },
      log: {
        info: (message) => this.lines.push(`info ${message}`),
        warn: (message) => this.lines.push(`warn ${message}`),
      },
    });
  }

  start(): Promise<void> {
    return this.watch.start({
      wake: () => {
        this.relieved += 1;
      },
      settle: () => this.relief,
    });
  }

  /** What is measured next, when the timer rings. */
  async at(usedBytes: number): Promise<readonly string[]> {
    this.usedBytes = usedBytes;
    const before = this.lines.length;
    this.ring();
    await this.watch.measure();
    return this.lines.slice(before);
  }

  async admits(bytes: number): Promise<boolean> {
    this.nowMs += 1_000;
    try {
      (await this.watch.admit(bytes)).end();
      return true;
    } catch {
      return false;
    }
  }
}

describe("marks", () => {
  test.each([
    [799, null, null],
    [800, null, "warn"],
    [900, null, "collect"],
    [949, "collect", "collect"],
    [950, null, "refuse"],
    [1000, null, "refuse"],
    // Passed marks hold until they are undercut by one percent.
    [941, "refuse", "refuse"],
    [939, "refuse", "collect"],
    [891, "collect", "collect"],
    [889, "collect", "warn"],
    [795, "warn", "warn"],
    [789, "refuse", null],
  ] as const)("%d of 1000 after %p: %p", (used, before, expected) => {
    expect(markOf(use(used), marks, before)).toBe(expected);
  });

  test("a small mark is cleared before nothing is left", () => {
    const tiny = { warn: 0.5, collect: 0.5, refuse: 1 };
    expect(markOf(use(0), tiny, "refuse")).toBeNull();
  });

  test("no capacity at all is full; a text never rounds up to a mark", () => {
    expect(markOf({ usedBytes: 0, capacityBytes: 0 }, marks, null)).toBe("refuse");
    expect(percentText({ usedBytes: 94_999, capacityBytes: 100_000 })).toBe("94.9%");
  });
});

describe("watching", () => {
  test("each mark is told of once, on the way up and down", async () => {
    const world = new World();
    await world.start();
    expect(await world.at(700)).toEqual([]);
    expect(await world.at(800)).toEqual([
      "warn the disk is 80.0% full, above storage.watermark.warn (80%): room is made from 90% on, and pushes are refused from 95% on",
    ]);
    expect(await world.at(795)).toEqual([]);
    expect(await world.at(801)).toEqual([]);
    expect(await world.at(901)).toEqual([
      "warn the disk is 90.1% full, above storage.watermark.collect (90%): making room; pushes are refused from 95% on",
    ]);
    expect(await world.at(960)).toEqual([
      "warn the disk is 96.0% full, above storage.watermark.refuse (95%): pushes are refused until there is room again; pulls and deletions go on",
    ]);
    expect(await world.at(955)).toEqual([]);
    expect(await world.at(930)).toEqual(["info the disk is 93.0% full: pushes are accepted again"]);
    expect(await world.at(850)).toEqual([]);
    expect(await world.at(700)).toEqual([
      "info the disk is 70.0% full, below storage.watermark.warn again",
    ]);
    await world.watch.stop();
  });

  test("room is asked for at each measurement above the mark, and at none below or after a stop", async () => {
    const world = new World();
    await world.start();
    await world.at(899);
    expect(world.relieved).toBe(0);
    await world.at(900);
    expect(world.relieved).toBeGreaterThan(0);
    await world.watch.stop();
    const { relieved } = world;
    await world.at(990);
    expect(world.relieved).toBe(relieved);
  });

  test("a failing measurement is told of once, refuses nobody, and is forgotten when it works", async () => {
    const world = new World();
    world.failure = new Error("stale file handle");
    await world.start();
    world.ring();
    expect(await world.admits(10)).toBe(true);
    expect(world.lines).toEqual([
      "warn the disk: how full it is cannot be told: stale file handle",
    ]);
    world.failure = null;
    expect(await world.at(960)).toHaveLength(1);
    expect(await world.admits(10)).toBe(false);
    await world.watch.stop();
  });
});

describe("admitting", () => {
  test("up to the line, and not a byte more", async () => {
    const world = new World();
    world.usedBytes = 900;
    expect(await world.admits(50)).toBe(true);
    expect(await world.admits(51)).toBe(false);
    expect(await world.admits(0)).toBe(true);
    world.usedBytes = 950;
    expect(await world.admits(0)).toBe(false);
  });

  test("many at once do not count on the same space", async () => {
    const world = new World();
    world.usedBytes = 900;
    const first = await world.watch.admit(30);
    expect(await world.admits(30)).toBe(false);
    expect(await world.admits(20)).toBe(true);
    // Half of it has come, and is measured now: what is pending is the other half.
    first.received(15, 0);
    world.usedBytes = 915;
    expect(await world.admits(20)).toBe(true);
    expect(await world.admits(21)).toBe(false);
    // It breaks off: its bytes are there, and nothing is pending.
    first.end();
    expect(await world.admits(35)).toBe(true);
    expect(await world.admits(36)).toBe(false);
  });

  test("bytes that no measurement has seen yet count, also of one that is over or announced nothing", async () => {
    const world = new World();
    world.usedBytes = 900;
    const unknown = await world.watch.admit(0);
    unknown.received(30, 0);
    unknown.end();
    // Within the same quarter of a second: no new measurement.
    (await world.watch.admit(20)).end();
    expect(world.measured).toBe(1);
    // Before somebody is refused it is looked once more.
    world.usedBytes = 930;
    expect(await refused(world.watch.admit(21))).toBe(true);
    expect(world.measured).toBe(2);
    world.usedBytes = 900;
    expect(await refused(world.watch.admit(21))).toBe(false);
    expect(world.measured).toBe(3);
  });

  test("bytes that wait in memory for the next write are seen by no measurement", async () => {
    const world = new World();
    world.usedBytes = 900;
    const gathering = await world.watch.admit(0);
    await gathering.checkUnannounced(30);
    gathering.received(30, 30);
    await world.watch.measure();
    expect(await world.admits(21)).toBe(false);
    expect(await world.admits(20)).toBe(true);
    // Written, and measured.
    gathering.received(1, 0);
    world.usedBytes = 931;
    await world.watch.measure();
    expect(await world.admits(19)).toBe(true);
    expect(await world.admits(20)).toBe(false);
    gathering.end();
  });

  test("an upload that was let in goes on whatever happens", async () => {
    const world = new World();
    const admission = await world.watch.admit(100);
    world.usedBytes = 999;
    expect(await world.admits(0)).toBe(false);
    admission.received(100, 0);
    admission.end();
  });

  test("one that does not say its size ends half-way from the line to a full disk, if no room is made", async () => {
    const world = new World();
    world.usedBytes = 949;
    await world.start();
    const admission = await world.watch.admit(0);
    await admission.checkUnannounced(26);
    admission.received(26, 0);
    world.usedBytes = 975;
    expect(admission.checkUnannounced(1)).rejects.toThrow(
      "would be filled by this upload, whose size is not known (storage.watermark.refuse)",
    );
    await refused(admission.checkUnannounced(1));
    // With room that is made it goes on.
    const relieve = async (): Promise<void> => {
      await Promise.resolve();
      world.usedBytes = 500;
    };
    world.relief = relieve();
    world.nowMs += 1_000;
    await admission.checkUnannounced(1);
    admission.end();
  });

  test("who would be refused waits for room that is being made, and no longer than that takes", async () => {
    const world = new World();
    const made = Promise.withResolvers<void>();
    await world.start();
    world.usedBytes = 960;
    world.relief = made.promise;
    const waiting = world.admits(10);
    const inVain = world.admits(10);
    await Bun.sleep(0);
    world.usedBytes = 700;
    // So old a measurement is not believed, however long it took.
    world.nowMs += 20_000;
    made.resolve();
    expect([await waiting, await inVain]).toEqual([true, true]);
    world.usedBytes = 960;
    world.relief = new Promise(() => undefined);
    const patient = world.admits(10);
    await Bun.sleep(0);
    world.ring();
    expect(await patient).toBe(false);
  });

  test("near the mark each look is a new one", async () => {
    const world = new World();
    world.usedBytes = 899;
    await world.watch.admit(0);
    const admission = await world.watch.admit(1);
    expect(world.measured).toBe(1);
    world.nowMs += 21;
    await world.watch.admit(0);
    expect(world.measured).toBe(2);
    admission.end();
    world.nowMs += 21;
    await world.watch.admit(0);
    expect(world.measured).toBe(2);
  });

  test("what is slow to measure is measured less often", async () => {
    const world = new World();
    world.usedBytes = 920;
    world.takesMs = 100;
    await world.watch.admit(0);
    world.nowMs += 999;
    await world.watch.admit(0);
    expect(world.measured).toBe(1);
    world.nowMs += 2;
    await world.watch.admit(0);
    expect(world.measured).toBe(2);
  });

  test("while it cannot be measured nothing is gathered", async () => {
    const world = new World();
    world.usedBytes = 900;
    await world.watch.admit(0);
    world.failure = new Error("gone");
    for (let n = 0; n < 100; n++) {
      const admission = await world.watch.admit(10);
      admission.received(10, 0);
      admission.end();
      world.nowMs += 1_000;
    }
    // One that is not measured yet, and what is asked for.
    expect(await refused(world.watch.admit(31))).toBe(false);
  });

  test("a clock that is set back does not make an old measurement a new one", async () => {
    const world = new World();
    world.nowMs = 1e9;
    expect(await world.admits(1)).toBe(true);
    world.nowMs = 0;
    await world.watch.admit(1);
    expect(world.measured).toBe(2);
  });
});

async function refused(admission: Promise<unknown>): Promise<boolean> {
  return await admission.then(
    () => false,
    () => true,
  );
}

describe("a real file system", () => {
  const directory = mkdtempSync(join(tmpdir(), "plimsoll-watch-"));
  const disk: SmallDisk | null = mountSmallDisk(directory, 8 * 1024);
  afterEach(() => {
    disk?.unmount();
    rmSync(directory, { recursive: true });
  });

  test.skipIf(disk === null)("is told by the figures of df", async () => {
    const space = new FileSystemSpace(directory);
    const mib = 1024 * 1024;
    expect((await space.measure()).capacityBytes).toBe(8 * mib);
    writeFileSync(join(directory, "file"), new Uint8Array(6 * mib));
    const { usedBytes } = await space.measure();
    expect(usedBytes).toBeGreaterThanOrEqual(6 * mib);
    expect(usedBytes).toBeLessThan(6.1 * mib);
    const world = new World(space);
    expect(await world.admits(1.5 * mib)).toBe(true);
    expect(await world.admits(1.7 * mib)).toBe(false);
    await world.watch.measure();
    const df = Bun.spawnSync(["df", "-B1", "--output=used,avail", directory]).stdout.toString();
    const [used = 0, available = 0] = (df.split("\n")[1] ?? "").trim().split(/\s+/).map(Number);
    expect(await space.measure()).toEqual({ usedBytes: used, capacityBytes: used + available });
  });
});
