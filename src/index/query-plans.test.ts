// Shows the plan of every statement that the index runs: on a request's way none walks a table that
// grows with the registry. Statements are collected by running every method of the port, so that none
// can be forgotten. There is no ANALYZE in production, and none here: the plans are those that SQLite
// makes by the shape of the tables alone.
import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { Database } from "bun:sqlite";
import type { Index, RunRecord } from "../registry/ports/index.ts";
import { collect, missedByQueue } from "../../test/contract/index/collect.ts";
import { memoryDriver } from "../../test/contract/index/fixture.ts";
import { blobNo, contentOf, repo, tag, World } from "../../test/contract/index/world.ts";
import { migrate, Sql } from "./sql.ts";

/** Methods that a request waits for. The rest belong to collection, comparison, start and stop. */
const onRequest: ReadonlySet<string> = new Set<keyof Index>([
  "findBlob",
  "findBlobAnywhere",
  "findManifest",
  "findTag",
  "findSizes",
  "listTags",
  "listRepositories",
  "listReferrers",
  "findUpload",
  "beginUpload",
  "touchUpload",
  "endUpload",
  "finishUpload",
  "mountBlob",
  "findAndLeaseBlob",
  "findAndLeaseManifest",
  "acceptManifest",
  "deleteManifest",
  "deleteRestorably",
  "deleteTag",
  "unlinkBlob",
  // Metrics are read every few seconds, while requests wait.
  "gauges",
  "countPage",
  "nextEvents",
  "settleEvents",
]);

type Allowed = readonly (readonly [step: RegExp, because: string])[];

/** On a request's way, once for what each says. */
const allowedOnRequest: Allowed = [
  [/^SCAN totals$/, "one row"],
  [/^SCAN (CONSTANT ROW|\d+ CONSTANT ROWS?)$/, "no table"],
  [/^SCAN (leads|held|namer|n|\(subquery-\d+\))$/, "what the query has found so far"],
  [/^SEARCH leases .*\(repository_id=\? AND caller=\?\)$/, "one caller's leases in one repository"],
  [/ manifests_unreadable \(repository_id=\?\)$/, "manifests that cannot be read are few"],
  [/ repositories_listed \(name>\?\)$/, "a page"],
  [/^SCAN event_endpoints$/, "as many as the configuration names"],
  [/^SEARCH events .*\(rowid[<>]\?\)$/, "a page, or what everybody has had"],
  [/^SEARCH (blob_candidates|manifest_candidates|uploads) .*\((rowid|id)>\?\)$/, "a page"],
  [/^USE TEMP B-TREE FOR ORDER BY$/, "sorts one subject's referrers"],
  [/^USE TEMP B-TREE FOR (UNION|DISTINCT)$/, "at most the manifests that need one blob"],
];

/** Only when a manifest that could not be read is deleted or healed (INV-7). */
const wholeRepository: Allowed = [
  [/^SEARCH (layers|manifests) USING PRIMARY KEY \(repository_id=\?\)$/, "let go of by it"],
];
const isLettingGo = (text: string): boolean =>
  /^INSERT OR IGNORE INTO (blob|manifest)_candidates .* FROM (layers|manifests)/s.test(text);

/** Elsewhere: steps whose cost follows the whole of a table, each with the reason why it may. */
const allowedElsewhere: Allowed = [
  ...allowedOnRequest,
  [/^SCAN (json_each VIRTUAL TABLE INDEX 1:|sqlite_sequence)$/, "names of endpoints; of tables"],
  [/^SCAN (v|\d+-ROW VALUES CLAUSE)$/, "the values that were given"],
  [/^SCAN redo$/, "the oldest records, in order, as many as asked"],
  [/^SCAN (c|repository_candidates)$/, "repositories that may be empty, as many as asked"],
  [/^SCAN blobs USING COVERING INDEX blobs_condemned$/, "whether there is one"],
  [/^SCAN runs USING INDEX runs_under_way$/, "at most the one that was killed"],
  [/^SCAN problems$/, "replaced as a whole by the next comparison"],
  [/^SCAN repositories USING (COVERING )?INDEX repositories_listed$/, "counted for a report"],
  [/^SCAN (blobs|layers|manifests|repositories|x)$/, "a page of a walk over everything"],
  [/\(repository_id=\?\)$/, "one repository as a whole, for the comparison"],
  [/\(\w+[<>]\?( AND \w+[<>]\?)?\)$/, "a page, or a range of a walk over everything"],
];

interface Statement {
  readonly text: string;
  readonly methods: Set<string>;
}

const statements = new Map<string, Statement>();
const called = new Set<string>();
let current = "opening";

/** Notes which method of the port is running: one after the other, here. */
function named(index: Index): Index {
  return new Proxy(index, {
    get: (target, name: keyof Index) => {
      const method = target[name] as (...args: readonly unknown[]) => unknown;
      return (...args: readonly unknown[]): unknown => {
        called.add(name);
        current = name;
        return method(...args);
      };
    },
  });
}

function note(text: string): void {
  const statement = statements.get(text) ?? { text, methods: new Set<string>() };
  statement.methods.add(current);
  statements.set(text, statement);
}

async function runEverything(): Promise<void> {
  const fixture = await memoryDriver.open();
  const index = named(fixture.index);
  const world = new World({ ...fixture, index });
  const terms = (): ReturnType<World["terms"]> => world.terms();
  await index.setEventEndpoints(["one", "two"]);
  for (const round of [1, 2]) {
    const upload = { id: `one ${round}`, repository: repo("a"), startedAtMs: 1, terms: terms() };
    await index.beginUpload(upload);
    await index.touchUpload(upload);
    await index.findUpload(repo("a"), upload.id);
    await index.listIdleUploads(world.nowMs + 1, 9);
    await index.expireUpload(upload.id, round === 1 ? 0 : world.nowMs + 1);
    await index.endUpload(upload.id);
    const child = await world.image("a", { blobs: [1, 2, 3], tags: ["x", "y"] });
    await world.image("a", { blobs: [2, 4], tags: ["x"] });
    const parent = await world.put("a", { children: [child], subject: child });
    await world.put("a", { config: blobNo(1), layers: [blobNo(77)] });
    await index.mountBlob({ digest: blobNo(2), from: repo("a"), to: repo("b"), terms: terms() });
    await index.mountBlob({ digest: blobNo(2), from: null, to: repo("c"), terms: terms() });
    await lookAtAll(world, child);
    world.nowMs += 2 * 3_600_000;
    await lookAtAll(world, child);
    await compareAll(world, round);
    await index.unlinkBlob(repo("a"), blobNo(2), world.nowMs);
    await index.unlinkBlob(repo("b"), blobNo(2), world.nowMs);
    await index.namersOf(blobNo(2), {
      offset: 0,
      limit: 9,
      repository: round === 1 ? null : repo("a"),
    });
    await index.namedByManifest(child);
    await world.manifest("a", parent.digest);
    await world.blob("a", blobNo(2));
    await index.deleteTag(repo("a"), tag("x"), world.nowMs);
    await index.deleteManifest(repo("a"), parent.digest, world.nowMs);
    await lookAtDeletions(world, child);
    await world.owed();
    await missedByQueue(index, world.nowMs);
    await index.emptyRepositories(9);
    await collect(index, { nowMs: world.nowMs, untagged: round === 2, foreignGraceMs: 99 });
    await index.isCondemned(blobNo(2));
    await index.totals();
    await index.gauges();
    const page = await index.nextEvents("one", 9);
    await index.settleEvents("one", page?.at(-1)?.position ?? 0);
    await index.queueEvents([]);
    await index.setEventEndpoints(round === 1 ? ["one"] : []);
    for (const what of [
      "repositories",
      "blob-candidates",
      "manifest-candidates",
      "uploads",
      "events",
    ] as const) {
      await index.countPage({ what, after: null, limit: 9 });
    }
    await index.newestRedo();
    if (round === 1) await index.startRebuild();
  }
  await index.checkpoint();
  await index.close();
}

async function lookAtAll(world: World, child: ReturnType<typeof blobNo>): Promise<void> {
  const { index } = world;
  await index.findBlob(repo("a"), blobNo(1));
  await index.findBlobAnywhere(blobNo(1));
  await index.findManifest(repo("a"), child);
  await index.findTag(repo("a"), tag("x"));
  await index.findSizes([blobNo(1), blobNo(2)]);
  await index.listTags(repo("a"), { after: null, limit: 9 });
  await index.listRepositories({ after: null, limit: 9 });
  await index.listReferrers(repo("a"), child, { after: null, limit: 9, artifactType: null });
  await index.findAndLeaseBlob(repo("a"), blobNo(1), world.terms());
  await index.findAndLeaseManifest(repo("a"), child, world.terms());
}

async function lookAtDeletions(world: World, child: ReturnType<typeof blobNo>): Promise<void> {
  const { index, nowMs } = world;
  await world.deleteRestorably(repo("a"), child);
  await world.image("a", { blobs: [1, 2, 3], tags: ["x", "y"] });
  await world.deleteRestorably(repo("a"), child);
  await index.heldDigests({ after: null, deletedAfterMs: 0, deletedBeforeMs: nowMs, limit: 9 });
  await index.keptDeletions(0);
  await index.collectionDue({
    nowMs,
    policy: { untagged: true, untaggedBeforeMs: nowMs },
    deletedBeforeMs: 0,
    uploadsIdleSinceMs: 0,
  });
  const record = { startedAtMs: 0, durationMs: 0 } as RunRecord;
  await index.endRun(await index.beginRun(record), record);
  await index.beginRun(record);
  await index.interruptRuns(nowMs);
  await index.listRuns({ before: null, limit: 9 });
  await index.releaseDeletions({ deletedBeforeMs: 0, nowMs, limit: 9 });
}

async function compareAll(world: World, round: number): Promise<void> {
  const { index, nowMs } = world;
  const bent = contentOf({ config: blobNo(50 + round) }).digest;
  const there = round === 1;
  const where = { repository: repo("d") };
  await index.absorb(
    [
      { kind: "blob", digest: blobNo(60), sizeBytes: there ? 1 : null, modifiedMs: 0 },
      { kind: "blob", digest: bent, sizeBytes: 1, modifiedMs: 0 },
      { kind: "layer", ...where, digest: blobNo(60), there },
      { kind: "revision", ...where, digest: bent, there: true, manifest: null, sizeBytes: 1 },
      { kind: "tag", ...where, tag: tag("x"), digest: there ? bent : null, modifiedMs: 0 },
      { kind: "tag-history", ...where, tag: tag("x"), digest: bent, there },
      { kind: "upload", ...where, id: "foreign", startedAtMs: there ? 1 : null },
    ],
    { nowMs, recheck: false },
  );
  await index.absorb([{ kind: "layer", ...where, digest: blobNo(60), there: true }], {
    nowMs,
    recheck: true,
  });
  await index.deleteManifest(where.repository, bent, nowMs);
  await index.recordProblems([], { first: true });
  await index.recordProblems([{ kind: "bad-link", ...where, name: null, path: "/x", detail: "" }], {
    first: false,
  });
  await index.listProblems(0, 9);
  await index.hasUnlistable();
  await index.listKnownRepositories({ after: null, limit: 9 });
  await index.repositoryFacts(repo("a"));
  await index.blobsWithPrefix("sha256", "ab");
  await index.loseBytes(blobNo(60));
  await index.setReadingPosition("verify", "here");
  await index.readingPosition("verify");
  await index.setReadingPosition("verify", null);
  await index.markComplete();
  await index.isComplete();
  await index.setRootId("root");
  await index.rootId();
}

/** As many rows as make a difference, spread as a registry spreads them. */
function filled(): Sql {
  const sql = new Sql(new Database(":memory:", { strict: true }));
  migrate(sql);
  const rows = (into: string, values: string, count: number): void => {
    sql.script(`INSERT OR IGNORE INTO ${into}
      WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      SELECT ${values} FROM n`);
  };
  rows(
    "blobs (digest, size, state)",
    "CAST(printf('%033d', i * 7919 % 1000003) AS BLOB), i, 1",
    20_000,
  );
  rows("repositories (name)", "printf('r%d', i)", 500);
  rows("layers (repository_id, blob_id)", "i % 500 + 1, i", 20_000);
  rows(
    "manifests (repository_id, blob_id, media_type, pushed_at)",
    "i % 500 + 1, i, 'x', 0",
    3_000,
  );
  rows("named (manifest_id, blob_id, kind)", "i % 3000 + 1, i * 31 % 20000 + 1, 1", 30_000);
  rows(
    "tags (repository_id, name, blob_id, moved_at)",
    "i % 500 + 1, printf('t%d', i), i, 0",
    3_000,
  );
  rows("tag_history (repository_id, name, blob_id)", "i % 500 + 1, printf('t%d', i), i", 6_000);
  rows("leases (repository_id, caller, blob_id, expires_at)", "i % 500 + 1, 'me', i, i", 5_000);
  rows(
    "deletions (repository, digest, media_type, size, deleted_at, deleted_by, reason, tags)",
    "printf('r%d', i % 500 + 1), CAST(i AS BLOB), 'x', 1, i, 'me', 'client', '[]'",
    1_000,
  );
  rows("runs (record)", "'{}'", 1_000);
  rows("deletion_holds (deletion_id, digest)", "i % 1000 + 1, CAST(i AS BLOB)", 10_000);
  rows("blob_candidates (repository_id, blob_id, due_at)", "i % 500 + 1, i, i", 5_000);
  return sql;
}

const isPlanned = (text: string): boolean => /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)/i.test(text);

function stepsOf(sql: Sql, text: string): string[] {
  return sql.database
    .query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${text}`)
    .all()
    .map(({ detail }) => detail);
}

/** A step over more than the rows it is about: a walk, a sort, a range, or a key known by halves. */
function isWide(step: string): boolean {
  return (
    /^(SCAN|USE TEMP)/.test(step) ||
    /\(repository_id=\?( AND caller=\?)?\)$/.test(step) ||
    /\(\w+[<>]\?( AND \w+[<>]\?)?\)$/.test(step)
  );
}

describe("query plans", () => {
  let sql: Sql;

  beforeAll(async () => {
    for (const name of ["get", "all", "run", "insert"] as const) {
      const original = Sql.prototype[name] as (...args: unknown[]) => unknown;
      spyOn(Sql.prototype, name).mockImplementation(function (this: Sql, ...args: unknown[]) {
        note(args[0] as string);
        return original.apply(this, args);
      } as never);
    }
    await runEverything();
    sql = filled();
  });
  afterAll(() => {
    for (const name of ["get", "all", "run", "insert"] as const) {
      spyOn(Sql.prototype, name).mockRestore();
    }
    sql.close();
  });

  test("every method of the port has been run", async () => {
    const { index } = await memoryDriver.open();
    expect([...called].toSorted()).toEqual(Object.keys(index).toSorted());
    expect([...onRequest].filter((name) => !called.has(name))).toEqual([]);
    await index.close();
  });

  test("no request walks over a table that grows with the registry", () => {
    expect(wideSteps(true, allowedOnRequest)).toEqual([]);
  });

  test("elsewhere only what has a reason does", () => {
    expect(wideSteps(false, allowedElsewhere)).toEqual([]);
  });

  function wideSteps(ofRequests: boolean, allowed: Allowed): string[] {
    return [...statements.values()]
      .filter(({ text }) => isPlanned(text))
      .filter(({ methods }) => ofRequests === [...methods].some((name) => onRequest.has(name)))
      .flatMap(({ text, methods }) => {
        const here = isLettingGo(text) ? [...allowed, ...wholeRepository] : allowed;
        return stepsOf(sql, text)
          .filter((step) => isWide(step) && !here.some(([pattern]) => pattern.test(step)))
          .map((step) => `${step} — in ${[...methods].join(", ")}: ${text.replace(/\s+/g, " ")}`);
      });
  }
});
