import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRepositoryName } from "../oci/index.ts";
import { StorageError } from "../registry/ports/storage.ts";
import { findUpload } from "./lookups.ts";
import { migrations } from "./schema.ts";
import {
  IndexDamagedError,
  IndexTooNewError,
  isBusy,
  migrate,
  openReader,
  openWriter,
  Sql,
  translateError,
} from "./sql.ts";

describe("connections", () => {
  let directory = "";
  let path = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "plimsoll-sql-"));
    path = join(directory, "index.db");
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  test("what is committed is durable: a log that is synced at each commit", () => {
    const sql = openWriter(path);
    expect(sql.get("PRAGMA journal_mode")).toEqual({ journal_mode: "wal" });
    expect(sql.get("PRAGMA synchronous")).toEqual({ synchronous: 2 });
    sql.close();
  });

  test("a reader cannot write, and maps nothing", () => {
    openWriter(path).close();
    const reader = openReader(path);
    expect(() => reader.run("DELETE FROM meta")).toThrow("readonly");
    expect(reader.get("PRAGMA mmap_size")).toEqual({ mmap_size: 0 });
    reader.close();
  });

  test("look-ups in one state see nothing of what is committed meanwhile", () => {
    const writer = openWriter(path);
    const reader = openReader(path);
    const count = (): number =>
      reader.get<{ n: number }>("SELECT count(*) AS n FROM meta")?.n ?? -1;
    const seen = reader.inOneState(() => {
      const before = count();
      writer.run("INSERT INTO meta VALUES ('a', 'b')");
      return [before, count()];
    });
    expect(seen).toEqual([0, 0]);
    expect(count()).toBe(1);
    // An error ends that state too.
    expect(() =>
      reader.inOneState(() => {
        throw new Error("x");
      }),
    ).toThrow("x");
    writer.run("INSERT INTO meta VALUES ('c', 'd')");
    expect(count()).toBe(2);
    reader.close();
    writer.close();
  });

  test("a log that is cut under a reader is damage, not a failing disk", () => {
    const writer = openWriter(path);
    const reader = openReader(path);
    expect(reader.get("SELECT 1 FROM totals")).not.toBeNull();
    writer.run("INSERT INTO meta VALUES ('a', 'b')");
    truncateSync(`${path}-wal`, 0);
    let error: unknown = null;
    try {
      reader.all("SELECT * FROM meta");
    } catch (thrown) {
      error = thrown;
    }
    expect(translateError(error)).toBeInstanceOf(IndexDamagedError);
    reader.close();
  });

  test("no look-up keeps the log from being emptied", () => {
    const writer = openWriter(path);
    const reader = openReader(path);
    writer.run("INSERT INTO meta VALUES ('a', 'b'), ('c', 'd')");
    reader.get("SELECT * FROM meta");
    reader.has("SELECT 1 FROM meta");
    reader.all("SELECT * FROM meta");
    expect(writer.get("PRAGMA wal_checkpoint(TRUNCATE)")).toMatchObject({ busy: 0, log: 0 });
    reader.close();
    writer.close();
  });

  test("a statement is prepared once, however many there are", () => {
    const database = new Database(":memory:", { strict: true });
    const prepare = spyOn(database, "prepare");
    const sql = new Sql(database);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 100; n++) expect(sql.get(`SELECT ${n} AS n`)).toEqual({ n });
    }
    expect(prepare).toHaveBeenCalledTimes(100);
    sql.close();
  });

  test("the schema of a newer program is refused and left alone", () => {
    const sql = new Sql(new Database(":memory:", { strict: true }));
    sql.script("PRAGMA user_version = 9999");
    expect(() => {
      migrate(sql);
    }).toThrow(IndexTooNewError);
    expect(sql.all("SELECT name FROM sqlite_schema")).toEqual([]);
    sql.close();
  });

  test("a schema that is up to date is left alone", () => {
    const sql = openWriter(path);
    sql.run("INSERT INTO meta VALUES ('a', 'b')");
    migrate(sql);
    sql.close();
    const again = openWriter(path);
    expect(again.get("SELECT value FROM meta")).toEqual({ value: "b" });
    again.close();
  });

  test("upload sessions of a program that knew no owners go on, and are nobody's", () => {
    const sql = new Sql(new Database(":memory:", { strict: true }));
    const before = migrations.findIndex((step) => step.includes("ADD COLUMN owner"));
    for (const step of migrations.slice(0, before)) sql.script(step);
    sql.script(`PRAGMA user_version = ${before}`);
    sql.script(`INSERT INTO repositories (id, name) VALUES (1, 'a');
      INSERT INTO uploads (id, repository_id, started_at, touched_at) VALUES ('u', 1, 5, 6)`);
    migrate(sql);
    expect(findUpload(sql, parseRepositoryName("a"), "u")).toEqual({
      id: "u",
      repository: parseRepositoryName("a"),
      owner: null,
      startedAtMs: 5,
    });
    sql.close();
  });

  test("deletions of a program that knew only manifests can still be undone", () => {
    const sql = new Sql(new Database(":memory:", { strict: true }));
    for (const step of migrations.slice(0, 3)) sql.script(step);
    sql.script("PRAGMA user_version = 3");
    sql.script(`INSERT INTO blobs (digest, size, state) VALUES (x'01', 30, 1), (x'02', 4, 1), (x'03', 9, 0);
      INSERT INTO deletions (id, repository, digest, media_type, size, deleted_at, deleted_by, reason, tags)
        VALUES (7, 'a', x'01', 'm', 30, 5, 'ann', 'client', '["x","y"]'), (9, 'b', x'02', 'm', 4, 6, 'bob', 'client', '[]');
      INSERT INTO deletion_holds VALUES (7, x'01', 'm'), (7, x'02', NULL), (7, x'03', NULL)`);
    migrate(sql);
    expect(sql.all("SELECT * FROM deletions WHERE id = 7")).toEqual([
      {
        id: 7,
        what: "manifest",
        repository: "a",
        digest: new Uint8Array([1]),
        tag: "",
        media_type: "m",
        size: 30,
        held_bytes: 34,
        deleted_at: 5,
        deleted_by: "ann",
        reason: "client",
      },
    ]);
    expect(sql.all("SELECT tag, repository FROM deletion_tags WHERE deletion_id = 7")).toEqual([
      { tag: "x", repository: "a" },
      { tag: "y", repository: "a" },
    ]);
    const holds = "SELECT linked, deleted_at FROM deletion_holds WHERE deletion_id = 7";
    expect(sql.all(holds)).toEqual([
      { linked: 0, deleted_at: 5 },
      { linked: 1, deleted_at: 5 },
      { linked: 1, deleted_at: 5 },
    ]);
    const columns = "what, repository, digest, tag, media_type, size, held_bytes, deleted_at";
    const next = sql.insert(
      `INSERT INTO deletions (${columns}, deleted_by, reason)
       VALUES ('tag', 'a', x'02', 'x', 'm', 1, 1, 7, 'ann', 'client')`,
    );
    // A number is never given twice.
    expect(next).toBe(10);
    sql.close();
  });

  test("a lock that another program holds is called busy", () => {
    const writer = openWriter(path);
    writer.script("PRAGMA busy_timeout = 0");
    const other = new Database(path);
    other.run("BEGIN IMMEDIATE");
    let error: unknown = null;
    try {
      writer.run("BEGIN IMMEDIATE");
    } catch (thrown) {
      error = thrown;
    }
    expect(isBusy(error)).toBe(true);
    other.close();
    writer.close();
  });
});

describe("errors", () => {
  /** The runtime tells them by their name; they cannot be constructed. */
  const sqliteError = (code: string): Error =>
    Object.assign(new Error("why"), { name: "SQLiteError", code });

  test.each([
    ["SQLITE_FULL", "full"],
    ["SQLITE_IOERR_FSYNC", "io"],
    ["SQLITE_READONLY_DBMOVED", "io"],
    ["SQLITE_CANTOPEN", "io"],
  ])("%s is a storage error: %s", (code, storageCode) => {
    const translated = translateError(sqliteError(code));
    expect(translated).toBeInstanceOf(StorageError);
    expect(translated).toMatchObject({ code: storageCode });
  });

  test.each(["SQLITE_CORRUPT", "SQLITE_CORRUPT_INDEX", "SQLITE_NOTADB", "SQLITE_IOERR_SHORT_READ"])(
    "%s is damage",
    (code) => {
      expect(translateError(sqliteError(code))).toBeInstanceOf(IndexDamagedError);
    },
  );

  test("all others stay what they are", () => {
    const constraint = sqliteError("SQLITE_CONSTRAINT_UNIQUE");
    expect(translateError(constraint)).toBe(constraint);
    expect(translateError("a text")).toBe("a text");
    expect(isBusy(constraint)).toBe(false);
  });
});
