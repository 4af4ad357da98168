// The scrub, round by round, on a clock that the tests move: every byte once per interval, on after a restart
// from where it was, and what is altered goes out of service with an error that names the images.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";

import { type Digest, parseRepositoryName } from "../../src/oci/index.ts";
import type { Totals } from "../../src/registry/ports/index.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import { Quarantine } from "../../src/registry/quarantine.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { blobDataPath, quarantinePath } from "../../src/storage/layout.ts";
import { Scrub } from "../../src/takeover/scrub.ts";
import { Takeover } from "./takeover.ts";
import { type TestImage, Tree } from "./tree.ts";

setDefaultTimeout(60_000);

const name = parseRepositoryName("team/app");
const hour = 3_600_000;
const intervalMs = 24 * hour;
let tree: Tree;
let image: TestImage;
let takeover: Takeover;
let nowMs: number;
let lines: string[];

beforeEach(async () => {
  tree = new Tree();
  image = tree.image(name, "v1");
  takeover = await Takeover.of(tree);
  await takeover.run("first-build");
  nowMs = 1_800_000_000_000;
  lines = [];
});
afterEach(async () => {
  await takeover.close();
});

function scrub(
  more: {
    readonly sleep?: (ms: number) => Promise<void>;
    readonly quarantine?: (digest: Digest) => ReturnType<Quarantine["check"]>;
    readonly totals?: () => Promise<Totals>;
  } = {},
): Scrub {
  const { index } = takeover;
  const storage = new FilesystemStorage(tree.root);
  const quarantine = new Quarantine({ index, storage, locks: new KeyedLocks() });
  return new Scrub({
    tree: { rootDirectory: tree.root, indexPath: tree.indexPath },
    index: {
      totals: () => (more.totals ?? (() => index.totals()))(),
      readingPosition: (reader) => index.readingPosition(reader),
      setReadingPosition: (reader, position) => index.setReadingPosition(reader, position),
    },
    repair: { quarantine: more.quarantine ?? ((digest) => quarantine.check(digest)) },
    clock: { now: () => nowMs },
    sleep: more.sleep ?? (() => Promise.resolve()),
    log: {
      info: (line) => lines.push(line),
      warn: (line) => lines.push(`warn: ${line}`),
      error: (line) => lines.push(`error: ${line}`),
    },
    options: { intervalMs, rateBytes: 1_000_000_000 },
  });
}

function alter(digest: Digest): void {
  const path = tree.root + blobDataPath(digest);
  tree.put(blobDataPath(digest), readFileSync(path, "utf8").toUpperCase());
}

const errors = (): string[] => lines.filter((line) => line.startsWith("error: "));

describe("the scrub", () => {
  test("reads every byte once per interval", async () => {
    const one = scrub();
    expect(await one.step()).toBe(0);
    expect(lines.at(-1)).toMatch(/^the scrub has read 3 blobs and \d+ bytes in .*: all in order$/);
    alter(image.layer);
    expect(await one.step()).toBe(hour);
    nowMs += intervalMs - 1_000;
    expect(await one.step()).toBe(1_000);
    expect(errors()).toEqual([]);
    nowMs += 1_000;
    expect(await one.step()).toBe(0);
    expect(errors()).toHaveLength(1);
  });

  test("INV-9: quarantines what is altered, and says which images to push", async () => {
    alter(image.layer);
    await scrub().step();
    const [error = ""] = errors();
    expect(error).toStartWith(`error: scrub: wrong bytes ${image.layer}: `);
    expect(error).toEndWith(
      `needed by team/app:v1; moved to ${quarantinePath(image.layer, 1)}; push the images named again`,
    );
    expect(existsSync(tree.root + blobDataPath(image.layer))).toBe(false);
    expect(await takeover.index.findBlob(name, image.layer)).toBeNull();
    expect(lines.at(-1)).toEndWith("1 not in order, told above");
  });

  test("what a push has put right meanwhile is no error", async () => {
    alter(image.layer);
    await scrub({ quarantine: () => Promise.resolve({ kind: "sound" }) }).step();
    expect(errors()).toEqual([]);
    expect(lines.at(-1)).toEndWith("all in order");
  });

  test("what cannot be moved is told, and the round goes on", async () => {
    alter(image.layer);
    alter(image.config);
    const failing = (): Promise<never> => Promise.reject(new Error("no space"));
    await scrub({ quarantine: failing }).step();
    expect(errors()).toHaveLength(2);
    expect(errors()[0]).toContain("could not be mended: no space");
  });

  test("goes on after a restart where it was, in the same round", async () => {
    const sorted = [image.layer, image.config, image.digest].sort();
    const [first, second, third] = sorted;
    if (first === undefined || second === undefined || third === undefined) throw new Error("3");
    alter(first);
    alter(third);
    const startedMs = nowMs - 10 * hour;
    const at = { after: second, counts: { blobs: 2, hashedBytes: 20 } };
    const kept = { startedMs, isOver: false, at, wrong: 0 };
    await takeover.index.setReadingPosition("scrub", JSON.stringify(kept));
    expect(await scrub().step()).toBe(0);
    expect(errors()).toEqual([expect.stringContaining(third)] as string[]);
    expect(lines[0]).toStartWith("the scrub goes on reading ");
    // The next round is counted from the start of this one.
    nowMs = startedMs + intervalMs - 1;
    expect(await scrub().step()).toBe(1);
    nowMs += 1;
    await scrub().step();
    expect(errors().some((line) => line.includes(`wrong bytes ${first}`))).toBe(true);
  });

  test("stopped in the middle, it keeps how far it came", async () => {
    for (let n = 0; n < 520; n++) tree.layer(name, `filler ${n}`);
    await takeover.run("first-build");
    // Of all these, the one at which it is stopped comes after the first page.
    const last = [...Array(520).keys()]
      .map((n) => tree.layer(name, `filler ${n}`))
      .sort()
      .at(-1);
    if (last === undefined) throw new Error("there are many");
    alter(last);
    const stopping = Promise.withResolvers<Scrub>();
    const one = scrub({
      quarantine: async () => {
        void (await stopping.promise).stop();
        return { kind: "sound" };
      },
    });
    stopping.resolve(one);
    const failure = await one.step().then(() => null, String);
    expect(failure).toContain("stopping");
    const position: unknown = JSON.parse((await takeover.index.readingPosition("scrub")) ?? "");
    expect(position).toMatchObject({ isOver: false, at: { counts: { blobs: 500 } } });
  });

  test("a round that fails as a whole is told, and tried again later", async () => {
    const waits: number[] = [];
    const rounds = Promise.withResolvers<void>();
    const one = scrub({
      totals: async () => {
        if (waits.length === 0) throw new Error("the disk is away");
        return await takeover.index.totals();
      },
      sleep: async (ms) => {
        waits.push(ms);
        if (waits.length < 3) return;
        rounds.resolve();
        await new Promise(() => undefined);
      },
    });
    one.start(Promise.resolve());
    await rounds.promise;
    expect(errors()).toEqual(["error: the scrub was cut off and goes on later: the disk is away"]);
    expect(lines.at(-1)).toEndWith("all in order");
    expect(waits).toEqual([600_000, 0, hour]);
  });

  test("a position that another version wrote is no position", async () => {
    await takeover.index.setReadingPosition("scrub", "{ not what this version writes");
    expect(await scrub().step()).toBe(0);
    expect(lines.at(-1)).toMatch(/^the scrub has read 3 blobs /);
  });

  test("stopped before it may begin, it ends at once", async () => {
    const one = scrub();
    one.start(new Promise(() => undefined));
    await one.stop();
    expect(lines).toEqual([]);
  });
});
