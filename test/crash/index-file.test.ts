// The index's files in foreign hands (INV-8): taken away, replaced or cut short while open, nothing is
// acknowledged any more; files that are no index, damaged, or of a newer program are refused with a word
// on what to do.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openIndex } from "../../src/index/sqlite-index.ts";
import { IndexDamagedError } from "../../src/index/sql.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { StorageError } from "../../src/registry/ports/storage.ts";
import { blobNo, repo, World } from "../contract/index/world.ts";

setDefaultTimeout(60_000);

let root = "";
let path = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "plimsoll-file-"));
  path = join(root, "plimsoll", "index.db");
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const worldOf = (index: Index): World =>
  new World({
    index,
    tree: { setLink: () => undefined, setBlob: () => undefined },
    close: () => index.close(),
  });

async function rejection(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("it was acknowledged");
}

describe("files that change under an open index", () => {
  const changes: Record<string, () => void> = {
    "the file is removed": () => {
      rmSync(path);
    },
    "the file is moved away": () => {
      renameSync(path, `${path}.old`);
    },
    "the file is replaced by a copy": () => {
      copyFileSync(path, `${path}.copy`);
      renameSync(`${path}.copy`, path);
    },
    "the file is emptied": () => {
      truncateSync(path, 0);
    },
    "the file is cut in half": () => {
      truncateSync(path, readFileSync(path).byteLength >> 1);
    },
    "the log is removed": () => {
      rmSync(`${path}-wal`);
    },
    "the log is emptied": () => {
      truncateSync(`${path}-wal`, 0);
    },
    "the log is replaced": () => {
      writeFileSync(`${path}-wal.new`, readFileSync(`${path}-wal`));
      renameSync(`${path}-wal.new`, `${path}-wal`);
    },
    "its directory is moved away": () => {
      renameSync(join(root, "plimsoll"), join(root, "elsewhere"));
    },
  };

  for (const [name, change] of Object.entries(changes)) {
    test(`${name}: nothing is acknowledged any more`, async () => {
      const index = await openIndex(path, root);
      const world = worldOf(index);
      await world.upload("a", 1);
      await index.checkpoint();
      await world.upload("a", 2);
      change();
      for (let n = 10; n < 13; n++) {
        const errors = await Promise.all([
          rejection(world.upload("a", n)),
          rejection(world.put("a", { config: blobNo(1), tags: ["x"] })),
        ]);
        for (const error of errors) expect(error).toBeInstanceOf(StorageError);
      }
      // Closing may complain, but must come to an end.
      await index.close().catch(() => undefined);
    });
  }
});

describe("files that are no index of ours", () => {
  const write = async (bytes: Uint8Array): Promise<void> => {
    await Bun.write(path, bytes);
  };

  test("garbage is called damaged", async () => {
    const garbage = new Uint8Array(10_000).map((_, n) => (n * 7_919) % 251);
    await write(garbage);
    expect(await rejection(openIndex(path, root))).toBeInstanceOf(IndexDamagedError);
    // It is left as it was, for whoever wants to look at it.
    expect(new Uint8Array(readFileSync(path))).toEqual(garbage);
  });

  test("so is an index whose pages were overwritten; nothing of it is acknowledged", async () => {
    const index = await openIndex(path, root);
    for (let n = 0; n < 200; n++) await worldOf(index).upload("a", n);
    await index.close();
    const bytes = readFileSync(path);
    bytes.fill(0x5a, 4_096);
    await write(bytes);
    const attempt = async (): Promise<void> => {
      const damaged = await openIndex(path, root);
      try {
        await worldOf(damaged).upload("a", 1);
      } finally {
        await damaged.close().catch(() => undefined);
      }
    };
    const error = await rejection(attempt());
    expect(error).toBeInstanceOf(IndexDamagedError);
  });

  test("look-ups in a damaged index say so, too", async () => {
    const index = await openIndex(path, root);
    for (let n = 0; n < 200; n++) await worldOf(index).upload("a", n);
    await index.close();
    const bytes = readFileSync(path);
    // The first page, which holds the schema, is left whole.
    bytes.fill(0x5a, 8 * 4_096);
    await write(bytes);
    const damaged = await openIndex(path, root).catch((error: unknown) => error as Error);
    if (damaged instanceof Error) {
      expect(damaged).toBeInstanceOf(IndexDamagedError);
      return;
    }
    const looks = Array.from({ length: 200 }, (_, n) => damaged.findBlob(repo("a"), blobNo(n)));
    const outcomes = await Promise.allSettled(looks);
    const failed = outcomes.filter((outcome) => outcome.status === "rejected");
    for (const { reason } of failed) expect(reason as unknown).toBeInstanceOf(IndexDamagedError);
    expect(failed.length).toBeGreaterThan(0);
    await damaged.close().catch(() => undefined);
  });

  test("an empty file is an index that is still to be built", async () => {
    await write(new Uint8Array());
    const index = await openIndex(path, root);
    expect(await index.isComplete()).toBe(false);
    await index.close();
  });

  test("an index of a newer program is refused, naming both versions, and left alone", async () => {
    await (await openIndex(path, root)).close();
    const file = new Database(path);
    const ours = file
      .query<{ user_version: number }, []>("PRAGMA user_version")
      .get()?.user_version;
    file.run("PRAGMA user_version = 9999");
    file.close();
    const before = readFileSync(path);
    const error = (await rejection(openIndex(path, root))) as Error;
    expect(error.message).toContain("version 9999");
    expect(error.message).toContain(`up to ${ours}`);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("a directory in its place, or no right to write there, is an error of the storage", async () => {
    await Bun.write(join(path, "file"), "");
    expect(await rejection(openIndex(path, root))).toBeInstanceOf(StorageError);
    await Bun.write(join(root, "a file"), "");
    const within = join(root, "a file", "index.db");
    expect((await rejection(openIndex(within, root))) as Error).toBeInstanceOf(Error);
  });

  test("refused once, it can be opened again in the same process", async () => {
    await write(new Uint8Array(5_000).fill(0x41));
    await rejection(openIndex(path, root));
    rmSync(path);
    const index = await openIndex(path, root);
    await worldOf(index).upload("a", 1);
    await index.close();
  });
});
