// Shows the plan of every statement that the index runs: on a request's way none walks a table that
// grows with the registry. Statements are collected by running every method of the port, so that none
// can be forgotten. There is no ANALYZE in production, and none here: the plans are those that SQLite
// makes by the shape of the tables alone.
import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { Database } from "bun:sqlite";
import type { Index } from "../registry/ports/index.ts";
import { callEveryMethod } from "../../test/contract/index/every-method.ts";
import { memoryDriver } from "../../test/contract/index/fixture.ts";
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
  "listHolders",
  "findToken",
  "noteTokenUse",
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
  "findHeld",
  "deleteRestorably",
  "deleteTagRestorably",
  "deleteImage",
  "deleteRepository",
  "previewImageDeletion",
  "previewRepositoryDeletion",
  "listUploads",
  "listDeletions",
  "findDeletion",
  "heldManifests",
  "previewRestore",
  "restoreDeletion",
  "deleteTag",
  "unlinkBlob",
  // Metrics are read every few seconds, while requests wait.
  "gauges",
  "countPage",
  "nextEvents",
  "settleEvents",
  "forgetEvents",
  "describeRepositories",
  "describeRepository",
  "describeTags",
  "describeImage",
  "describeChildren",
  "blobUsers",
  "repositoryUsage",
]);

type Allowed = readonly (readonly [step: RegExp, because: string])[];

/** On a request's way, once for what each says. */
const allowedOnRequest: Allowed = [
  [/^SCAN totals$/, "one row"],
  [/^SCAN (CONSTANT ROW|\d+ CONSTANT ROWS?)$/, "no table"],
  [/^SCAN (leads|held|namer|n|image|\(subquery-\d+\))$/, "what the query has found so far"],
  [/^SEARCH leases .*\(repository_id=\? AND caller=\?\)$/, "one caller's leases in one repository"],
  [/ manifests_unreadable \(repository_id=\?\)$/, "manifests that cannot be read are few"],
  [/ repositories_listed \(name>\?\)$/, "a page"],
  [/^SCAN event_endpoints$/, "as many as the configuration names"],
  [/^SEARCH events .*\(rowid[<>]\?\)$/, "a page, or what everybody has had"],
  [/^SEARCH (blob_candidates|manifest_candidates|uploads) .*\((rowid|id)>\?\)$/, "a page"],
  [/^SEARCH t USING COVERING INDEX tags_by_time \(repository_id=\?\)$/, "the newest tag alone"],
  [/ deletions_by_time \(deleted_at<\?\)$/, "a page"],
  [/^USE TEMP B-TREE FOR ORDER BY$/, "sorts one subject's referrers"],
  [/^USE TEMP B-TREE FOR (UNION|DISTINCT)$/, "at most the manifests that need one blob"],
];

/** Only when a manifest that could not be read is deleted or healed (INV-7). */
const wholeRepository: Allowed = [
  [/^SEARCH (layers|manifests) USING PRIMARY KEY \(repository_id=\?\)$/, "let go of by it"],
];
const isLettingGo = (text: string): boolean =>
  /^INSERT OR IGNORE INTO (blob|manifest)_candidates .* FROM (layers|manifests)/s.test(text);

/** The first rows of a repository, as many as asked, whichever they are: to delete or end them. */
const firstOfRepository: Allowed = [
  [/^SEARCH \w+ USING (PRIMARY KEY|COVERING INDEX \w+) \(repository_id=\?\)$/, "as many as asked"],
];
const isFirstOfRepository = (text: string): boolean =>
  / WHERE repository_id = (\?|r\.id) (AND id > \? ORDER BY id )?LIMIT (\?|\d+)(?!\w)/.test(text);

/** Elsewhere: steps whose cost follows the whole of a table, each with the reason why it may. */
const allowedElsewhere: Allowed = [
  ...allowedOnRequest,
  [/^SCAN (json_each VIRTUAL TABLE INDEX 1:|sqlite_sequence)$/, "names of endpoints; of tables"],
  [/^SCAN (v|\d+-ROW VALUES CLAUSE)$/, "the values that were given"],
  [/^SCAN usage_totals$/, "one row"],
  [/^SCAN usage_history$/, "a row a day, bounded"],
  [/^SCAN manifests USING COVERING INDEX manifests_unreadable$/, "what cannot be read is rare"],
  [/^SCAN [bdm]$/, "a page of a walk, or the repair of totals"],
  [/^SCAN holdings USING INDEX holdings_by_blob$/, "emptied once, before a first build"],
  [/^USE TEMP B-TREE FOR GROUP BY$/, "a page of manifests that are counted"],
  [/^USE TEMP B-TREE FOR LAST TERM OF ORDER BY$/, "sorts the repositories of one manifest"],
  [/^SCAN redo$/, "the oldest records, in order, as many as asked"],
  [/^SCAN (c|repository_candidates)$/, "repositories that may be empty, as many as asked"],
  [/^SCAN blobs USING COVERING INDEX blobs_condemned$/, "whether there is one"],
  [/^SCAN runs USING INDEX runs_under_way$/, "at most the one that was killed"],
  [/^SCAN robot_tokens/, "bounded, and counted when one is made"],
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
    "deletions (what, repository, digest, tag, media_type, size, held_bytes, deleted_at, deleted_by, reason)",
    "'image', printf('r%d', i % 500 + 1), CAST(i AS BLOB), '', 'x', 1, 1, i, 'me', 'client'",
    1_000,
  );
  rows("deletion_tags (deletion_id, repository, tag)", "i % 1000 + 1, 'r1', i", 3_000);
  rows(
    "released_deletions (repository, name, deleted_at, released_at)",
    "printf('r%d', i % 500 + 1), i, i, i",
    1_000,
  );
  rows("pulls", "printf('r%d', i % 500 + 1), CAST(i AS BLOB), i", 3_000);
  rows("runs (record)", "'{}'", 1_000);
  rows(
    "robot_tokens (id, user, secret_hash, rights, created_at)",
    "printf('t%d', i), 'u', '00', '{}', 0",
    1_000,
  );
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
    await callEveryMethod(named);
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
        const here = [
          ...allowed,
          ...(isLettingGo(text) ? wholeRepository : []),
          ...(isFirstOfRepository(text) ? firstOfRepository : []),
        ];
        return stepsOf(sql, text)
          .filter((step) => isWide(step) && !here.some(([pattern]) => pattern.test(step)))
          .map((step) => `${step} — in ${[...methods].join(", ")}: ${text.replace(/\s+/g, " ")}`);
      });
  }
});
