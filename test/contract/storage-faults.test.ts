// The wrappers with which the crash tests break a storage do what they say, and nothing else.
import { describe, expect, test } from "bun:test";
import { StorageError } from "../../src/registry/ports/storage.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { type Fault, FaultyStorage } from "../support/faulty-storage.ts";
import { PowerCutStorage } from "../support/power-cut-storage.ts";
import { failureOf, filesBelow, textAt, upload } from "./storage-drivers.ts";

const bytes = Buffer.from("bytes");

/** Five changing calls: open, append, sync, publish, applyChanges. */
async function push(storage: FaultyStorage): Promise<void> {
  const writer = await storage.openUpload("/u/data");
  try {
    await writer.append(bytes);
    await writer.sync();
  } finally {
    await writer.close();
  }
  await storage.publish("/u/data", "/b/data");
  await storage.applyChanges([{ path: "/r/link", content: "l" }]);
}

describe("FaultyStorage", () => {
  test("counts the calls that change something", async () => {
    const storage = new FaultyStorage(new MemoryStorage());
    await push(storage);
    expect(storage.calls).toBe(5);
    await storage.stat("/b/data");
    await storage.check();
    expect(storage.calls).toBe(5);
  });

  test("throw: dies before or after the n-th call, and is dead from then on", async () => {
    const after: Record<string, string[]> = {};
    for (const when of ["before", "after"] as const) {
      for (let at = 1; at <= 5; at++) {
        const inner = new MemoryStorage();
        const storage = new FaultyStorage(inner, { kind: "throw", at, when });
        expect(String(await failureOf(push(storage)))).toContain("dead");
        expect(storage.isDead).toBe(true);
        expect(String(await failureOf(storage.stat("/b/data")))).toContain("dead");
        expect(storage.calls).toBe(at);
        after[`${when} ${at}`] = await filesBelow(inner, "/");
      }
    }
    expect(after).toMatchObject({
      "before 1": [],
      "after 1": ["/u/data"],
      "before 4": ["/u/data"],
      "after 4": ["/b/data"],
      "before 5": ["/b/data"],
      "after 5": ["/b/data", "/r/link"],
    });
  });

  test("full: what needs room fails from the n-th call on, removals and reads go on", async () => {
    const inner = new MemoryStorage();
    const storage = new FaultyStorage(inner, { kind: "full", at: 5 });
    expect(await failureOf(push(storage))).toMatchObject({ code: "full" });
    expect(await failureOf(storage.check())).toMatchObject({ code: "full" });
    expect(await textAt(storage, "/b/data")).toBe("bytes");
    await storage.applyChanges([{ path: "/b/data", content: null }]);
    await storage.removeEmptyDirectories("/b", "/");
    expect(await filesBelow(storage, "/")).toEqual([]);
    storage.fault = null;
    await push(storage);
    expect(await textAt(storage, "/r/link")).toBe("l");
  });

  test("kill: the process gets SIGKILL at that call", async () => {
    const fault: Fault = { kind: "kill", at: 2, when: "before" };
    const script = `
      import { MemoryStorage } from "${import.meta.dir}/../../src/storage/memory.ts";
      import { FaultyStorage } from "${import.meta.dir}/../support/faulty-storage.ts";
      const storage = new FaultyStorage(new MemoryStorage(), ${JSON.stringify(fault)});
      await storage.putFile("/a", new Uint8Array(1));
      console.log("one");
      await storage.putFile("/b", new Uint8Array(1));
      console.log("two");`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      stdout: "pipe",
      stderr: "inherit",
    });
    expect(await new Response(child.stdout).text()).toBe("one\n");
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
  });
});

describe("PowerCutStorage", () => {
  test("keeps what the port calls durable, and loses the rest", async () => {
    const storage = new PowerCutStorage();
    await upload(storage, "/u/1/data", "published");
    await storage.publish("/u/1/data", "/b/data");
    await storage.putFile("/r/link", Buffer.from("l"));
    await storage.putFile("/r/removed", Buffer.from("back"));
    await storage.putFile("/r/gone", Buffer.from("x"));
    await storage.applyChanges([{ path: "/r/gone", content: null }]);
    await storage.remove("/r/removed");
    await upload(storage, "/u/2/data", "unsynced");
    const writer = await storage.openUpload("/u/3/data");
    await writer.append(Buffer.from("synced"));
    await writer.sync();
    await writer.append(Buffer.from(" and not"));
    const after = await storage.powerCut();
    const found: Record<string, string | null> = {};
    for (const path of await filesBelow(after, "/")) found[path] = await textAt(after, path);
    expect(found).toEqual({
      "/b/data": "published",
      "/r/link": "l",
      "/r/removed": "back",
      "/u/3/data": "synced",
    });
  });

  test("fails every call once the power is off, writers' and those under way too", async () => {
    const storage = new PowerCutStorage();
    const writer = await storage.openUpload("/u/data");
    const underWay = failureOf(storage.putFile("/a", bytes));
    const after = await storage.powerCut();
    expect(await underWay).toBeInstanceOf(StorageError);
    expect(await failureOf(writer.append(bytes))).toBeInstanceOf(StorageError);
    expect(await failureOf(storage.stat("/a"))).toBeInstanceOf(StorageError);
    expect(await filesBelow(after, "/")).toEqual([]);
    await after.putFile("/a", bytes);
    expect(await textAt(await after.powerCut(), "/a")).toBe("bytes");
  });

  test("with a seed: by chance kept, lost or torn, and the same for the same seed", async () => {
    const run = async (seed: number): Promise<string> => {
      const storage = new PowerCutStorage({ seed });
      await storage.putFile("/durable", bytes);
      await storage.putFile("/removed", bytes);
      await storage.remove("/removed");
      await upload(storage, "/upload", "0123456789");
      const after = await storage.powerCut();
      expect(await textAt(after, "/durable")).toBe("bytes");
      expect([null, "bytes"]).toContain(await textAt(after, "/removed"));
      return `${await textAt(after, "/removed")} ${await textAt(after, "/upload")}`;
    };
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const outcome = await run(seed);
      expect(await run(seed)).toBe(outcome);
      outcomes.add(outcome);
    }
    for (const outcome of ["null null", "bytes null", "null 0123456789", "bytes 0123456789"]) {
      expect(outcomes).toContain(outcome);
    }
    expect(outcomes.size).toBeGreaterThan(8);
  });

  test("a change under way when the power fails is whole or not there", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const storage = new PowerCutStorage({ seed });
      await storage.putFile("/link", Buffer.from("old"));
      const changes = [
        { path: "/other", content: "x" },
        { path: "/link", content: "new" },
      ];
      const underWay = Promise.allSettled([storage.applyChanges(changes)]);
      for (let i = seed % 4; i > 0; i--) await new Promise(setImmediate);
      const after = await storage.powerCut();
      await underWay;
      expect(["old", "new"]).toContain((await textAt(after, "/link")) ?? "absent");
      expect([null, "x"]).toContain(await textAt(after, "/other"));
    }
  });
});
