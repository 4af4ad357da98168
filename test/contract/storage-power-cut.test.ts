// INV-1 and INV-2 on a file system that loses power: what has resolved is durable, and at no moment
// between any two system calls could a power cut leave a part of a file at a final path.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { DiskModel } from "./storage-disk-model.ts";
import { checkNoLitter, failureOf, textAt, upload } from "./storage-drivers.ts";

const blob = "/docker/registry/v2/blobs/sha256/ab/abcd/data";
const sibling = "/docker/registry/v2/blobs/sha256/ab/abff/data";
const session = "/docker/registry/v2/repositories/a/b/_uploads/1/data";
const link = "/docker/registry/v2/repositories/a/b/_layers/sha256/abcd/link";

let root: string;
let disk: DiskModel;
let storage: FilesystemStorage;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "storage-power-"));
  disk = new DiskModel(root);
  storage = new FilesystemStorage(root, { calls: disk });
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

/** From now on, a power cut may leave nothing else at the path. */
function onlyEver(path: string, allowed: readonly string[]): void {
  const before = disk.onStep;
  disk.onStep = () => {
    before();
    for (const outcome of disk.outcomes(path)) expect(allowed).toContain(outcome);
  };
}

/** Fails one call by name the first time, as the system would. */
function failOnce(call: "rename" | "syncPath" | "fsync" | "write", code: string): void {
  const original = disk[call].bind(disk) as (...given: unknown[]) => Promise<never>;
  let failed = false;
  const failing = (...given: unknown[]): Promise<never> => {
    if (failed) return original(...given);
    failed = true;
    return Promise.reject(Object.assign(new Error(code), { code }));
  };
  Object.assign(disk, { [call]: failing });
}

function writeMany(paths: readonly string[], content: string | null): Promise<void> {
  return storage.applyChanges(paths.map((path) => ({ path, content })));
}

describe("the model of the disk", () => {
  test("what nobody fsynced may be there, or not, or torn", async () => {
    await upload(storage, "/u", "bytes");
    expect(disk.outcomes("/u")).toEqual(new Set(["absent", "", "torn", "bytes"]));
  });

  test("a file fsynced in a directory that was not may be absent, but not torn", async () => {
    const fd = await disk.open(`${root}/f`, "new");
    const bytes = Buffer.from("bytes");
    await disk.write(fd, bytes, { from: 0, to: 5, position: 0 });
    await disk.fsync(fd);
    expect(disk.outcomes("/f")).toEqual(new Set(["absent", "bytes"]));
    await disk.syncPath(root);
    expect(disk.outcomes("/f")).toEqual(new Set(["bytes"]));
    await disk.unlink(`${root}/f`);
    expect(disk.outcomes("/f")).toEqual(new Set(["bytes", "absent"]));
    await disk.close(fd);
  });
});

describe("move", () => {
  test("INV-9: at one end or the other at every moment, and durable at both when it resolves", async () => {
    const kept = "/plimsoll/quarantine/sha256/abcd";
    await storage.putFile(blob, Buffer.from("bytes"));
    onlyEver(blob, ["bytes", "absent"]);
    onlyEver(kept, ["bytes", "absent"]);
    await storage.move(blob, kept);
    expect(disk.outcomes(blob)).toEqual(new Set(["absent"]));
    expect(disk.outcomes(kept)).toEqual(new Set(["bytes"]));
  });

  test("across file systems: let go of only when it is durable on the other one", async () => {
    const kept = "/plimsoll/quarantine/sha256/abcd";
    await storage.putFile(blob, Buffer.from("bytes"));
    failOnce("rename", "EXDEV");
    const before = disk.onStep;
    disk.onStep = () => {
      before();
      if (disk.outcomes(blob).has("absent")) {
        expect(disk.outcomes(kept)).toEqual(new Set(["bytes"]));
      }
    };
    await storage.move(blob, kept);
    expect(disk.outcomes(blob)).toEqual(new Set(["absent"]));
    expect(disk.outcomes(kept)).toEqual(new Set(["bytes"]));
    await checkNoLitter(storage);
  });
});

describe("publish", () => {
  test("INV-1: durable when it resolves, never partial before", async () => {
    onlyEver(blob, ["absent", "bytes"]);
    await upload(storage, session, "bytes");
    await storage.publish(session, blob);
    expect(disk.outcomes(blob)).toEqual(new Set(["bytes"]));
  });

  test("INV-1: over an old file, the old or the new one", async () => {
    await storage.putFile(blob, Buffer.from("old"));
    onlyEver(blob, ["old", "bytes"]);
    await upload(storage, session, "bytes");
    await storage.publish(session, blob);
    expect(disk.outcomes(blob)).toEqual(new Set(["bytes"]));
  });

  test("INV-1: many at once into the same new directories, each durable when it resolves", async () => {
    const ids = Array.from({ length: 40 }, (_, i) => i);
    await Promise.all(
      ids.map(async (i) => {
        const from = `/r/_uploads/${i}/data`;
        const to = `/blobs/sha256/${i % 2}/${i}/data`;
        onlyEver(to, ["absent", `bytes ${i}`]);
        await upload(storage, from, `bytes ${i}`);
        await storage.publish(from, to);
        expect(disk.outcomes(to)).toEqual(new Set([`bytes ${i}`]));
      }),
    );
  });

  test("INV-1: a directory that was durable, went, and was made again is made durable again", async () => {
    for (const text of ["one", "two", "three"]) {
      for (const path of [blob, sibling]) {
        await upload(storage, session, text);
        await storage.publish(session, path);
        expect(disk.outcomes(path)).toEqual(new Set([text]));
      }
      await storage.remove(blob);
      await storage.remove(sibling);
      await storage.removeEmptyDirectories(blob.slice(0, -5), "/docker");
      await storage.removeEmptyDirectories(sibling.slice(0, -5), "/docker");
    }
  });

  test("INV-1: beside a collector that takes the directories away", async () => {
    const pushing = { over: false };
    const collect = async (): Promise<void> => {
      while (!pushing.over) {
        await storage.removeEmptyDirectories("/blobs/sha256/ab/abcd", "/blobs");
        await storage.removeEmptyDirectories("/blobs/sha256/ab/abff", "/blobs");
      }
    };
    const push = async (name: string): Promise<void> => {
      const path = `/blobs/sha256/ab/${name}/data`;
      for (let i = 0; i < 60; i++) {
        await upload(storage, `/u/${name}/data`, `${i}`);
        await storage.publish(`/u/${name}/data`, path);
        expect(disk.outcomes(path)).toEqual(new Set([`${i}`]));
        await storage.remove(path);
      }
    };
    const collecting = collect();
    await Promise.all([push("abcd"), push("abff")]).finally(() => {
      pushing.over = true;
    });
    await collecting;
  });

  test("INV-1: killed before any of its calls, then called again by the next process", async () => {
    for (let dieAt = 1; ; dieAt++) {
      const from = `/r${dieAt}/_uploads/1/data`;
      const to = `/blobs${dieAt}/ab/abcd/data`;
      await upload(storage, from, "bytes");
      onlyEver(to, ["absent", "bytes"]);
      disk.dieAt = disk.calls + dieAt;
      const died = await storage.publish(from, to).then(
        () => false,
        () => true,
      );
      disk.dieAt = Infinity;
      storage = new FilesystemStorage(root, { calls: disk });
      await storage.publish(from, to);
      expect(disk.outcomes(to)).toEqual(new Set(["bytes"]));
      if (!died) break;
      expect(dieAt).toBeLessThan(40);
    }
  });

  test("INV-1: what another program left at the final path unsynced counts only once synced", async () => {
    await upload(storage, blob, "bytes");
    expect(disk.outcomes(blob)).toContain("torn");
    await storage.publish(session, blob);
    expect(disk.outcomes(blob)).toEqual(new Set(["bytes"]));
  });

  test("INV-1: across file systems, a copy under another name and then the rename", async () => {
    onlyEver(blob, ["absent", "bytes"]);
    await upload(storage, session, "bytes");
    const rename = disk.rename.bind(disk);
    disk.rename = (from, to) =>
      from.includes("_uploads") !== to.includes("_uploads")
        ? Promise.reject(Object.assign(new Error("EXDEV"), { code: "EXDEV" }))
        : rename(from, to);
    await storage.publish(session, blob);
    expect(disk.outcomes(blob)).toEqual(new Set(["bytes"]));
    expect(await textAt(storage, blob)).toBe("bytes");
    expect(await storage.stat(session)).toBeNull();
    await checkNoLitter(storage);
  });

  test("INV-1: bytes whose fsync failed are never published, not even by a second call", async () => {
    onlyEver(blob, ["absent"]);
    await upload(storage, session, "bytes");
    failOnce("syncPath", "EIO");
    expect(await failureOf(storage.publish(session, blob))).toMatchObject({ code: "io" });
    expect(await failureOf(storage.publish(session, blob))).toMatchObject({ code: "io" });
    expect(await storage.stat(blob)).toBeNull();
  });
});

describe("uploads", () => {
  test("durable after sync, name and all", async () => {
    const writer = await storage.openUpload(session);
    await writer.append(Buffer.from("one "));
    await writer.sync();
    expect(disk.outcomes(session)).toEqual(new Set(["one "]));
    await writer.append(Buffer.from("two"));
    await writer.sync();
    expect(disk.outcomes(session)).toEqual(new Set(["one two"]));
    await writer.close();
  });

  test("a failed fsync takes the file away, and the writer takes nothing more", async () => {
    const writer = await storage.openUpload(session);
    await writer.append(Buffer.from("bytes"));
    failOnce("fsync", "EIO");
    expect(await failureOf(writer.sync())).toMatchObject({ code: "io" });
    expect(await failureOf(writer.append(Buffer.from("more")))).toMatchObject({ code: "io" });
    await writer.close();
    expect(await storage.stat(session)).toBeNull();
  });
});

describe("small files", () => {
  test("INV-2: putFile is durable when it resolves, and never partial", async () => {
    onlyEver(link, ["absent", "one", "second"]);
    await storage.putFile(link, Buffer.from("one"));
    expect(disk.outcomes(link)).toEqual(new Set(["one"]));
    await storage.putFile(link, Buffer.from("second"));
    expect(disk.outcomes(link)).toEqual(new Set(["second"]));
  });

  test("INV-2: applyChanges is durable when it resolves, and never partial", async () => {
    disk.bulkSync = "unknown"; // One sync for all is storage-bulk.test.ts's matter.
    const paths = Array.from({ length: 50 }, (_, i) => `/r/${i % 5}/_layers/${i}/link`);
    for (const path of paths) onlyEver(path, ["absent", "one", "two"]);
    for (const content of ["one", "two", null, "one", null]) {
      await writeMany(paths, content);
      for (const path of paths) {
        expect(disk.outcomes(path)).toEqual(new Set([content ?? "absent"]));
      }
    }
  });

  test("INV-2: a removal is durable also where a collector took the directory away", async () => {
    await storage.putFile(link, Buffer.from("one"));
    await storage.remove(link);
    await storage.removeEmptyDirectories(link.slice(0, -5), "/docker");
    expect(disk.outcomes(link)).toEqual(new Set(["one", "absent"]));
    await storage.applyChanges([{ path: link, content: null }]);
    expect(disk.outcomes(link)).toEqual(new Set(["absent"]));
  });

  test("INV-2: killed before any of its calls, then called again by the next process", async () => {
    for (let dieAt = 1; ; dieAt++) {
      const [gone, kept] = [`/d${dieAt}/e/gone`, `/d${dieAt}/f/g/kept`];
      const changes = [
        { path: gone, content: null },
        { path: kept, content: "new" },
      ];
      await storage.putFile(gone, Buffer.from("old"));
      onlyEver(gone, ["absent", "old"]);
      onlyEver(kept, ["absent", "new"]);
      disk.dieAt = disk.calls + dieAt;
      const died = await storage.applyChanges(changes).then(
        () => false,
        () => true,
      );
      disk.dieAt = Infinity;
      storage = new FilesystemStorage(root, { calls: disk });
      await storage.applyChanges(changes);
      expect(disk.outcomes(gone)).toEqual(new Set(["absent"]));
      expect(disk.outcomes(kept)).toEqual(new Set(["new"]));
      if (!died) break;
      expect(dieAt).toBeLessThan(40);
    }
  });

  for (const call of ["write", "fsync", "rename"] as const) {
    test(`a ${call} that fails for want of space leaves the old file and no litter`, async () => {
      await storage.putFile(link, Buffer.from("old"));
      onlyEver(link, ["old"]);
      failOnce(call, "ENOSPC");
      expect(await failureOf(storage.putFile(link, Buffer.from("new")))).toMatchObject({
        code: "full",
      });
      expect(await textAt(storage, link)).toBe("old");
      await checkNoLitter(storage);
    });
  }

  test("applyChanges: after one failure nothing goes on behind the caller's back", async () => {
    disk.bulkSync = "unknown";
    const paths = Array.from({ length: 40 }, (_, i) => `/r/${i}/link`);
    failOnce("rename", "EROFS");
    expect(await failureOf(writeMany(paths, "x"))).toMatchObject({ code: "denied" });
    const calls = disk.calls;
    await Bun.sleep(20);
    expect(disk.calls).toBe(calls);
    await checkNoLitter(storage);
  });

  test("the same directories are not fsynced again for every file", async () => {
    let syncs = 0;
    const original = disk.syncPath.bind(disk);
    disk.syncPath = (path) => {
      syncs++;
      return original(path);
    };
    await writeMany(["/a/b/c/1", "/a/b/c/2", "/a/b/c/3", "/a/b/c/4"], "x");
    // c for its names, b for c, a for b, and the root for a.
    expect(syncs).toBe(4);
    syncs = 0;
    await writeMany(["/a/b/c/5", "/a/b/c/1"], "y");
    expect(syncs).toBe(1);
  });
});
