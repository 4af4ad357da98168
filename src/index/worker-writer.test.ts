// The index on disk as its callers see it: many at once, one fsync for many, and each reads what it wrote.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UnavailableError } from "../oci/index.ts";
import type { Index } from "../registry/ports/index.ts";
import { blobNo, repo, tag, World } from "../../test/contract/index/world.ts";
import { openIndex } from "./sqlite-index.ts";

setDefaultTimeout(60_000);

/** Transactions in the log: frames that say how large the database is after a commit. */
function commitsIn(log: Uint8Array): number {
  if (log.byteLength === 0) return 0;
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength);
  const pageBytes = view.getUint32(8);
  let commits = 0;
  for (let at = 32; at + 24 + pageBytes <= log.byteLength; at += 24 + pageBytes) {
    if (view.getUint32(at + 4) !== 0) commits++;
  }
  return commits;
}

describe("the index on disk", () => {
  let root = "";
  let path = "";
  let index: Index;
  let world: World;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "plimsoll-index-"));
    path = join(root, "plimsoll", "index.db");
    index = await openIndex(path, root);
    const tree = { setLink: (): void => undefined, setBlob: (): void => undefined };
    world = new World({ index, tree, close: () => index.close() });
  });
  afterEach(async () => {
    await index.close();
    rmSync(root, { recursive: true });
  });

  test("many at once share commits", async () => {
    await index.checkpoint();
    const before = commitsIn(readFileSync(`${path}-wal`));
    const count = 200;
    await Promise.all(Array.from({ length: count }, (_, n) => world.upload("a", n)));
    const commits = commitsIn(readFileSync(`${path}-wal`)) - before;
    expect((await index.totals()).blobs).toBe(count);
    expect(commits).toBeGreaterThan(0);
    expect(commits).toBeLessThan(count / 4);
  });

  test("whoever was answered reads what was written, and no less ever after", async () => {
    const pushes = Array.from({ length: 16 }, async (_, n) => {
      for (let round = 0; round < 10; round++) {
        const blob = n * 100 + round + 1;
        await world.upload(`r${n}`, blob);
        expect(await index.findBlob(repo(`r${n}`), blobNo(blob))).not.toBeNull();
        const { digest } = await world.put(`r${n}`, { config: blobNo(blob), tags: ["x"] });
        expect(await index.findTag(repo(`r${n}`), tag("x"))).toMatchObject({ digest });
        expect(await index.listTags(repo(`r${n}`), { after: null, limit: 9 })).toEqual([tag("x")]);
        await index.deleteTag(repo(`r${n}`), tag("x"), world.nowMs);
        expect(await index.findTag(repo(`r${n}`), tag("x"))).toBeNull();
      }
    });
    await Promise.all(pushes);
    expect(await index.totals()).toMatchObject({ blobs: 320, manifests: 160, repositories: 16 });
  });

  test("those that fail take nothing of the others with them", async () => {
    const terms = world.terms();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 200 }, (_, n) => {
        // Every id is used twice; the second is refused.
        const upload = {
          id: `${n >> 1}`,
          repository: repo(`r${n}`),
          owner: null,
          startedAtMs: 1,
          terms,
        };
        return n % 3 === 0 ? world.upload("blobs", n) : index.beginUpload(upload);
      }),
    );
    let done = 0;
    for (const [n, { status }] of outcomes.entries()) {
      if (n % 3 === 0) {
        expect(status).toBe("fulfilled");
        done++;
      } else {
        const found = await index.findUpload(repo(`r${n}`), `${n >> 1}`);
        expect(found !== null).toBe(status === "fulfilled");
      }
    }
    expect(outcomes.some(({ status }) => status === "rejected")).toBe(true);
    expect((await index.totals()).blobs).toBe(done);
    // A refused upload leaves no repository behind.
    const known = await index.listKnownRepositories({ after: null, limit: 999 });
    expect(known).toHaveLength(
      1 + outcomes.filter(({ status }, n) => n % 3 !== 0 && status === "fulfilled").length,
    );
  });

  test("two that compete for the same thing: one after the other, never half of each", async () => {
    await world.upload("a", 1);
    const pushes = Array.from({ length: 40 }, (_, n) =>
      world.put("a", { config: blobNo(1), more: { n }, tags: ["x", "y"] }),
    );
    const deletions = Array.from({ length: 10 }, () =>
      index.deleteTag(repo("a"), tag("x"), world.nowMs),
    );
    await Promise.all([
      ...pushes,
      ...deletions,
      world.put("a", { config: blobNo(1), tags: ["x", "y"] }),
    ]);
    const [x, y] = await Promise.all(["x", "y"].map((name) => index.findTag(repo("a"), tag(name))));
    expect(x).not.toBeNull();
    expect(y).toEqual(x as never);
    expect((await index.totals()).manifests).toBe(41);
  });

  test("when another program holds the lock for too long, clients are told to come again", async () => {
    const other = new Database(path);
    other.run("BEGIN IMMEDIATE");
    const attempts = await Promise.allSettled([world.upload("a", 1), world.upload("a", 2)]);
    for (const attempt of attempts) {
      expect(attempt.status === "rejected" && (attempt.reason as unknown)).toBeInstanceOf(
        UnavailableError,
      );
    }
    other.run("ROLLBACK");
    other.close();
    await world.upload("a", 3);
    expect(await index.findBlob(repo("a"), blobNo(3))).not.toBeNull();
  });

  test("after a checkpoint the log has its kept size, and everything is in the file", async () => {
    await Promise.all(Array.from({ length: 500 }, (_, n) => world.upload(`r${n}`, n)));
    const grown = readFileSync(`${path}-wal`).byteLength;
    await index.checkpoint();
    expect(readFileSync(`${path}-wal`).byteLength).toBeLessThan(grown);
    expect(readFileSync(`${path}-wal`).byteLength).toBeGreaterThanOrEqual(100 * 1024);
    // The log beside the file is not asked.
    copyFileSync(path, `${path}.copy`);
    const copy = new Database(`${path}.copy`, { readonly: true });
    expect(copy.query("SELECT blobs FROM totals").get()).toEqual({ blobs: 500 });
    copy.close();
  });

  test("closed, the log keeps its blocks, and the file is complete without it", async () => {
    await world.upload("a", 1);
    await world.upload("a", 2);
    await index.close();
    const log = readFileSync(`${path}-wal`);
    expect(log.byteLength).toBeGreaterThanOrEqual(100 * 1024);
    expect(log.subarray(0, 32).every((byte) => byte === 0)).toBe(true);
    const file = new Database(path, { readonly: true });
    expect(file.query("SELECT blobs FROM totals").get()).toEqual({ blobs: 2 });
    file.close();
  });

  test("what was asked before it is closed is done; what is asked afterwards is refused at once", async () => {
    const asked = Promise.all(Array.from({ length: 50 }, (_, n) => world.upload("a", n)));
    const closed = index.close();
    await asked;
    await closed;
    expect(world.upload("a", 99)).rejects.toThrow("closed");
    expect(index.findBlob(repo("a"), blobNo(1))).rejects.toThrow();
    index = await openIndex(path, root);
    expect((await index.totals()).blobs).toBe(50);
  });
});
