// The disk of the index is full: changes fail with `full`, nothing is half done, look-ups go on, and so
// does everything once there is space again. Needs the right to mount; the same on one connection, without
// it, is in src/index/batch.test.ts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openIndex } from "../../src/index/sqlite-index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { allFacts, recount } from "../contract/index/collect.ts";
import { blobNo, repo, World } from "../contract/index/world.ts";

setDefaultTimeout(60_000);

let opened: Index | null = null;
const root = mkdtempSync(join(tmpdir(), "plimsoll-full-"));
const mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "plimsoll-test", root];
const isMounted =
  Bun.which("mount") !== null &&
  Bun.spawnSync(mount, { stdout: "ignore", stderr: "ignore" }).exitCode === 0;

describe.skipIf(!isMounted)("an index on a full disk", () => {
  beforeAll(() => {
    expect(statfsSync(root).blocks * statfsSync(root).bsize).toBe(6 * 1024 * 1024);
  });

  test("fails with `full`, loses nothing, and goes on when there is space", async () => {
    opened = await openIndex(join(root, "plimsoll", "index.db"), root);
    const index = opened;
    const tree = { setLink: (): void => undefined, setBlob: (): void => undefined };
    const world = new World({ index, tree, close: () => index.close() });
    const filler = join(root, "filler");
    await world.upload("a", 1);
    const { bavail, bsize } = statfsSync(root);
    writeFileSync(filler, new Uint8Array(bavail * bsize - 512 * 1024));

    const done: number[] = [];
    const failed: number[] = [];
    for (let n = 2; failed.length < 50; n += 10) {
      await Promise.all(
        Array.from({ length: 10 }, async (_, i) => {
          try {
            await world.upload(`r${n + i}`, n + i);
            done.push(n + i);
          } catch (error) {
            expect(error).toMatchObject({ name: "StorageError", code: "full" });
            failed.push(n + i);
          }
        }),
      );
    }
    const checkAll = async (): Promise<void> => {
      for (const n of done) {
        expect(await index.findBlob(repo(`r${n}`), blobNo(n))).toEqual({
          digest: blobNo(n),
          sizeBytes: n,
        });
      }
      for (const n of failed) {
        expect(await index.findBlobAnywhere(blobNo(n))).toBeNull();
        expect(await index.listTags(repo(`r${n}`), { after: null, limit: 1 })).toBeNull();
      }
      expect(await index.totals()).toEqual(recount(await allFacts(index)));
    };
    expect(done.length).toBeGreaterThan(0);
    await checkAll();

    rmSync(filler);
    for (const n of failed.splice(0)) {
      await world.upload(`r${n}`, n);
      done.push(n);
    }
    await checkAll();
    await index.close();
    opened = await openIndex(join(root, "plimsoll", "index.db"), root);
    expect((await opened.totals()).blobs).toBe(done.length + 1);
  });
});

afterAll(async () => {
  await opened?.close();
  if (isMounted) Bun.spawnSync(["umount", root]);
  rmSync(root, { recursive: true, force: true });
});
