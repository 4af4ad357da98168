// What every storage driver promises of small files and of removals: src/registry/ports/storage.ts.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Storage, StorageError } from "../../src/registry/ports/storage.ts";
import type { DriverUnderTest } from "./storage-drivers.ts";
import { drivers, failureOf, filesBelow, names, textAt } from "./storage-drivers.ts";

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

    describe("small files", () => {
      test("putFile writes and replaces, making directories", async () => {
        await storage.putFile("/a/b/c", text("one"));
        await storage.putFile("/a/b/c", text("second"));
        await storage.putFile("/a/b/empty", text(""));
        expect(await textAt(storage, "/a/b/c")).toBe("second");
        expect(await textAt(storage, "/a/b/empty")).toBe("");
        expect(await filesBelow(storage, "/")).toEqual(["/a/b/c", "/a/b/empty"]);
      });

      test("putFile over a directory or below a file fails and leaves nothing", async () => {
        await storage.putFile("/a/b", text("x"));
        for (const path of ["/a", "/a/b/c"]) {
          expect(await failureOf(storage.putFile(path, text("y")))).toBeInstanceOf(StorageError);
        }
        expect(await filesBelow(storage, "/")).toEqual(["/a/b"]);
      });

      test("a reader never sees a half-written file", async () => {
        const contents = ["a".repeat(200_000), "b".repeat(100_000)];
        await storage.putFile("/f", text(contents[0] ?? ""));
        const writing = { over: false };
        const read = async (): Promise<void> => {
          while (!writing.over) {
            expect(contents).toContain((await textAt(storage, "/f")) ?? "absent");
            await Bun.sleep(0);
          }
        };
        const reading = read();
        for (let i = 0; i < 40; i++) await storage.putFile("/f", text(contents[i % 2] ?? ""));
        writing.over = true;
        await reading;
      });

      test("applyChanges writes and removes, strings and bytes, and is idempotent", async () => {
        await storage.putFile("/d/old", text("x"));
        const changes = [
          { path: "/d/old", content: null },
          { path: "/d/none", content: null },
          { path: "/none/none", content: null },
          { path: "/e/f/text", content: "täxt" },
          { path: "/e/f/bytes", content: new Uint8Array([1, 2]) },
          { path: "/e/f/empty", content: "" },
        ];
        for (let i = 0; i < 2; i++) {
          await storage.applyChanges(changes);
          expect(await filesBelow(storage, "/")).toEqual(["/e/f/bytes", "/e/f/empty", "/e/f/text"]);
          expect(await textAt(storage, "/e/f/text")).toBe("täxt");
          expect(await storage.readSmall("/e/f/bytes", 9)).toEqual(new Uint8Array([1, 2]));
        }
        expect(await names(storage, "/none")).toEqual([]);
        await storage.applyChanges([]);
      });

      test("applyChanges: of two changes of one path the later counts", async () => {
        await storage.applyChanges([
          { path: "/a", content: "one" },
          { path: "/a", content: "two" },
          { path: "/b", content: "one" },
          { path: "/b", content: null },
          { path: "/c", content: null },
          { path: "/c", content: "one" },
        ]);
        expect(await textAt(storage, "/a")).toBe("two");
        expect(await textAt(storage, "/b")).toBeNull();
        expect(await textAt(storage, "/c")).toBe("one");
      });

      test("applyChanges: hundreds at once", async () => {
        const path = (i: number): string => `/r/${i % 7}/${i}/link`;
        const all = Array.from({ length: 400 }, (_, i) => i);
        await storage.applyChanges(all.map((i) => ({ path: path(i), content: `${i}` })));
        for (const i of all) expect(await textAt(storage, path(i))).toBe(`${i}`);
        await storage.applyChanges(all.map((i) => ({ path: path(i), content: null })));
        expect(await filesBelow(storage, "/")).toEqual([]);
      });

      test("applyChanges: one bad path among others, and nothing is changed", async () => {
        const changes = [
          { path: "/good", content: "x" },
          { path: "/../bad", content: "x" },
        ];
        expect(await failureOf(storage.applyChanges(changes))).toMatchObject({
          code: "invalid-path",
        });
        expect(await filesBelow(storage, "/")).toEqual([]);
      });
    });

    describe("removing", () => {
      test("remove takes a file, leaves its directory, and does not mind absence", async () => {
        await storage.putFile("/a/b", text("x"));
        await storage.remove("/a/b");
        await storage.remove("/a/b");
        await storage.remove("/none/b");
        expect(await storage.stat("/a/b")).toBeNull();
        expect(await names(storage, "/")).toEqual(["a"]);
      });

      test("remove refuses a directory, and does not mind a file on the way", async () => {
        await storage.putFile("/a/b", text("x"));
        expect(await failureOf(storage.remove("/a"))).toBeInstanceOf(StorageError);
        await storage.remove("/a/b/c");
        expect(await textAt(storage, "/a/b")).toBe("x");
      });

      test("removeAll takes all below, and does not mind absence", async () => {
        await storage.putFile("/u/1/data", text("x"));
        await storage.putFile("/u/1/hashstates/sha256/0", text("x"));
        await storage.putFile("/u/2/data", text("x"));
        await storage.removeAll("/u/1");
        await storage.removeAll("/u/1");
        await storage.removeAll("/none/1");
        expect(await filesBelow(storage, "/")).toEqual(["/u/2/data"]);
        expect(await names(storage, "/u")).toEqual(["2"]);
      });

      test("removeEmptyDirectories goes up while they are empty, not to stopAt", async () => {
        await storage.putFile("/top/a/b/c/f", text("x"));
        await storage.putFile("/top/a/keep", text("x"));
        await storage.remove("/top/a/b/c/f");
        await storage.removeEmptyDirectories("/top/a/b/c", "/top");
        expect(await names(storage, "/top/a")).toEqual(["keep"]);
        await storage.remove("/top/a/keep");
        await storage.removeEmptyDirectories("/top/a", "/top");
        expect(await names(storage, "/")).toEqual(["top"]);
        await storage.removeEmptyDirectories("/top", "/top");
        expect(await names(storage, "/")).toEqual(["top"]);
      });

      test("removeEmptyDirectories leaves what holds something, and does not mind absence", async () => {
        await storage.putFile("/top/a/f", text("x"));
        await storage.removeEmptyDirectories("/top/a", "/");
        await storage.removeEmptyDirectories("/top/a/f", "/");
        await storage.removeEmptyDirectories("/top/a/none/none", "/");
        await storage.removeEmptyDirectories("/none/none", "/");
        expect(await textAt(storage, "/top/a/f")).toBe("x");
      });

      test("removeEmptyDirectories ends what a killed run began", async () => {
        await storage.putFile("/top/a/b/f", text("x"));
        await storage.remove("/top/a/b/f");
        await storage.removeEmptyDirectories("/top/a/b", "/top/a");
        await storage.removeEmptyDirectories("/top/a/b", "/top");
        expect(await names(storage, "/top")).toEqual([]);
      });

      test("removeEmptyDirectories refuses a path that is not below stopAt", async () => {
        await storage.putFile("/ab/c/f", text("x"));
        await storage.remove("/ab/c/f");
        for (const [path, stopAt] of [
          ["/ab/c", "/a"],
          ["/ab", "/ab/c"],
        ] as const) {
          expect(await failureOf(storage.removeEmptyDirectories(path, stopAt))).toMatchObject({
            code: "invalid-path",
          });
        }
        expect(await names(storage, "/ab")).toEqual(["c"]);
      });
    });

    test("check passes, also several at once, and leaves nothing", async () => {
      await Promise.all([storage.check(), storage.check(), storage.check()]);
      await storage.check();
      expect(await filesBelow(storage, "/")).toEqual([]);
    });
  });
}
