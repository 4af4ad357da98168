// The sums are right in the middle of a transaction, where a quota asks for them; they cost a few look-ups
// whatever they are about; and an index of an older program is counted when it is opened.
import { describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { blobNo, contentOf, repo, tag } from "../../test/contract/index/world.ts";
import { acceptManifest, finishUpload } from "./pushing.ts";
import { ensureRepository } from "./rows.ts";
import { migrations } from "./schema.ts";
import { migrate, Sql } from "./sql.ts";
import { usageOf } from "./usage.ts";
import { countAll, countPage, countStep, deferCount } from "./usage-count.ts";

const terms = { caller: "alice", nowMs: 1_000, graceMs: 1_000 };

function push(sql: Sql, name: string, sizes: readonly number[]): void {
  const repository = repo(name);
  const { digest, bytes, manifest } = contentOf({ layers: sizes.map(blobNo) });
  for (const sizeBytes of sizes) {
    finishUpload(sql, { id: null, repository, digest: blobNo(sizeBytes), sizeBytes, terms });
  }
  acceptManifest(sql, {
    repository,
    digest,
    sizeBytes: bytes.length,
    manifest,
    tags: [tag("x")],
    leaseManifest: false,
    required: [],
    terms,
  });
}

function emptyIndex(): Sql {
  return new Sql(new Database(":memory:", { strict: true }));
}

describe("usage", () => {
  test("inside a transaction, with what it has changed so far; undone with it", () => {
    const sql = emptyIndex();
    migrate(sql);
    const id = ensureRepository(sql, repo("a"));
    push(sql, "a", [100]);
    const before = usageOf(sql, id);
    sql.script("BEGIN; SAVEPOINT one");
    push(sql, "a", [100, 5_000]);
    push(sql, "b", [100]);
    const during = usageOf(sql, id);
    expect(during.manifests).toBe(2);
    expect(during.logicalBytes).toBeGreaterThan(before.logicalBytes + 5_000);
    expect(during.exclusiveBytes).toBe(during.logicalBytes - 100 - sizeOf([100]));
    sql.script("ROLLBACK TO one; RELEASE one; COMMIT");
    expect(usageOf(sql, id)).toEqual(before);
    sql.close();
  });

  test("an index of an older program is counted as one that was kept all along", () => {
    const kept = emptyIndex();
    migrate(kept);
    const old = emptyIndex();
    for (const step of migrations.slice(0, migrationOfUsage)) old.script(step);
    old.script(`PRAGMA user_version = ${migrationOfUsage}`);
    old.script("INSERT INTO meta VALUES ('complete', 'true')");
    for (const sql of [kept, old]) {
      // More than a page.
      for (let n = 1; n <= 1_200; n++) push(sql, `r${n % 7}`, [10_000 + n, 20_000 + (n % 5)]);
    }
    migrate(old);
    // A process that is killed while it counts leaves the rest to the next.
    countPage(old);
    countAll(old);
    expect(sumsOf(old)).toEqual(sumsOf(kept));
    for (const sql of [kept, old]) push(sql, "r1", [10_003, 77]);
    expect(sumsOf(old)).toEqual(sumsOf(kept));
  });

  test("what is written while it is being counted is counted once", () => {
    const kept = emptyIndex();
    migrate(kept);
    const late = emptyIndex();
    migrate(late);
    for (const sql of [kept, late]) {
      for (let n = 1; n <= 1_500; n++) push(sql, `r${n % 3}`, [10_000 + n, 20_000 + (n % 5)]);
    }
    deferCount(late);
    countPage(late);
    for (const sql of [kept, late]) {
      push(sql, "r1", [10_002, 77]);
      push(sql, "r0", [10_001, 78]);
      push(sql, "new", [10_002, 79]);
    }
    while (!countStep(late));
    expect(sumsOf(late)).toEqual(sumsOf(kept));
  });

  test("no trigger walks over a table that grows with the registry", () => {
    const sql = emptyIndex();
    migrate(sql);
    const triggers = sql.all<{ name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
    );
    const wide = triggers.flatMap(({ name, sql: text }) =>
      statementsOf(text)
        .flatMap((statement) => sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${statement}`))
        .filter(({ detail }) => /SCAN|TEMP/.test(detail) && !allowed.test(detail))
        .map(({ detail }) => `${name}: ${detail}`),
    );
    expect(wide).toEqual([]);
    expect(triggers.length).toBeGreaterThan(10);
  });
});

/** One row, no table, and what a subquery of at most two or a manifest's names has found. */
const allowed = /^SCAN (totals|usage_totals|CONSTANT ROW|o|x)$/;

/** Which step brought what is tested here. */
const migrationOfUsage = migrations.findIndex((step) => step.includes("CREATE TABLE holdings"));

function sizeOf(sizes: readonly number[]): number {
  return contentOf({ layers: sizes.map(blobNo) }).bytes.length;
}

function statementsOf(trigger: string): string[] {
  const condition = /WHEN([\s\S]*?)BEGIN/.exec(trigger)?.[1];
  const body = trigger.slice(trigger.indexOf("BEGIN") + 5, trigger.lastIndexOf("END"));
  const statements = body.split(";").filter((text) => text.trim() !== "");
  if (condition !== undefined) statements.push(`SELECT ${condition}`);
  return statements.map((text) => text.replaceAll(/\b(new|old)\.\w+/g, "NULL"));
}

function sumsOf(sql: Sql): unknown {
  return [
    "SELECT name, manifests, tags, logical_bytes, exclusive_bytes FROM repositories ORDER BY name",
    "SELECT repository_id, hex(digest), h.manifests FROM holdings h, blobs b WHERE b.id = h.blob_id ORDER BY 1, 2",
    "SELECT hex(digest), content_bytes, children FROM blobs WHERE content_bytes > 0 ORDER BY digest",
    "SELECT * FROM usage_totals",
  ].map((text) => sql.all(text));
}
