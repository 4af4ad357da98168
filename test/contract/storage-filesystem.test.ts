// What the file system driver meets and the memory driver cannot: symbolic links, names that are not
// UTF-8, a full disk, missing rights, other programs in the same directories.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DirectoryEntry,
  StorageError,
  type UploadWriter,
} from "../../src/registry/ports/storage.ts";
import { fileSystemCalls } from "../../src/storage/filesystem/file-system-calls.ts";
import type { FileSystemCalls } from "../../src/storage/filesystem/file-system-calls.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { checkNoLitter, failureOf, filesBelow, textAt, upload } from "./storage-drivers.ts";

let base: string;
let root: string;
let storage: FilesystemStorage;

beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), "storage-filesystem-"));
  root = join(base, "root");
  fs.mkdirSync(root);
  storage = new FilesystemStorage(root);
});
afterEach(() => {
  fs.rmSync(base, { recursive: true });
});

async function entries(path: string): Promise<Record<string, DirectoryEntry["kind"]>> {
  const found: Record<string, DirectoryEntry["kind"]> = {};
  for await (const entry of storage.list(path)) found[entry.name] = entry.kind;
  return found;
}

function withCalls(changed: Partial<FileSystemCalls>): FilesystemStorage {
  return new FilesystemStorage(root, { calls: { ...fileSystemCalls, ...changed } });
}

function failing(code: string): () => Promise<never> {
  return () => Promise.reject(Object.assign(new Error(code), { code }));
}

describe("symbolic links", () => {
  test("are listed as what they point to, dangling ones and loops as other (INV-7)", async () => {
    fs.mkdirSync(`${base}/elsewhere`);
    fs.writeFileSync(`${base}/file`, "x");
    fs.mkdirSync(`${root}/d`);
    fs.symlinkSync(`${base}/elsewhere`, `${root}/d/directory`);
    fs.symlinkSync(`${base}/file`, `${root}/d/file`);
    fs.symlinkSync("nowhere", `${root}/d/dangling`);
    fs.symlinkSync("loop", `${root}/d/loop`);
    fs.symlinkSync("/dev/null", `${root}/d/device`);
    expect(await entries("/d")).toEqual({
      directory: "directory",
      file: "file",
      dangling: "other",
      loop: "other",
      device: "other",
    });
  });

  test("a directory behind one is written to, listed, and never removed", async () => {
    fs.mkdirSync(`${base}/elsewhere`);
    fs.symlinkSync(`${base}/elsewhere`, `${root}/linked`);
    await upload(storage, "/up/data", "bytes");
    await storage.publish("/up/data", "/linked/a/b/data");
    await storage.putFile("/linked/a/c", Buffer.from("x"));
    expect(fs.readFileSync(`${base}/elsewhere/a/b/data`, "utf8")).toBe("bytes");
    expect(await entries("/linked/a")).toEqual({ b: "directory", c: "file" });
    await storage.removeAll("/linked/a");
    await storage.removeEmptyDirectories("/linked", "/");
    expect(fs.lstatSync(`${root}/linked`).isSymbolicLink()).toBe(true);
    expect(fs.existsSync(`${base}/elsewhere`)).toBe(true);
  });

  test("removeAll takes the links below it, and not what they point to", async () => {
    fs.mkdirSync(`${base}/elsewhere`);
    fs.writeFileSync(`${base}/elsewhere/kept`, "x");
    fs.mkdirSync(`${root}/u/1`, { recursive: true });
    fs.symlinkSync(`${base}/elsewhere`, `${root}/u/1/linked`);
    await storage.removeAll("/u/1");
    expect(fs.existsSync(`${root}/u/1`)).toBe(false);
    expect(fs.existsSync(`${base}/elsewhere/kept`)).toBe(true);
  });
});

describe("names that are not UTF-8", () => {
  const bad = Buffer.from([0x62, 0xff, 0x5c, 0xfe]);

  test("are listed as other, escaped; a replacement character of one's own is a name", async () => {
    fs.mkdirSync(`${root}/d`);
    fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/d/`), bad]), "x");
    fs.mkdirSync(Buffer.concat([Buffer.from(`${root}/d/x`), bad]));
    fs.writeFileSync(`${root}/d/own\uFFFD`, "x");
    fs.writeFileSync(`${root}/d/plain`, "x");
    expect(await entries("/d")).toEqual({
      "b\\xff\\x5c\\xfe": "other",
      "xb\\xff\\x5c\\xfe": "other",
      "own\uFFFD": "file",
      plain: "file",
    });
  });

  test("removeAll takes them too", async () => {
    fs.mkdirSync(`${root}/u/1`, { recursive: true });
    fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/u/1/`), bad]), "x");
    await storage.removeAll("/u/1");
    expect(fs.existsSync(`${root}/u/1`)).toBe(false);
  });
});

describe("failures say what the operator can do", () => {
  const codes = {
    ENOSPC: "full",
    EDQUOT: "full",
    EFBIG: "full",
    EACCES: "denied",
    EPERM: "denied",
    EROFS: "denied",
    ENAMETOOLONG: "invalid-path",
    EIO: "io",
  };
  for (const [system, code] of Object.entries(codes)) {
    test(`${system} is ${code}, with its cause`, async () => {
      const broken = withCalls({ open: failing(system) });
      for (const act of [
        () => broken.openUpload("/u/data"),
        () => broken.putFile("/a", Buffer.from("x")),
        () => broken.applyChanges([{ path: "/a", content: "x" }]),
        () => broken.check(),
      ]) {
        const error = await failureOf(act());
        expect(error).toBeInstanceOf(StorageError);
        expect(error).toMatchObject({ code, cause: { code: system } });
      }
      await checkNoLitter(storage);
    });
  }

  test("a path longer than the system takes", async () => {
    const path = "/long".repeat(1000);
    expect(await failureOf(storage.stat(path))).toMatchObject({ code: "invalid-path" });
    expect(await failureOf(storage.putFile(path, Buffer.from("x")))).toMatchObject({
      code: "invalid-path",
    });
  });

  test("a directory that cannot be listed is an error, and not an empty one", async () => {
    fs.symlinkSync("loop", `${root}/loop`);
    expect(await failureOf(entries("/loop"))).toMatchObject({ code: "io" });
  });

  test("a file that is a symbolic link to itself is nothing, as one to nowhere is", async () => {
    for (const target of ["loop", "nowhere"]) {
      fs.symlinkSync(target, `${root}/loop`);
      expect(await storage.stat("/loop")).toBeNull();
      expect(await storage.readSmall("/loop", 100)).toBeNull();
      fs.unlinkSync(`${root}/loop`);
    }
  });

  test("check fails when the root is gone, and does not make it again", async () => {
    fs.rmdirSync(root);
    expect(await failureOf(storage.check())).toBeInstanceOf(StorageError);
    expect(fs.existsSync(root)).toBe(false);
    fs.mkdirSync(root);
    await storage.check();
  });

  test("check fails when the disk is full or broken, and leaves nothing", async () => {
    for (const call of ["write", "fsync"] as const) {
      const broken = withCalls({ [call]: failing("ENOSPC") });
      expect(await failureOf(broken.check())).toMatchObject({ code: "full" });
      expect(await filesBelow(storage, "/")).toEqual([]);
    }
  });
});

describe("an upload on a disk that fills", () => {
  test("says so at the append or the close, and keeps what was written", async () => {
    let room = 1_500_000;
    const filling = withCalls({
      write: (fd, buffer, range) => {
        const length = Math.min(room, range.to - range.from);
        if (length === 0) return failing("ENOSPC")();
        room -= length;
        return fileSystemCalls.write(fd, buffer, { ...range, to: range.from + length });
      },
    });
    const writer = await filling.openUpload("/u/data");
    const append = async (): Promise<void> => {
      for (let i = 0; i < 40; i++) await writer.append(new Uint8Array(65_536).fill(i));
    };
    expect(await failureOf(append())).toMatchObject({ code: "full" });
    expect(await failureOf(writer.append(new Uint8Array(1)))).toMatchObject({ code: "full" });
    expect(writer.sizeBytes).toBe(1_500_000);
    await writer.close();
    expect((await storage.stat("/u/data"))?.sizeBytes).toBe(1_500_000);
    const stored = fs.readFileSync(`${root}/u/data`);
    expect(stored.every((byte, i) => byte === Math.floor(i / 65_536))).toBe(true);
  });

  test("a small upload hears of it at its close, whose descriptor is closed all the same", async () => {
    const closed: number[] = [];
    const full = withCalls({
      write: failing("ENOSPC"),
      close: (fd) => {
        closed.push(fd);
        return fileSystemCalls.close(fd);
      },
    });
    const writer = await full.openUpload("/u/data");
    await writer.append(Buffer.from("small"));
    expect(await failureOf(writer.close())).toMatchObject({ code: "full" });
    expect(closed.length).toBe(1);
  });

  test("gathers small chunks into few writes, and holds at most a mebibyte", async () => {
    const writes: number[] = [];
    const counting = withCalls({
      write: (fd, buffer, range) => {
        writes.push(range.to - range.from);
        return fileSystemCalls.write(fd, buffer, range);
      },
    });
    const writer = await counting.openUpload("/u/data");
    for (let i = 0; i < 64; i++) await writer.append(new Uint8Array(65_536));
    expect(writes).toEqual([1_048_576, 1_048_576, 1_048_576, 1_048_576]);
    await writer.append(new Uint8Array(4_000_000));
    expect(writes.at(-1)).toBe(4_000_000);
    await writer.close();
  });

  test("a large chunk is written as it is, after what waits before it", async () => {
    const writes: number[] = [];
    const counting = withCalls({
      write: (fd, buffer, range) => {
        writes.push(range.to - range.from);
        return fileSystemCalls.write(fd, buffer, range);
      },
    });
    const writer = await counting.openUpload("/u/data");
    const sizes = [10, 300_000, 20, 400_000, 30];
    for (const [n, size] of sizes.entries()) await writer.append(new Uint8Array(size).fill(n));
    await writer.close();
    expect(writes).toEqual(sizes);
    const stored = fs.readFileSync(`${root}/u/data`);
    expect(stored).toEqual(Buffer.concat(sizes.map((size, n) => new Uint8Array(size).fill(n))));
  });

  describe("a long upload", () => {
    const portion = new Uint8Array(1024 * 1024);
    // So much is not worth writing: where it ends is all that counts here.
    const write: FileSystemCalls["write"] = (_fd, _bytes, { from, to }) => {
      return Promise.resolve(to - from);
    };

    async function fill(writer: UploadWriter, mebibytes: number): Promise<void> {
      for (let n = 0; n < mebibytes; n++) await writer.append(portion);
    }

    test("goes to the disk while it comes, one of them at a time", async () => {
      const begun: number[] = [];
      const gate = Promise.withResolvers<void>();
      const counting = withCalls({
        write,
        fsync: async (fd) => {
          begun.push(fd);
          await gate.promise;
        },
      });
      const writers = [await counting.openUpload("/u/1"), await counting.openUpload("/u/2")];
      for (const writer of writers) await fill(writer, 63);
      expect(begun).toHaveLength(0);
      for (const writer of writers) await fill(writer, 100);
      expect(begun).toHaveLength(1);
      const closed = Promise.all(writers.map((writer) => writer.close()));
      gate.resolve();
      await closed;
      expect(writers.map((writer) => writer.sizeBytes / portion.length)).toEqual([163, 163]);
    });

    test("is not closed while it is still on its way to the disk", async () => {
      const order: string[] = [];
      const gate = Promise.withResolvers<void>();
      const slow = withCalls({
        write,
        fsync: async () => {
          await gate.promise;
          order.push("synced");
        },
        close: (fd) => {
          order.push("closed");
          return fileSystemCalls.close(fd);
        },
      });
      const writer = await slow.openUpload("/u/data");
      await fill(writer, 64);
      const closed = writer.close();
      gate.resolve();
      await closed;
      expect(order).toEqual(["synced", "closed"]);
    });

    test("that the disk would not take is gone, and whoever comes next hears of it, once", async () => {
      const failed = withCalls({ write, fsync: failing("EIO") });
      const writer = await failed.openUpload("/u/data");
      await fill(writer, 64);
      expect(await failureOf(writer.close())).toMatchObject({ code: "io" });
      expect(await storage.stat("/u/data")).toBeNull();
      expect(writer.sizeBytes).toBe(0);

      const other = await failed.openUpload("/u/data");
      await fill(other, 64);
      await new Promise((resolve) => setImmediate(resolve));
      expect(await failureOf(other.append(portion))).toMatchObject({ code: "io" });
      await other.close();
      expect(await storage.stat("/u/data")).toBeNull();
    });
  });
});

test("a root that is not there yet is made by the first write", async () => {
  const young = new FilesystemStorage(join(base, "not/yet"));
  expect(await young.stat("/a")).toBeNull();
  await young.putFile("/a/b", Buffer.from("x"));
  expect(await textAt(young, "/a/b")).toBe("x");
});

test("modes are the classic registry's, less the umask", async () => {
  await storage.putFile("/a/b", Buffer.from("x"));
  fs.writeFileSync(`${root}/file`, "x", { mode: 0o666 });
  fs.mkdirSync(`${root}/directory`, { mode: 0o777 });
  expect(fs.statSync(`${root}/a/b`).mode).toBe(fs.statSync(`${root}/file`).mode);
  expect(fs.statSync(`${root}/a`).mode).toBe(fs.statSync(`${root}/directory`).mode);
});
