// INV-2 where many changes share one sync of the file system: durable when it resolves, and until then at
// worst an empty or torn link, whose redo record is still there. Readers see whole links at every moment.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { bulkMin } from "../../src/storage/filesystem/apply-changes.ts";
import { fileSystemCalls } from "../../src/storage/filesystem/file-system-calls.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { DiskModel } from "./storage-disk-model.ts";
import { checkNoLitter, textAt } from "./storage-drivers.ts";

let root: string;
let disk: DiskModel;
let storage: FilesystemStorage;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "storage-bulk-"));
  disk = new DiskModel(root);
  storage = new FilesystemStorage(root, { calls: disk });
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const paths = Array.from({ length: bulkMin }, (_, i) => `/r/${i % 7}/_layers/${i}/link`);

function writeAll(content: string | null): Promise<void> {
  return storage.applyChanges(paths.map((path) => ({ path, content })));
}

function checkDurable(content: string | null): void {
  for (const path of paths) expect(disk.outcomes(path)).toEqual(new Set([content ?? "absent"]));
}

function readNow(path: string): string {
  try {
    return readFileSync(`${root}${path}`, "utf8");
  } catch {
    return "absent";
  }
}

/** What each of the paths may hold for a reader, and what a power cut may leave, from now on. */
function onlyEver(allowed: readonly string[]): void {
  let step = 0;
  disk.onStep = () => {
    step++;
    // A few of them at each step, others at the next.
    for (const path of paths.filter((_, i) => (i + step) % 5 === 0)) {
      expect(allowed).toContain(readNow(path));
      for (const outcome of disk.outcomes(path))
        expect([...allowed, "", "torn"]).toContain(outcome);
    }
  };
}

describe("many changes at once", () => {
  test("INV-2: durable when it resolves; whole for readers before", async () => {
    onlyEver(["absent", "one", "two"]);
    for (const content of ["one", "two", null, "one", null]) {
      await writeAll(content);
      checkDurable(content);
    }
  });

  test("by one sync of the file system, and not by one of each file", async () => {
    const synced: string[] = [];
    const syncPath = disk.syncPath.bind(disk);
    disk.syncPath = (path) => {
      synced.push(path.slice(root.length));
      return syncPath(path);
    };
    disk.fsync = () => Promise.reject(new Error("no file is fsynced by itself"));
    await writeAll("one");
    // Their common directory, and its name.
    expect(synced.sort()).toEqual(["", "/r"]);
  });

  for (const bulkSync of ["fails", "unknown"] as const) {
    test(`INV-2: durable all the same where that sync ${bulkSync === "fails" ? "fails" : "is not known to be enough"}`, async () => {
      disk.bulkSync = bulkSync;
      for (const content of ["one", null, "two"]) {
        await writeAll(content);
        checkDurable(content);
      }
      await checkNoLitter(storage);
    });
  }

  test("INV-2: durable also where a directory leads to another file system", async () => {
    disk.otherDevices.push(`${root}/r/3`, `${root}/r/5/_layers`);
    for (const content of ["one", null, "two", null]) {
      await writeAll(content);
      checkDurable(content);
    }
    await checkNoLitter(storage);
  });

  test("INV-2: killed before any of its calls, then called again by the next process", async () => {
    for (let dieAt = 1; ; dieAt += 13) {
      disk.dieAt = disk.calls + dieAt;
      const died = await writeAll("one").then(
        () => false,
        () => true,
      );
      disk.dieAt = Infinity;
      storage = new FilesystemStorage(root, { calls: disk });
      await writeAll("one");
      checkDurable("one");
      rmSync(`${root}/r`, { recursive: true });
      disk.forgetDirectory(`${root}/r`);
      if (!died) break;
      expect(dieAt).toBeLessThan(2_000);
    }
  });

  test("INV-2: beside a collector that takes the directories away", async () => {
    await writeAll("one");
    let steps = 0;
    disk.onStep = () => {
      const path = paths[steps++ % paths.length] ?? "";
      for (let at = dirname(path); at !== "/"; at = dirname(at)) {
        try {
          rmdirSync(`${root}${at}`);
          disk.forgetDirectory(`${root}${at}`);
        } catch {
          break; // Something is in it.
        }
      }
    };
    for (const content of [null, "one", null, "two"]) {
      await writeAll(content);
      checkDurable(content);
    }
  });

  test("INV-1: a directory that a bulk has made counts as durable for nobody before it is", async () => {
    await storage.putFile("/r/0/_layers/x/link", Buffer.from("x"));
    await storage.remove("/r/0/_layers/x/link");
    await storage.removeEmptyDirectories("/r/0/_layers/x", "/r");
    disk.bulkSync = "fails";
    const beside: Promise<void>[] = [];
    disk.onStep = () => {
      // As soon as the bulk has made the directory, somebody else puts a file beside.
      if (beside.length > 0 || readNow("/r/0/_layers/0/link") === "absent") return;
      beside.push(putBeside());
    };
    await writeAll("one");
    expect(beside.length).toBe(1);
    await Promise.all(beside);
  });
});

async function putBeside(): Promise<void> {
  await storage.putFile("/r/0/beside", Buffer.from("b"));
  expect(disk.outcomes("/r/0/beside")).toEqual(new Set(["b"]));
}

describe("on the real file system", () => {
  test("the worker writes and removes, and leaves no litter", async () => {
    storage = new FilesystemStorage(root);
    const links = Array.from({ length: 200 }, (_, i) => `/repositories/a/${i % 9}/x${i}/link`);
    const left: string[] = [];
    const counting = {
      ...fileSystemCalls,
      applyBulk: async (bulk: Parameters<typeof fileSystemCalls.applyBulk>[0]) => {
        const these = await fileSystemCalls.applyBulk(bulk);
        left.push(...these);
        return these;
      },
    };
    storage = new FilesystemStorage(root, { calls: counting });
    await storage.applyChanges(links.map((path) => ({ path, content: path })));
    for (const path of links) expect(await textAt(storage, path)).toBe(path);
    await storage.applyChanges(links.map((path) => ({ path, content: null })));
    for (const path of links) expect(await storage.stat(path)).toBeNull();
    await checkNoLitter(storage);
    // All of them or none: this disk may be of a kind that is synced file by file.
    expect([0, links.length * 2]).toContain(left.length);
    // One sync waits for everybody's bytes on that disk.
  }, 60_000);

  test("what cannot be written is told by name", async () => {
    storage = new FilesystemStorage(root);
    await storage.putFile("/r/0/_layers", Buffer.from("a file in the way"));
    const failed = await Promise.allSettled([writeAll("one")]);
    expect(failed).toMatchObject([{ status: "rejected", reason: { code: "io" } }]);
    expect(String((failed[0] as PromiseRejectedResult).reason)).toContain("/r/0/_layers/");
  });
});
