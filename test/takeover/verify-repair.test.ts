// verify --repair: what it mends, what it leaves to a person, and that it loses nothing.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Database } from "bun:sqlite";
import { existsSync, readFileSync } from "node:fs";

import { type Digest, parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import {
  blobDataPath,
  layerLinkPath,
  quarantinePath,
  tagCurrentLinkPath,
} from "../../src/storage/layout.ts";
import { Takeover } from "./takeover.ts";
import { type TestImage, Tree } from "./tree.ts";

setDefaultTimeout(60_000);

const name = parseRepositoryName("team/app");
let tree: Tree;
let image: TestImage;
let takeover: Takeover;

beforeEach(async () => {
  tree = new Tree();
  image = tree.image(name, "v1");
  tree.image("other", "a");
  takeover = await Takeover.of(tree);
  await takeover.run("first-build");
});
afterEach(async () => {
  await takeover.close();
});

/** Other bytes, as many of them. */
function alter(digest: Digest): string {
  const path = tree.root + blobDataPath(digest);
  const altered = readFileSync(path, "utf8").toUpperCase();
  tree.put(blobDataPath(digest), altered);
  return altered;
}

function kept(digest: Digest): string | null {
  const path = tree.root + quarantinePath(digest, 1);
  return existsSync(path) ? readFileSync(path, "utf8") : null;
}

/** Straight into the tables, as a bug would. */
function corrupt(sql: string): void {
  const database = new Database(tree.indexPath);
  database.run(sql);
  database.close();
}

describe("verify --repair", () => {
  test("has nothing to do in a registry that is in order", async () => {
    const { code, report, lines } = await takeover.verifyAsOwner({ hash: true, repair: true });
    expect({ code, lines, todo: report.todo }).toEqual({ code: 0, lines: [], todo: [] });
  });

  test("INV-9: altered bytes go to the quarantine, and it says which images to push, by tag", async () => {
    const inner = tree.manifest(name, {
      schemaVersion: 2,
      manifests: [{ digest: image.digest, size: 1 }],
    });
    const outer = tree.manifest(name, {
      schemaVersion: 2,
      manifests: [{ digest: inner, size: 1 }],
    });
    tree.tag(name, "nested", outer);
    await takeover.run("compare");
    const altered = alter(image.layer);
    expect((await takeover.verifyAsOwner({ repair: true })).code).toBe(0);

    const { code, report, lines } = await takeover.verifyAsOwner({ hash: true, repair: true });
    expect(code).toBe(1);
    expect(lines).toEqual([
      expect.stringMatching(
        /^wrong bytes sha256:.*needed by team\/app:nested, team\/app:v1; moved to \/plimsoll\/quarantine/,
      ),
    ]);
    expect(report.todo).toEqual(["push team/app:nested again", "push team/app:v1 again"]);
    expect(existsSync(tree.root + blobDataPath(image.layer))).toBe(false);
    expect(kept(image.layer)).toBe(altered);
    expect(await takeover.index.findBlob(name, image.layer)).toBeNull();

    // It stays so, and a comparison does not take the bytes in again.
    await takeover.run("compare");
    const again = await takeover.verifyAsOwner({ hash: true, repair: true });
    expect(again.report.findings).toEqual({ "missing-blob": 1 });
    expect(again.report.problems).toMatchObject({ "quarantined-file": 1 });
    expect(again.report.todo).toEqual(report.todo);
    expect(kept(image.layer)).toBe(altered);
  });

  test("a manifest whose bytes were altered: its image is named", async () => {
    alter(image.digest);
    const { code, report } = await takeover.verifyAsOwner({ hash: true, repair: true });
    expect({ code, todo: report.todo }).toEqual({ code: 1, todo: ["push team/app:v1 again"] });
    expect(await takeover.find("team/app", "v1")).toBeNull();
    // What the manifest names stays for the push that mends.
    expect([...(await takeover.collect())]).toEqual([]);
  });

  test("bytes that nothing needs are moved, and then everything is in order", async () => {
    const stray = tree.layer(name, "stray");
    await takeover.run("compare");
    alter(stray);
    const { code, report } = await takeover.verifyAsOwner({ hash: true, repair: true });
    expect({ code, mended: report.mended, todo: report.todo }).toEqual({
      code: 0,
      mended: 1,
      todo: [],
    });
    expect(kept(stray)).toBe("STRAY");
  });

  test("a blob that is cut short, needed or not, without --hash", async () => {
    const stray = tree.layer(name, "stray");
    await takeover.run("compare");
    tree.put(blobDataPath(image.layer), "la");
    tree.put(blobDataPath(stray), "");
    const { code, report } = await takeover.verifyAsOwner({ repair: true });
    expect({ code, findings: report.findings }).toEqual({ code: 1, findings: { "wrong-size": 2 } });
    expect(kept(image.layer)).toBe("la");
    expect(kept(stray)).toBe("");
    expect(report.todo).toEqual(["push team/app:v1 again"]);
  });

  test("of another size, but the right bytes: the index is what is wrong", async () => {
    corrupt(`UPDATE blobs SET size = 5 WHERE digest = x'01${image.layer.slice(7)}'`);
    const before = await takeover.verifyAsOwner({});
    expect({ code: before.code, findings: before.report.findings }).toEqual({
      code: 1,
      findings: { difference: 1 },
    });
    const { code, report } = await takeover.verifyAsOwner({ repair: true });
    expect({ code, mended: report.mended }).toEqual({ code: 0, mended: 1 });
    expect(kept(image.layer)).toBeNull();
    expect(await takeover.index.findBlob(name, image.layer)).not.toBeNull();
    expect((await takeover.verifyAsOwner({ hash: true })).code).toBe(0);
  });

  test("what index and tree do not agree on: the tree's side, but not where it is owed (INV-2, INV-8)", async () => {
    const newer = tree.image(name, "new", null);
    tree.tag(name, "v1", newer.digest);
    tree.delete(layerLinkPath(name, image.config));
    // Owed to the tree: the index is right.
    await takeover.index.deleteTag(parseRepositoryName("other"), parseTag("a"), Date.now());
    const { code, report, lines } = await takeover.verifyAsOwner({ repair: true });
    // The image without its config cannot be pulled any more.
    expect(report.findings).toMatchObject({ difference: 8, "missing-link": 1 });
    expect(report.mended).toBe(8);
    expect(code).toBe(1);
    expect(lines.filter((line) => line.includes("the index took the tree's side"))).toHaveLength(8);
    expect(await takeover.find("team/app", "v1")).toBe(newer.digest);
    expect(await takeover.find("other", "a")).toBeNull();
    expect(
      existsSync(tree.root + tagCurrentLinkPath(parseRepositoryName("other"), parseTag("a"))),
    ).toBe(true);
    const again = await takeover.verifyAsOwner({ hash: true });
    expect(again.report.findings).toEqual({ "missing-link": 1 });
    expect(again.report.todo).toEqual([`push team/app@${image.digest} again`]);
  });

  test("INV-8: a tag that is deleted between the look and the repair stays deleted", async () => {
    tree.tag(name, "v1", tree.image(name, "new", null).digest);
    const index = new Proxy(takeover.index, {
      get: (target: Index, key) => {
        if (key !== "absorb") return Reflect.get(target, key) as unknown;
        return async (...args: Parameters<Index["absorb"]>) => {
          if (args[0].some(({ kind }) => kind === "tag")) {
            await target.deleteTag(name, parseTag("v1"), Date.now());
          }
          return await target.absorb(...args);
        };
      },
    });
    const { lines } = await takeover.verifyAsOwner({ repair: true }, { index });
    expect(lines.find((line) => line.startsWith("tag differs"))).toEndWith(
      "in order when looked at again",
    );
    expect(await takeover.find("team/app", "v1")).toBeNull();
  });

  test("a missing blob: the index forgets it, and it says what to push", async () => {
    tree.delete(blobDataPath(image.layer));
    const { code, report } = await takeover.verifyAsOwner({ repair: true });
    expect({ code, todo: report.todo }).toEqual({ code: 1, todo: ["push team/app:v1 again"] });
  });

  test("orphans: what nothing refers to and no queue knows goes into the queue", async () => {
    const stray = tree.layer(name, "stray");
    await takeover.run("compare");
    expect((await takeover.verifyAsOwner({})).code).toBe(0);
    corrupt("DELETE FROM blob_candidates");
    const seen = await takeover.verifyAsOwner({});
    expect({ code: seen.code, findings: seen.report.findings }).toEqual({
      code: 1,
      findings: { orphan: 2 },
    });
    expect(seen.lines).toEqual([
      expect.stringContaining(`orphan ${stray}: ${blobDataPath(stray)}: 5 bytes`),
      expect.stringContaining(layerLinkPath(name, stray)),
    ]);
    expect([...(await takeover.collect())]).toEqual([]);
    const { code, report } = await takeover.verifyAsOwner({ repair: true });
    expect({ code, mended: report.mended }).toEqual({ code: 0, mended: 2 });
    expect([...(await takeover.collect())]).toEqual([stray]);
  });

  test("dangling tags are named and left", async () => {
    tree.tag(name, "gone", `sha256:${"0".repeat(64)}` as Digest);
    await takeover.run("compare");
    const { code, report } = await takeover.verifyAsOwner({ repair: true });
    expect({ code, todo: report.todo }).toEqual({
      code: 1,
      todo: ["push team/app:gone again, or delete the tag"],
    });
  });

  test("without --repair nothing is changed, and it says that --repair would", async () => {
    alter(image.layer);
    tree.delete(layerLinkPath(name, image.config));
    const { code, report } = await takeover.verifyAsOwner({ hash: true });
    expect(code).toBe(1);
    expect(report.todo).toEqual([
      "registry verify --repair, so that the index takes the tree's side",
      "registry verify --hash --repair, so that altered bytes are not served",
      "push team/app:v1 again",
    ]);
    expect(kept(image.layer)).toBeNull();
    expect((await takeover.index.repositoryFacts(name)).layers.has(image.config)).toBe(true);
  });

  test("what cannot be mended is told, and the rest is mended all the same", async () => {
    alter(image.layer);
    alter(image.config);
    tree.put("/plimsoll/quarantine", "a file where the directory should be");
    const { code, report, lines } = await takeover.verifyAsOwner({ hash: true, repair: true });
    expect({ code, mended: report.mended }).toEqual({ code: 1, mended: 0 });
    expect(lines.filter((line) => line.includes("could not be mended: cannot move"))).toHaveLength(
      2,
    );
    expect(await takeover.index.findBlob(name, image.layer)).not.toBeNull();
  });
});

describe("verify --hash --resume", () => {
  /** The digest of a layer that lies somewhere before, or behind, all of the other image's. */
  const position = (after: Digest, wrong: readonly Digest[] = []): string =>
    JSON.stringify({ after, counts: { blobs: 2, hashedBytes: 40 }, wrong });

  const sorted = (): Digest[] => [image.layer, image.config, image.digest].sort();

  test("reads only what the stopped run had not read, and forgets the position at its end", async () => {
    const [first, , last] = sorted();
    if (first === undefined || last === undefined) throw new Error("there are three");
    alter(first);
    alter(last);
    await takeover.index.setReadingPosition("verify", position(first));
    const { report, lines } = await takeover.verifyAsOwner({ hash: true, resume: true });
    expect(lines).toEqual([expect.stringContaining(last)]);
    expect(report.resumedAfter).toEqual({ blobs: 2, hashedBytes: 40 });
    expect(await takeover.index.readingPosition("verify")).toBeNull();
    // Without --resume, and without a position, everything.
    const whole = await takeover.verifyAsOwner({ hash: true, resume: true });
    expect(whole.report.findings).toEqual({ "wrong-bytes": 2 });
  });

  test("looks again at what the stopped run had found: it is not in order until that is", async () => {
    const [first, , last] = sorted();
    if (first === undefined || last === undefined) throw new Error("there are three");
    const path = tree.root + blobDataPath(first);
    const right = readFileSync(path);
    alter(first);
    await takeover.index.setReadingPosition("verify", position(last, [first]));
    expect((await takeover.verifyAsOwner({ hash: true, resume: true })).code).toBe(1);
    tree.put(blobDataPath(first), right);
    await takeover.index.setReadingPosition("verify", position(last, [first]));
    expect((await takeover.verifyAsOwner({ hash: true, resume: true })).code).toBe(0);
  });

  test("stopped, it has kept how far it came, and everything up to there is told", async () => {
    // More than the index tells at once.
    for (let n = 0; n < 520; n++) tree.layer(name, `filler ${n}`);
    await takeover.run("first-build");
    alter(image.layer);
    alter(image.config);
    const stop = new AbortController();
    const positions: string[] = [];
    const index = new Proxy(takeover.index, {
      get: (target: Index, key) => {
        if (key !== "setReadingPosition") return Reflect.get(target, key) as unknown;
        return async (reader: "verify", text: string | null) => {
          await target.setReadingPosition(reader, text);
          if (text !== null) positions.push(text);
          stop.abort(new Error("stopped by the test"));
        };
      },
    });
    const failure = await takeover
      .verifyAsOwner({ hash: true }, { signal: stop.signal, index })
      .then(() => null, String);
    expect(failure).toContain("stopped by the test");
    expect(positions.length).toBeGreaterThan(0);
    expect(await takeover.index.readingPosition("verify")).toBe(positions.at(-1) ?? null);
    const { report } = await takeover.verifyAsOwner({ hash: true, resume: true });
    expect(report.findings).toEqual({ "wrong-bytes": 2 });
    expect(report.checked.blobs).toBe(526);
    const whole = await takeover.verifyAsOwner({ hash: true });
    expect(report.checked.blobs).toBe(whole.report.checked.blobs);
  });
});
