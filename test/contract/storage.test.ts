// What every storage driver promises of paths, reading, uploads and publishing: a test for each sentence
// of src/registry/ports/storage.ts. Small files and removals: storage-small-files.test.ts.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Storage, StorageError } from "../../src/registry/ports/storage.ts";
import type { DriverUnderTest } from "./storage-drivers.ts";
import { drivers, failureOf, filesBelow, names, textAt } from "./storage-drivers.ts";
import { textOf, upload } from "./storage-drivers.ts";

const text = (value: string): Uint8Array => Buffer.from(value);

for (const driver of drivers) {
  describe(`storage contract: ${driver.name}`, () => {
    let underTest: DriverUnderTest;
    let storage: Storage;

    beforeEach(async () => {
      underTest = await driver.create();
      storage = underTest.storage;
    });
    afterEach(() => underTest.dispose());

    describe("paths", () => {
      const bad = [
        "",
        "a",
        "a/b",
        "/a/../b",
        "/..",
        "/../etc/passwd",
        "/a/./b",
        "/.",
        "/a//b",
        "//a",
        "/a/",
        "/a\0b",
        `/${"n".repeat(256)}`,
        `/a/${"é".repeat(128)}/b`,
      ];
      const acts: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
        stat: (path) => storage.stat(path),
        read: async (path) => textOf(storage.read(path)),
        readSmall: (path) => storage.readSmall(path, 10),
        list: (path) => names(storage, path),
        openUpload: (path) => storage.openUpload(path),
        truncate: (path) => storage.truncate(path, 0),
        "publish from": (path) => storage.publish(path, "/final"),
        "publish to": (path) => storage.publish("/upload", path),
        "move from": (path) => storage.move(path, "/final"),
        "move to": (path) => storage.move("/upload", path),
        putFile: (path) => storage.putFile(path, text("x")),
        applyChanges: (path) => storage.applyChanges([{ path, content: "x" }]),
        remove: (path) => storage.remove(path),
        removeAll: (path) => storage.removeAll(path),
        "removeEmptyDirectories path": (path) => storage.removeEmptyDirectories(path, "/"),
        "removeEmptyDirectories stopAt": (path) => storage.removeEmptyDirectories("/a/b", path),
      };
      for (const [name, act] of Object.entries(acts)) {
        test(`${name} refuses what is no path, and changes nothing`, async () => {
          await upload(storage, "/upload", "bytes");
          for (const path of bad) {
            const error = await failureOf(act(path));
            expect(error).toBeInstanceOf(StorageError);
            expect((error as StorageError).code).toBe("invalid-path");
          }
          expect(await filesBelow(storage, "/")).toEqual(["/upload"]);
        });
      }

      test("the root can be listed and is no file", async () => {
        await storage.putFile("/a/b", text("x"));
        expect(await names(storage, "/")).toEqual(["a"]);
        expect(await storage.stat("/")).toBeNull();
      });

      test("the root cannot be changed", async () => {
        for (const act of [
          storage.removeAll("/"),
          storage.remove("/"),
          storage.putFile("/", text("x")),
          storage.openUpload("/"),
        ]) {
          expect(await failureOf(act)).toMatchObject({ code: "invalid-path" });
        }
      });

      test("names with dots, spaces and other alphabets are names", async () => {
        for (const path of ["/...", "/.a", "/a..b/c", "/with space/ü", `/${"n".repeat(255)}`]) {
          await storage.putFile(path, text(path));
          expect(await textAt(storage, path)).toBe(path);
        }
      });
    });

    describe("stat", () => {
      test("tells size and time of modification", async () => {
        const before = Date.now() - 2000;
        await storage.putFile("/a/b", text("four"));
        const found = await storage.stat("/a/b");
        expect(found?.sizeBytes).toBe(4);
        expect(found?.modifiedMs).toBeGreaterThan(before);
        expect(found?.modifiedMs).toBeLessThan(Date.now() + 2000);
      });

      test("null for what is not there, for a directory, and below a file", async () => {
        await storage.putFile("/a/b", text("x"));
        expect(await storage.stat("/none")).toBeNull();
        expect(await storage.stat("/none/deeper")).toBeNull();
        expect(await storage.stat("/a")).toBeNull();
        expect(await storage.stat("/a/b/c")).toBeNull();
      });
    });

    describe("read", () => {
      test("the whole file, and the bytes [start, end)", async () => {
        await storage.putFile("/f", text("0123456789"));
        expect(await textOf(storage.read("/f"))).toBe("0123456789");
        expect(await textOf(storage.read("/f", { start: 2, end: 5 }))).toBe("234");
        expect(await textOf(storage.read("/f", { start: 0, end: 1 }))).toBe("0");
        expect(await textOf(storage.read("/f", { start: 9, end: 10 }))).toBe("9");
        expect(await textOf(storage.read("/f", { start: 4, end: 4 }))).toBe("");
      });

      test("a file that vanished fails with ENOENT when the body is read", async () => {
        await storage.putFile("/f", text("x"));
        await storage.stat("/f");
        await storage.remove("/f");
        for (const body of [storage.read("/f"), storage.read("/f", { start: 0, end: 1 })]) {
          const stream = body instanceof Blob ? body.stream() : body;
          // In a function of its own: the runtime throws this at once.
          const read = async (): Promise<unknown> => stream.getReader().read();
          expect(await failureOf(read())).toMatchObject({ code: "ENOENT" });
        }
      });
    });

    describe("readSmall", () => {
      test("the bytes, an empty file's too, up to the bound", async () => {
        await storage.putFile("/f", text("12345"));
        await storage.putFile("/empty", text(""));
        expect(Buffer.from((await storage.readSmall("/f", 5)) ?? []).toString()).toBe("12345");
        expect((await storage.readSmall("/empty", 5))?.length).toBe(0);
      });

      test("null when it is not there or is a directory", async () => {
        await storage.putFile("/a/b", text("x"));
        expect(await storage.readSmall("/none", 5)).toBeNull();
        expect(await storage.readSmall("/none/b", 5)).toBeNull();
        expect(await storage.readSmall("/a", 5)).toBeNull();
      });

      test("too-large when larger than the bound", async () => {
        await storage.putFile("/f", text("123456"));
        expect(await failureOf(storage.readSmall("/f", 5))).toMatchObject({ code: "too-large" });
      });
    });

    describe("list", () => {
      test("names and kinds", async () => {
        await storage.putFile("/d/file", text("x"));
        await storage.putFile("/d/sub/file", text("x"));
        const entries = [];
        for await (const entry of storage.list("/d")) entries.push(entry);
        entries.sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(entries).toEqual([
          { name: "file", kind: "file" },
          { name: "sub", kind: "directory" },
        ]);
      });

      test("nothing where nothing is", async () => {
        await storage.putFile("/f", text("x"));
        expect(await names(storage, "/none")).toEqual([]);
        expect(await names(storage, "/none/deeper")).toEqual([]);
        expect(await names(storage, "/f")).toEqual([]);
      });

      test("what is listed may be removed and added to meanwhile", async () => {
        for (let i = 0; i < 50; i++) await storage.putFile(`/d/${i}`, text("x"));
        let seen = 0;
        for await (const entry of storage.list("/d")) {
          seen++;
          await storage.remove(`/d/${entry.name}`);
          await storage.putFile(`/d/${entry.name}-new`, text("x"));
        }
        expect(seen).toBe(50);
      });
    });

    describe("uploads", () => {
      test("chunks of every size arrive in order, and may be reused when append resolves", async () => {
        const writer = await storage.openUpload("/u/data");
        const hasher = new Bun.CryptoHasher("sha256");
        const sizes = [1, 0, 65_536, 65_536, 7, 300_000, 1_048_576, 524_288, 524_287, 3_000_000, 5];
        const scratch = new Uint8Array(3_000_000);
        let total = 0;
        for (const [i, size] of sizes.entries()) {
          const chunk = scratch.subarray(0, size).fill(i + 1);
          hasher.update(chunk);
          await writer.append(chunk);
          total += size;
          expect(writer.sizeBytes).toBe(total);
          const storedBytes = (await storage.stat("/u/data"))?.sizeBytes;
          expect(storedBytes).toBe(total - writer.waitingBytes);
          scratch.fill(0xee);
        }
        await writer.close();
        expect((await storage.stat("/u/data"))?.sizeBytes).toBe(total);
        const stored = new Bun.CryptoHasher("sha256");
        stored.update(await new Response(storage.read("/u/data")).bytes());
        expect(stored.digest("hex")).toBe(hasher.digest("hex"));
      });

      test("opening creates the file and its directories; an empty upload is a file", async () => {
        const writer = await storage.openUpload("/a/b/c/data");
        await writer.close();
        expect((await storage.stat("/a/b/c/data"))?.sizeBytes).toBe(0);
      });

      test("opening again continues at the end", async () => {
        await upload(storage, "/u/data", "first ");
        const writer = await storage.openUpload("/u/data");
        expect(writer.sizeBytes).toBe(6);
        await writer.append(text("second"));
        expect(writer.sizeBytes).toBe(12);
        await writer.close();
        expect(await textAt(storage, "/u/data")).toBe("first second");
      });

      test("after sync everything is there, and appending goes on", async () => {
        const writer = await storage.openUpload("/u/data");
        await writer.append(text("one "));
        await writer.sync();
        expect(await textAt(storage, "/u/data")).toBe("one ");
        await writer.append(text("two"));
        await writer.sync();
        await writer.sync();
        await writer.close();
        expect(await textAt(storage, "/u/data")).toBe("one two");
      });

      test("close is idempotent, and nothing is taken after it", async () => {
        const writer = await storage.openUpload("/u/data");
        await writer.append(text("x"));
        await Promise.all([writer.close(), writer.close()]);
        await writer.close();
        await failureOf(writer.append(text("y")));
        await failureOf(writer.sync());
        expect(await textAt(storage, "/u/data")).toBe("x");
      });

      test("a directory cannot be opened, nor anything below a file", async () => {
        await storage.putFile("/d/f", text("x"));
        expect(await failureOf(storage.openUpload("/d"))).toBeInstanceOf(StorageError);
        expect(await failureOf(storage.openUpload("/d/f/data"))).toBeInstanceOf(StorageError);
      });

      test("truncate cuts, and the next append continues there", async () => {
        await upload(storage, "/u/data", "0123456789");
        await storage.truncate("/u/data", 4);
        expect((await storage.stat("/u/data"))?.sizeBytes).toBe(4);
        await upload(storage, "/u/data", "xy");
        expect(await textAt(storage, "/u/data")).toBe("0123xy");
        await storage.truncate("/u/data", 6);
        await storage.truncate("/u/data", 0);
        expect((await storage.stat("/u/data"))?.sizeBytes).toBe(0);
      });

      test("truncate makes nothing and lengthens nothing", async () => {
        await upload(storage, "/u/data", "12");
        expect(await failureOf(storage.truncate("/u/data", 3))).toBeInstanceOf(StorageError);
        expect(await failureOf(storage.truncate("/u/none", 0))).toBeInstanceOf(StorageError);
        expect(await filesBelow(storage, "/")).toEqual(["/u/data"]);
        expect(await textAt(storage, "/u/data")).toBe("12");
      });
    });

    describe("move", () => {
      test("moves the file, making directories", async () => {
        await storage.putFile("/blobs/x/data", text("bytes"));
        await storage.move("/blobs/x/data", "/own/kept/x");
        expect(await filesBelow(storage, "/")).toEqual(["/own/kept/x"]);
        expect(await textAt(storage, "/own/kept/x")).toBe("bytes");
      });

      test("fails when nothing is there, and over a file or a directory: both stay", async () => {
        await storage.putFile("/from", text("bytes"));
        await storage.putFile("/kept/file", text("before"));
        for (const to of ["/kept/file", "/kept", "/from"]) {
          expect(await failureOf(storage.move("/from", to))).toMatchObject({ code: "io" });
        }
        expect(await failureOf(storage.move("/none", "/to"))).toMatchObject({ code: "io" });
        expect(await textAt(storage, "/from")).toBe("bytes");
        expect(await textAt(storage, "/kept/file")).toBe("before");
        expect(await filesBelow(storage, "/")).toEqual(["/from", "/kept/file"]);
      });
    });

    describe("publish", () => {
      test("moves the file, making directories", async () => {
        await upload(storage, "/up/1/data", "bytes");
        await storage.publish("/up/1/data", "/blobs/sha256/ab/abcd/data");
        expect(await textAt(storage, "/blobs/sha256/ab/abcd/data")).toBe("bytes");
        expect(await filesBelow(storage, "/")).toEqual(["/blobs/sha256/ab/abcd/data"]);
      });

      test("replaces what is there", async () => {
        await upload(storage, "/up/1/data", "new");
        await storage.putFile("/blobs/x/data", text("old"));
        await storage.publish("/up/1/data", "/blobs/x/data");
        expect(await textAt(storage, "/blobs/x/data")).toBe("new");
      });

      test("is idempotent: upload gone and final path there, nothing is left to do", async () => {
        await upload(storage, "/up/1/data", "bytes");
        await storage.publish("/up/1/data", "/blobs/x/data");
        await storage.publish("/up/1/data", "/blobs/x/data");
        await storage.removeAll("/up");
        await storage.publish("/up/1/data", "/blobs/x/data");
        expect(await textAt(storage, "/blobs/x/data")).toBe("bytes");
      });

      test("twice at once is once", async () => {
        for (let i = 0; i < 50; i++) {
          await upload(storage, "/up/1/data", `bytes ${i}`);
          const publish = (): Promise<void> => storage.publish("/up/1/data", `/b/${i}/data`);
          await Promise.all([publish(), publish(), publish()]);
          expect(await textAt(storage, `/b/${i}/data`)).toBe(`bytes ${i}`);
        }
      });

      test("fails when neither is there, and over a directory", async () => {
        expect(await failureOf(storage.publish("/up/none", "/b/x/data"))).toMatchObject({
          code: "io",
        });
        await storage.putFile("/b/dir/f", text("x"));
        await upload(storage, "/up/1/data", "bytes");
        expect(await failureOf(storage.publish("/up/1/data", "/b/dir"))).toBeInstanceOf(
          StorageError,
        );
        expect(await textAt(storage, "/up/1/data")).toBe("bytes");
      });

      test("loses no file to a collector that removes empty directories at the same time", async () => {
        const stopAt = "/blobs";
        const pushing = { over: false };
        const collect = async (): Promise<void> => {
          while (!pushing.over) {
            await storage.removeEmptyDirectories("/blobs/sha256/ab/abcd", stopAt);
            await Bun.sleep(0);
          }
        };
        const push = async (): Promise<void> => {
          for (let i = 0; i < 120; i++) {
            await upload(storage, "/up/1/data", `bytes ${i}`);
            await storage.publish("/up/1/data", "/blobs/sha256/ab/abcd/data");
            expect(await textAt(storage, "/blobs/sha256/ab/abcd/data")).toBe(`bytes ${i}`);
            await storage.remove("/blobs/sha256/ab/abcd/data");
            await storage.applyChanges([{ path: "/blobs/sha256/ab/abcd/link", content: "l" }]);
            expect(await textAt(storage, "/blobs/sha256/ab/abcd/link")).toBe("l");
            await storage.applyChanges([{ path: "/blobs/sha256/ab/abcd/link", content: null }]);
          }
        };
        const collecting = collect();
        await push().finally(() => {
          pushing.over = true;
        });
        await collecting;
        await storage.removeEmptyDirectories("/blobs/sha256/ab/abcd", stopAt);
        expect(await names(storage, "/blobs")).toEqual([]);
      }, 60_000);
    });
  });
}
