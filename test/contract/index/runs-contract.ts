// Records of runs, and whether a collection would find anything to do.
import { describe, expect, test } from "bun:test";
import type { CollectionDue, RunRecord } from "../../../src/registry/ports/index.ts";
import { collect } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, hourMs, repo, tag } from "./world.ts";

const record: RunRecord = {
  askedBy: "command",
  user: "root",
  trigger: "request",
  startedAtMs: 1_000,
  durationMs: null,
  untagged: false,
  full: false,
  candidates: 0,
  manifests: 0,
  blobs: 0,
  bytes: 0,
  links: 0,
  uploads: 0,
  repositories: 0,
  steppedOver: { count: 0, atLeast: false },
  errors: [],
  stopped: null,
};

export function runsContract(driver: IndexDriver): void {
  describe("the records of runs", () => {
    const world = worldOf(driver);

    test("the youngest first, page by page; what was told at the end counts", async () => {
      const { index } = world();
      const ids: number[] = [];
      for (const user of ["a", "b", "c"]) ids.push(await index.beginRun({ ...record, user }));
      const [first = 0, second = 0, third = 0] = ids;
      const over = { ...record, user: "b", blobs: 7, durationMs: 12, errors: ["one"] };
      await index.endRun(second, over);
      expect(await index.listRuns({ before: null, limit: 2 })).toEqual([
        { id: third, isOver: false, record: { ...record, user: "c" } },
        { id: second, isOver: true, record: over },
      ]);
      expect(await index.listRuns({ before: second, limit: 2 })).toEqual([
        { id: first, isOver: false, record: { ...record, user: "a" } },
      ]);
    });

    test("what has no end at a start was killed", async () => {
      const { index } = world();
      const done = await index.beginRun(record);
      await index.endRun(done, { ...record, durationMs: 1 });
      const killed = await index.beginRun(record);
      expect(await index.interruptRuns(world().nowMs)).toBe(1);
      expect(await index.interruptRuns(world().nowMs)).toBe(0);
      expect(await index.listRuns({ before: null, limit: 9 })).toMatchObject([
        { id: killed, isOver: true, record: { stopped: "interrupted" } },
        { id: done, isOver: true, record: { stopped: null } },
      ]);
    });

    test("are kept by a rebuild, and no more than 1,000 of them", async () => {
      const { index } = world();
      const first = await index.beginRun(record);
      await index.startRebuild();
      expect(await index.listRuns({ before: null, limit: 9 })).toHaveLength(1);
      await Promise.all(Array.from({ length: 1_000 }, () => index.beginRun(record)));
      const all = await index.listRuns({ before: null, limit: 2_000 });
      expect(all).toHaveLength(1_000);
      expect(all.map(({ id }) => id)).not.toContain(first);
    });
  });

  describe("whether there is anything to collect", () => {
    const world = worldOf(driver);
    const look = (more: { untaggedBeforeMs?: number; keepMs?: number } = {}) => {
      const { nowMs } = world();
      const { untaggedBeforeMs = nowMs, keepMs = 0 } = more;
      return world().index.collectionDue({
        nowMs,
        policy: { untagged: more.untaggedBeforeMs !== undefined, untaggedBeforeMs },
        deletedBeforeMs: nowMs - keepMs,
        uploadsIdleSinceMs: nowMs - hourMs,
      });
    };
    const nothing: CollectionDue = { due: false, nextMs: null };

    test("not in an empty index; a lease says when", async () => {
      expect(await look()).toEqual(nothing);
      await world().upload("a", 1);
      expect(await look()).toEqual({ due: false, nextMs: world().nowMs + hourMs });
      world().nowMs += hourMs;
      expect((await look()).due).toBe(true);
      await collect(world().index, { nowMs: world().nowMs, untagged: false });
      expect(await look()).toEqual(nothing);
    });

    test("a deletion, until it is released", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      world().nowMs += 2 * hourMs;
      await collect(world().index, { nowMs: world().nowMs, untagged: false });
      expect(await look()).toEqual(nothing);
      await world().deleteRestorably(repo("a"), digest);
      const keepMs = 24 * hourMs;
      expect((await look({ keepMs })).due).toBe(true);
      const keepDeletedMs = keepMs;
      await collect(world().index, { nowMs: world().nowMs, untagged: false, keepDeletedMs });
      expect(await look({ keepMs })).toEqual({ due: false, nextMs: world().nowMs + keepMs });
      world().nowMs += keepMs;
      expect((await look({ keepMs })).due).toBe(true);
    });

    test("an untagged manifest only when it is asked for, and old enough", async () => {
      await world().image("a", { blobs: [1], tags: ["x"] });
      await world().index.deleteTag(repo("a"), tag("x"), world().nowMs);
      const untaggedMs = world().nowMs;
      world().nowMs += 2 * hourMs;
      await collect(world().index, { nowMs: world().nowMs, untagged: false });
      expect(await look()).toEqual(nothing);
      expect((await look({ untaggedBeforeMs: untaggedMs - 1 })).due).toBe(false);
      expect((await look({ untaggedBeforeMs: untaggedMs })).due).toBe(true);
    });

    test("what was condemned, an abandoned upload, a repository that may be empty", async () => {
      const { index } = world();
      await world().upload("a", 1);
      world().nowMs += hourMs;
      const page = await index.blobCandidates({ after: null, limit: 9, nowMs: world().nowMs });
      await index.condemn(page, { nowMs: world().nowMs, foreignGraceMs: 0 });
      await index.expireLeases({ nowMs: world().nowMs, limit: 9 });
      await index.dropEmptyRepositories(9);
      expect(await look()).toEqual({ due: true, nextMs: null });
      await index.forget([blobNo(1)]);
      expect(await look()).toEqual(nothing);
      const terms = world().terms();
      await index.beginUpload({
        id: "u",
        repository: repo("b"),
        owner: null,
        startedAtMs: 1,
        terms,
      });
      expect((await look()).due).toBe(false);
      world().nowMs += hourMs + 1;
      expect((await look()).due).toBe(true);
      await index.endUpload("u");
      expect((await look()).due).toBe(true);
      await index.dropEmptyRepositories(9);
      expect(await look()).toEqual(nothing);
    });

    test("a condemnation ends with its time, and says how many it left", async () => {
      const { index } = world();
      for (let n = 1; n <= 5; n++) await world().upload("a", n);
      world().nowMs += hourMs;
      const page = await index.blobCandidates({ after: null, limit: 9, nowMs: world().nowMs });
      const outcome = await index.condemn(page, {
        nowMs: world().nowMs,
        foreignGraceMs: 0,
        lockMsMax: 0,
      });
      // At least one, so that there is always progress.
      expect(outcome.condemned.length).toBeGreaterThan(0);
      expect(outcome.condemned.length + (outcome.left ?? 0)).toBe(5);
      expect(outcome.left).toBeGreaterThan(0);
    });
  });
}
