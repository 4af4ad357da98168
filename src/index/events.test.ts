// The queue's bound, and that an event goes with its operation when that fails.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { blobNo, repo } from "../../test/contract/index/world.ts";
import { type Call, runBatch } from "./batch.ts";
import {
  addEvents,
  eventsMax,
  forgetEvents,
  nextEvents,
  queueEvents,
  setEventEndpoints,
  settleEvents,
  unaskedWaitingMax,
} from "./events.ts";
import type { RegistryEvent } from "../registry/ports/index.ts";
import { migrate, Sql } from "./sql.ts";

function open(): Sql {
  const sql = new Sql(new Database(":memory:", { strict: true }));
  migrate(sql);
  setEventEndpoints(sql, ["away"]);
  return sql;
}

const event: RegistryEvent = {
  id: "",
  atMs: 0,
  action: "pull",
  what: "blob",
  repository: repo("a"),
  digest: blobNo(1),
  tag: null,
  mediaType: null,
  sizeBytes: 0,
  fromRepository: null,
  origin: null,
};

test("of more than can be kept, the newest are", () => {
  const sql = open();
  const more = 500;
  sql.run("BEGIN");
  for (let n = 0; n < eventsMax + more; n += 500) {
    addEvents(
      sql,
      Array.from({ length: 500 }, (_, at) => ({ ...event, id: `${n + at}` })),
    );
  }
  sql.run("COMMIT");
  expect(sql.get<{ n: number }>("SELECT count(*) AS n FROM events")?.n).toBe(eventsMax);
  expect(nextEvents(sql, "away", 1)?.[0]?.event.id).toBe(`${more}`);
});

test("pulls never take the place of changes: from some length on they are not queued", () => {
  const sql = open();
  const many = Array.from({ length: 1_000 }, () => event);
  let queued = 0;
  for (let n = 0; n < 30; n++) if (queueEvents(sql, many)) queued += many.length;
  expect(queued).toBe(unaskedWaitingMax);
  addEvents(sql, [{ ...event, action: "push", id: "a change" }]);
  const position = sql.get<{ id: number }>("SELECT max(id) AS id FROM events")?.id ?? 0;
  settleEvents(sql, "away", { position: position - 1, id: "" });
  expect(nextEvents(sql, "away", 9)?.map((one) => one.event.id)).toEqual(["a change"]);
  while (forgetEvents(sql));
  expect(queueEvents(sql, many)).toBe(true);
});

test("removals that nobody asked for do not either: told of while there is room, and done all the same", () => {
  const sql = open();
  const context = { sql, probe: { link: () => null, blobSizeBytes: () => null }, room: null };
  const terms = { caller: "me", nowMs: 1, graceMs: 1 };
  const repository = repo("a");
  const run = (call: Pick<Call, "name" | "args" | "usesReserve">) =>
    runBatch(context, [{ id: 1, deadlineMs: Infinity, ...call }], () => true)[0];
  const manifest = {
    mediaType: "a/b",
    artifactType: null,
    annotations: null,
    subject: null,
    references: [],
  };
  for (const n of [1, 2, 3]) {
    const accept = {
      repository,
      digest: blobNo(n),
      sizeBytes: 1,
      manifest,
      tags: [],
      required: [],
    };
    const call = { name: "acceptManifest", args: [{ ...accept, terms }] } as const;
    expect(run(call)).toMatchObject({ ok: true });
  }
  const judging = { nowMs: 1_000, policy: { untagged: true, untaggedBeforeMs: 1_000 } };
  const remove = (n: number, more: Pick<Call, "usesReserve"> = {}) =>
    run({ name: "removeManifests", args: [[{ repository, digest: blobNo(n) }], judging], ...more });
  const actions = (): string[] =>
    sql
      .all<{ action: string }>("SELECT event ->> 'action' AS action FROM events")
      .map((one) => one.action);
  expect(remove(1)).toMatchObject({ ok: true, value: [{ digest: blobNo(1) }] });
  expect(actions()).toEqual(["push", "push", "push", "delete"]);
  // What is kept for a full disk is for removing.
  const last = remove(3, { usesReserve: true });
  expect(last).toMatchObject({ ok: true, value: [{ digest: blobNo(3) }] });
  expect(actions()).toHaveLength(4);
  addEvents(
    sql,
    Array.from({ length: unaskedWaitingMax }, () => ({ ...event, action: "push" as const })),
  );
  expect(remove(2)).toMatchObject({ ok: true, value: [{ digest: blobNo(2) }] });
  expect(actions().filter((action) => action === "delete")).toHaveLength(1);
});

test("no event without its change: neither when it fails, nor when its commit does", () => {
  const sql = open();
  const context = { sql, probe: { link: () => null, blobSizeBytes: () => null }, room: null };
  const terms = { caller: "me", nowMs: 1, graceMs: 1 };
  const finished = { id: null, repository: repo("a"), digest: blobNo(1), sizeBytes: 1, terms };
  const call = { id: 1, name: "finishUpload", args: [finished], deadlineMs: Infinity } as const;
  const failing = { ...call, args: [{ ...finished, sizeBytes: "not a number" }] };
  const [failed] = runBatch(context, [failing], () => true);
  const [done] = runBatch(context, [call], () => true);
  expect([failed?.ok, done?.ok]).toEqual([false, true]);
  expect(nextEvents(sql, "away", 9)).toHaveLength(1);
  let looks = 0;
  // The files are found to be others only when the transaction is over: nothing is acknowledged.
  const [lost] = runBatch(context, [call], () => ++looks < 2);
  expect(lost?.ok).toBe(false);
});
