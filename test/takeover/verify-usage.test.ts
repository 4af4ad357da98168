// verify counts again what is kept about space, finds what has drifted, and --repair sets it right.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Database } from "bun:sqlite";
import { keptUsage, recountUsage } from "../contract/index/usage-recount.ts";
import { Takeover } from "./takeover.ts";
import { Tree } from "./tree.ts";

setDefaultTimeout(60_000);

let tree: Tree;
let takeover: Takeover;

beforeEach(async () => {
  tree = new Tree();
  tree.image("team/app", "v1");
  tree.image("team/app", "v2");
  tree.image("other", "a");
  takeover = await Takeover.of(tree);
  await takeover.run("first-build");
});
afterEach(async () => {
  await takeover.close();
});

/** Straight into the tables, as a bug would; with `silently` no trigger sees it. */
function corrupt(sql: string, silently = true): void {
  const database = new Database(tree.indexPath);
  const triggers = database
    .query<{ name: string; sql: string }, []>(
      "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
    )
    .all();
  if (silently) for (const { name } of triggers) database.run(`DROP TRIGGER ${name}`);
  database.run(sql);
  if (silently) for (const trigger of triggers) database.run(trigger.sql);
  database.close();
}

const app = "(SELECT id FROM repositories WHERE name = 'team/app')";
const anyManifest = `(SELECT min(blob_id) FROM manifests WHERE repository_id = ${app})`;

describe("verify of usage", () => {
  test("is content with what was kept", async () => {
    const { isSound, findings } = await takeover.verify();
    expect({ isSound, findings }).toEqual({ isSound: true, findings: {} });
  });

  const bugs: readonly (readonly [string, RegExp])[] = [
    [`UPDATE repositories SET logical_bytes = logical_bytes + 5 WHERE id = ${app}`, /logical \d+/],
    [`UPDATE repositories SET exclusive_bytes = 0 WHERE id = ${app}`, /exclusive 0 instead of/],
    [`UPDATE repositories SET tags = 7 WHERE id = ${app}`, /tags 7 instead of 2/],
    [`DELETE FROM holdings WHERE repository_id = ${app} AND blob_id = ${anyManifest}`, /holdings/],
    [`UPDATE holdings SET manifests = 9 WHERE repository_id = ${app}`, /holdings are wrong/],
    [`INSERT INTO holdings VALUES (${app}, 99999, 1)`, /1 holdings are wrong/],
    [`UPDATE blobs SET content_bytes = 3 WHERE id = ${anyManifest}`, /contents of 1 manifests/],
    ["UPDATE usage_totals SET held_bytes = 1", /held 1 and logical/],
    ["UPDATE usage_totals SET logical_bytes = 1", /logical 1 bytes instead/],
  ];
  for (const [sql, told] of bugs) {
    test(`finds and mends: ${sql.replaceAll(/\s+/g, " ")}`, async () => {
      corrupt(sql);
      const found = await takeover.verify();
      expect(found.findings["usage-drift"]).toBeGreaterThan(0);
      expect(found.lines.join("\n")).toMatch(told);
      expect(found.todo).toEqual(["registry verify --repair, so that usage is counted again"]);
      const { code, report } = await takeover.verifyAsOwner({ repair: true });
      expect({ code, todo: report.todo }).toEqual({ code: 0, todo: [] });
      expect((await takeover.verify()).findings).toEqual({});
      expect(await keptUsage(takeover.index)).toEqual(await recountUsage(takeover.index));
    });
  }
});
