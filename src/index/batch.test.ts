import { Database } from "bun:sqlite";
import { beforeEach, describe, expect, test } from "bun:test";
import { digestOf, parseRepositoryName, parseTag } from "../oci/index.ts";
import { StorageError } from "../registry/ports/storage.ts";
import { type Call, type Outcome, runBatch } from "./batch.ts";
import type { OperationArguments, OperationName, WriteContext } from "./operations.ts";
import { migrate, Sql } from "./sql.ts";

const probe = { link: () => null, blobSizeBytes: () => null };
const terms = { caller: "alice", nowMs: 1_000, graceMs: 1_000 };
const repository = parseRepositoryName("a");
const digestNo = (n: number): ReturnType<typeof digestOf> =>
  digestOf(new TextEncoder().encode(String(n)));

let nextId = 1;
function call<Name extends OperationName>(name: Name, ...args: OperationArguments<Name>): Call {
  return { id: nextId++, name, args, deadlineMs: Number.POSITIVE_INFINITY };
}
const upload = (n: number): Call =>
  call("finishUpload", { id: null, repository, digest: digestNo(n), sizeBytes: n, terms });
const session = (id: string): Call =>
  call("beginUpload", {
    id,
    repository: parseRepositoryName(id),
    owner: null,
    startedAtMs: 1,
    terms,
  });

/** Counts what goes to the disk as a whole. */
class CountingSql extends Sql {
  commits = 0;
  beforeCommit: () => void = () => undefined;
  override run(text: string, ...values: Parameters<Sql["run"]>[1][]): number {
    if (text === "COMMIT") {
      this.commits++;
      this.beforeCommit();
    }
    return super.run(text, ...values);
  }
}

describe("a batch of operations", () => {
  let sql: CountingSql;
  let context: WriteContext;
  const run = (calls: readonly Call[], stillOurs = (): boolean => true): Outcome[] =>
    runBatch(context, calls, stillOurs);
  const oks = (outcomes: readonly Outcome[]): (boolean | null)[] => outcomes.map(({ ok }) => ok);
  const blobs = (): number => sql.get<{ n: number }>("SELECT blobs AS n FROM totals")?.n ?? -1;
  /** Runs all of them, as the worker does. */
  const runAll = (calls: readonly Call[]): Outcome[] => {
    const outcomes: Outcome[] = [];
    while (outcomes.length < calls.length) outcomes.push(...run(calls.slice(outcomes.length)));
    return outcomes;
  };

  beforeEach(() => {
    sql = new CountingSql(new Database(":memory:", { strict: true }));
    migrate(sql);
    context = { sql, probe, room: null };
  });

  test("many share a commit, and each gets its answer", () => {
    const calls = Array.from({ length: 20 }, (_, n) => upload(n));
    const outcomes = runAll(calls);
    expect(outcomes.map(({ id }) => id)).toEqual(calls.map(({ id }) => id));
    expect(oks(outcomes)).toEqual(calls.map(() => true));
    expect(blobs()).toBe(20);
    expect(sql.commits).toBeLessThan(20);
  });

  test("INV-2: only what begins upload sessions is committed without waiting for the disk", () => {
    const level = (): number | undefined =>
      sql.get<{ synchronous: number }>("PRAGMA synchronous")?.synchronous;
    const [normal, full] = [1, 2];
    const touch = call("touchUpload", { id: "one", repository, terms });
    for (const [calls, expected] of [
      [[upload(1)], full],
      [[session("one"), touch], normal],
      [[session("two"), upload(2)], full],
      [[session("three")], normal],
      [[call("deleteTag", { repository, tag: parseTag("t") }, 1)], full],
    ] as const) {
      let committed: number | undefined;
      sql.beforeCommit = () => (committed = level());
      runAll(calls);
      expect(committed).toBe(expected);
    }
  });

  test("one that fails is undone as a whole, and takes nothing of the others with it", () => {
    const outcomes = runAll([
      upload(1),
      session("one"),
      { ...session("b"), args: session("one").args },
      upload(2),
    ]);
    expect(oks(outcomes)).toEqual([true, true, false, true]);
    expect(blobs()).toBe(2);
    expect(sql.all("SELECT name FROM repositories ORDER BY name")).toEqual([
      { name: "a" },
      { name: "one" },
    ]);
  });

  test("what it did before it failed is undone too", () => {
    run([session("one")]);
    const clash = call("beginUpload", {
      id: "one",
      repository: parseRepositoryName("new"),
      owner: null,
      startedAtMs: 1,
      terms,
    });
    expect(oks(run([clash]))).toEqual([false]);
    expect(sql.has("SELECT 1 FROM repositories WHERE name = 'new'")).toBe(false);
  });

  test("one that has waited too long is not begun", () => {
    expect(oks(runAll([{ ...upload(1), deadlineMs: 0 }, upload(2)]))).toEqual([null, true]);
    expect(blobs()).toBe(1);
  });

  test("a batch ends when its time is up; at least one is run", () => {
    const slow = { ...probe, blobSizeBytes: (): null => (Bun.sleepSync(10), null) };
    context = { sql, probe: slow, room: null };
    const looking = call("absorb", {
      differences: [{ kind: "blob", digest: digestNo(1), sizeBytes: 1, modifiedMs: 0 }],
      options: { nowMs: 1, recheck: true },
    });
    expect(run([looking, upload(1), upload(2)])).toHaveLength(1);
  });

  test("INV-8: nothing is acknowledged once the files are no longer ours, before or after", () => {
    const before = run([upload(1), upload(2)], () => false);
    expect(oks(before)).toEqual([false]);
    expect(blobs()).toBe(0);
    let asked = 0;
    const after = run([upload(1), upload(2)], () => asked++ === 0);
    // How many fit into a batch is a matter of time.
    expect(oks(after)).not.toContain(true);
    for (const outcome of [...before, ...after]) {
      expect(outcome.ok === false && outcome.error).toBeInstanceOf(StorageError);
    }
  });

  test("on a full disk what needs room fails with `full`, the rest goes on", () => {
    runAll(Array.from({ length: 300 }, (_, n) => upload(n)));
    const pages = sql.get<{ n: number }>("SELECT page_count AS n FROM pragma_page_count")?.n ?? 0;
    sql.script(`PRAGMA max_page_count = ${pages}`);
    const before = blobs();
    const calls = [
      session("one"),
      ...Array.from({ length: 400 }, (_, n) => upload(1_000 + n)),
      upload(1),
    ];
    const outcomes = runAll(calls);
    const failed = outcomes.filter(({ ok }) => ok === false);
    expect(failed.length).toBeGreaterThan(0);
    for (const outcome of failed) {
      expect(outcome.ok === false && outcome.error).toMatchObject({
        name: "StorageError",
        code: "full",
      });
    }
    // Those that were acknowledged, and only those, are there; what was there before can still be changed.
    const done = outcomes.slice(1, -1).filter(({ ok }) => ok === true);
    expect(blobs()).toBe(before + done.length);
    for (const [n, outcome] of outcomes.slice(1, -1).entries()) {
      const row = sql.has("SELECT 1 FROM blobs WHERE size = ? AND state = 1", 1_000 + n);
      expect(row).toBe(outcome.ok === true);
    }
    sql.script("PRAGMA max_page_count = 1000000");
    expect(oks(runAll([upload(5_000), session("two")]))).toEqual([true, true]);
    expect(sql.get("PRAGMA integrity_check")).toEqual({ integrity_check: "ok" });
  });
});
