// A background run beside others: it gives way, is joined, stops and is resumed, takes its rests, and
// leaves a record.
import { describe, expect, test } from "bun:test";
import type { RunRecord } from "../registry/ports/index.ts";
import { Gates } from "../../test/race/gate.ts";
import { graceMs, repository, tag, World } from "../../test/race/world.ts";
import type { CollectOptions } from "./collection-events.ts";
import { Collector } from "./collector.ts";
import { Pace } from "./pace.ts";
import { CollectionStop } from "./stop-reason.ts";

const background: Partial<CollectOptions> = {
  background: { blobsPerSecondMax: 0, trigger: "interval" },
  askedBy: { kind: "background", user: null },
};
const wanted: CollectOptions = {
  dryRun: false,
  untagged: false,
  full: false,
  foreignGraceMs: graceMs,
  listing: "nothing",
};

async function garbage(world: World, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const layer = await world.pushBlob(repository, `layer ${n}`);
    await world.index.unlinkBlob(repository, layer, world.nowMs);
  }
}

async function records(world: World): Promise<RunRecord[]> {
  const entries = await world.index.listRuns({ before: null, limit: 99 });
  return entries.map(({ record }) => record);
}

describe("a background run", () => {
  test("gives way between two batches to who asks for more, who finishes what it left", async () => {
    const gates = new Gates();
    const world = new World({ storage: (storage) => gates.wrap(storage) });
    await garbage(world, 150);
    const gate = gates.arm("after remove");
    const first = world.collect({ ...background, keepDeletedMs: graceMs });
    await gate.reached;
    const command = world.collect();
    gate.open();
    const [stopped, done] = [(await first).report, (await command).report];
    expect(stopped).toMatchObject({ completed: false, stopped: "gave-way" });
    expect(stopped.blobs).toBeLessThan(150);
    expect(done).toMatchObject({ completed: true, ok: true, stopped: null });
    expect(stopped.blobs + done.blobs).toBe(150);
    expect(await world.stored()).toEqual([]);
    expect(await records(world)).toMatchObject([
      { askedBy: "command", stopped: null, blobs: done.blobs },
      { askedBy: "background", stopped: "gave-way", blobs: stopped.blobs },
    ]);
  });

  test("is joined by who asks for no more, and hurries from then on", async () => {
    const gates = new Gates();
    const world = new World({ storage: (storage) => gates.wrap(storage) });
    await garbage(world, 150);
    const rests: number[] = [];
    const pause = (ms: number): Promise<void> => {
      rests.push(ms);
      return Promise.resolve();
    };
    const collector = new Collector({ ...world.parts, pause });
    const gate = gates.arm("after remove");
    const first = collector.collect({ ...wanted, ...background }, () => undefined);
    await gate.reached;
    const second = collector.collect(wanted, () => undefined);
    gate.open();
    expect(await second).toBe(await first);
    expect((await first).blobs).toBe(150);
    // Without hurry some twenty rests, one after each eight blobs.
    expect(rests.filter((ms) => ms !== 0 && ms !== 2).length).toBeLessThan(3);
    // Somebody waits for it now: it does not give way any more.
    expect(await records(world)).toMatchObject([{ askedBy: "background", stopped: null }]);
  });

  test("does not give way once a person waits for it", async () => {
    const gates = new Gates();
    const world = new World({ storage: (storage) => gates.wrap(storage) });
    await garbage(world, 20);
    const gate = gates.arm("after remove");
    const first = world.collect(background);
    await gate.reached;
    const joined = world.collect();
    const more = world.collect({ untagged: true });
    gate.open();
    expect((await first).report).toMatchObject({ completed: true, blobs: 20 });
    expect((await joined).report.startedAtMs).toBe((await first).report.startedAtMs);
    expect((await more).report).toMatchObject({ completed: true, blobs: 0 });
  });

  test("waits for a command that is under way, and finds its work done", async () => {
    const world = new World();
    await garbage(world, 3);
    const command = world.collect();
    const second = world.collect({ ...background, untagged: true });
    expect((await command).report.blobs).toBe(3);
    expect((await second).report).toMatchObject({ completed: true, blobs: 0 });
    expect(await records(world)).toHaveLength(1);
  });

  test("stopped by its time, it is resumed where it was", async () => {
    const gates = new Gates();
    const world = new World({ storage: (storage) => gates.wrap(storage) });
    await garbage(world, 150);
    const gate = gates.arm("after remove");
    const stop = new AbortController();
    const first = world.collector.collect(
      { ...wanted, ...background },
      () => undefined,
      stop.signal,
    );
    await gate.reached;
    stop.abort(new CollectionStop("maxduration"));
    gate.open();
    const stopped = await first;
    expect(stopped).toMatchObject({ completed: false, ok: false, stopped: "maxduration" });
    expect(stopped.errors.join()).toContain("gc.maxduration");
    const { report } = await world.collect(background);
    expect(report).toMatchObject({ completed: true, blobs: 150 - stopped.blobs });
    expect((await world.collect({ full: true })).report.queueMissed).toBe(0);
  });

  test("with nothing to do it writes nothing, whatever stays due", async () => {
    const changes: string[] = [];
    const writing = /^(begin|end|condemn|forget|remove|release|checkpoint|expire|drop)/;
    const world = new World({
      index: (index) =>
        new Proxy(index, {
          get: (target, name) => {
            if (writing.test(String(name))) changes.push(String(name));
            return Reflect.get(target, name) as unknown;
          },
        }),
    });
    await world.pushManifest(repository, { note: "kept" }, { tag });
    world.nowMs += 2 * graceMs;
    await world.collect();
    changes.length = 0;
    await world.collect(background);
    // Transactions that change nothing write nothing; records and checkpoints would.
    expect(changes.filter((name) => /^(begin|end|checkpoint)/.test(name))).toEqual([]);
    expect(await records(world)).toHaveLength(1);
  });
});

describe("the pace of a background run", () => {
  test("rests three times as long as its work took, after every few blobs", () => {
    const pace = new Pace({ blobsPerSecondMax: 0 });
    expect(pace.unlinksAtOnce).toBe(1);
    expect(pace.unlinksBeforeRest(100)).toBe(8);
    expect(pace.restAfterUnlinksMs({ blobs: 8, tookMs: 80 })).toBe(240);
    // A stop would have to wait for the end of a longer one.
    expect(pace.restAfterUnlinksMs({ blobs: 8, tookMs: 60_000 })).toBe(1_000);
    expect(pace.pauseAfterBatchMs(5)).toBe(15);
    expect(pace.pauseAfterBatchMs(0)).toBe(2);
  });

  test("gc.maxrate: no more blobs a second", () => {
    const pace = new Pace({ blobsPerSecondMax: 20 });
    expect(pace.unlinksBeforeRest(100)).toBe(5);
    expect(pace.restAfterUnlinksMs({ blobs: 5, tookMs: 10 })).toBe(240);
    expect(pace.restAfterUnlinksMs({ blobs: 5, tookMs: 100 })).toBe(300);
    const slow = new Pace({ blobsPerSecondMax: 1 });
    expect(slow.unlinksBeforeRest(100)).toBe(1);
    expect(slow.restAfterUnlinksMs({ blobs: 1, tookMs: 0 })).toBe(1000);
  });

  test("who waits for it is served without rests", () => {
    const pace = new Pace(null);
    expect(pace.unlinksBeforeRest(100)).toBe(100);
    expect(pace.restAfterUnlinksMs({ blobs: 100, tookMs: 500 })).toBe(0);
    expect(pace.pauseAfterBatchMs(50)).toBe(2);
  });
});

describe("the record of a run", () => {
  test("says who asked, what went and what was stepped over", async () => {
    const logged: RunRecord[] = [];
    const world = new World();
    await garbage(world, 2);
    const collector = new Collector({
      ...world.parts,
      expireUploads: () => Promise.resolve(3),
      logRun: (record) => logged.push(record),
    });
    const asked: CollectOptions = { ...wanted, askedBy: { kind: "command", user: "root" } };
    const report = await collector.collect(asked, () => undefined);
    expect(report.uploads).toBe(3);
    const expected = {
      askedBy: "command",
      user: "root",
      trigger: "request",
      startedAtMs: world.nowMs,
      blobs: 2,
      bytes: 14,
      candidates: 2,
      uploads: 3,
      repositories: 1,
      errors: [],
      stopped: null,
    } as const;
    expect(await records(world)).toMatchObject([expected]);
    expect(logged).toMatchObject([expected]);
  });

  test("uploads that cannot be ended are told, and keep nothing else", async () => {
    const world = new World();
    await garbage(world, 1);
    const expireUploads = (): Promise<number> => Promise.reject(new Error("EACCES"));
    const collector = new Collector({ ...world.parts, expireUploads });
    const report = await collector.collect(wanted, () => undefined);
    expect(report).toMatchObject({ ok: false, completed: true, blobs: 1, uploads: 0 });
    expect(report.errors).toEqual(["abandoned uploads could not be ended: EACCES"]);
  });

  test("of one that fails as a whole says why; of a dry run there is none", async () => {
    const world = new World({
      index: (index) => ({
        ...index,
        condemn: () => Promise.reject(new Error("the disk that holds the index is full")),
      }),
    });
    await garbage(world, 1);
    await world.collect({ dryRun: true });
    expect(await records(world)).toEqual([]);
    const failure = await world.collect().catch((error: unknown) => error);
    expect(String(failure)).toContain("is full");
    expect(await records(world)).toMatchObject([
      { stopped: "failed", errors: ["the disk that holds the index is full"] },
    ]);
  });

  test("that cannot be written keeps no run from giving the disk back", async () => {
    const logged: RunRecord[] = [];
    const world = new World();
    await garbage(world, 1);
    const index = { ...world.index, beginRun: () => Promise.reject(new Error("no space")) };
    const collector = new Collector({
      ...world.parts,
      index,
      logRun: (record) => logged.push(record),
    });
    const report = await collector.collect(wanted, () => undefined);
    expect(report).toMatchObject({ ok: true, blobs: 1 });
    expect(logged[0]?.errors.join()).toContain("could not be recorded: no space");
  });
});
