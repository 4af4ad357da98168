import { describe, expect, test } from "bun:test";
import { DurableDirectories } from "./durable-directories.ts";
import { type FileSystemCalls, fileSystemCalls } from "./file-system-calls.ts";

/** Calls that are counted; an fsync ends when the test says so, if it says so. */
function fake(options: { readonly held?: boolean; readonly code?: string } = {}) {
  const synced: string[] = [];
  const made: string[] = [];
  const held: (() => void)[] = [];
  const calls: FileSystemCalls = {
    ...fileSystemCalls,
    mkdir: (path) => {
      made.push(path);
      return Promise.resolve();
    },
    syncPath: async (path) => {
      synced.push(path);
      if (options.held === true) await new Promise<void>((resolve) => held.push(resolve));
      if (options.code !== undefined) {
        throw Object.assign(new Error(options.code), { code: options.code });
      }
    },
  };
  const release = async (): Promise<void> => {
    for (const resolve of held.splice(0)) resolve();
    await Bun.sleep(0);
  };
  return { synced, made, release, directories: new DurableDirectories(calls, "/root") };
}

describe("DurableDirectories", () => {
  test("fsyncs the directory and every one above it, once", async () => {
    const { synced, directories } = fake();
    await directories.settle("/root/a/b");
    expect(synced.sort()).toEqual(["/root", "/root/a", "/root/a/b"]);
    synced.length = 0;
    await directories.settle("/root/a/b");
    expect(synced).toEqual(["/root/a/b"]);
  });

  test("who comes while an fsync runs waits for another one, and all of them for the same", async () => {
    const { synced, release, directories } = fake({ held: true });
    const ended: number[] = [];
    const settle = async (i: number): Promise<void> => {
      await directories.settle("/root");
      ended.push(i);
    };
    const all = [settle(1), settle(2), settle(3)];
    await release();
    expect(ended).toEqual([1]);
    expect(synced.length).toBe(2);
    await release();
    await Promise.all(all);
    expect(synced.length).toBe(2);
  });

  test("a directory made again while its entry is being confirmed is not taken for durable", async () => {
    const { synced, release, directories } = fake({ held: true });
    const first = directories.settle("/root/a");
    // A collector has removed the directory after that fsync, and somebody makes it again.
    await directories.make("/root/a");
    await release();
    await first;
    synced.length = 0;
    const second = directories.settle("/root/a");
    await release();
    await second;
    expect(synced).toContain("/root");
  });

  test("a root that was made here becomes durable in the directory above it, once", async () => {
    const { synced, made, directories } = fake();
    await directories.make("/root");
    await directories.settle("/root");
    expect(made).toEqual(["/root"]);
    expect(synced.sort()).toEqual(["/", "/root"]);
    synced.length = 0;
    await directories.settle("/root");
    expect(synced).toEqual(["/root"]);
  });

  test("file systems that cannot fsync a directory are lived with; broken ones are not", async () => {
    await fake({ code: "EINVAL" }).directories.settle("/root/a");
    await fake({ code: "ENOTSUP" }).directories.settle("/root/a");
    const broken = await Promise.allSettled([fake({ code: "EIO" }).directories.settle("/root/a")]);
    expect(broken).toMatchObject([{ status: "rejected", reason: { code: "EIO" } }]);
  });
});
