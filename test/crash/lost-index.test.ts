// The index is taken away, cut, overwritten or exchanged, under a running server and between two runs: the
// registry says so, builds a new one from the tree, and goes on, in the same process where there is one.
// Every acknowledged image pulls afterwards, and a collection works. The port's side: index-file.test.ts.
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type Sandbox, withSandbox } from "../e2e/sandbox.ts";
import { type Image, makeImage } from "../support/images.ts";
import { PushClient, UnexpectedAnswerError } from "../support/push-client.ts";

setDefaultTimeout(600_000);

const pageBytes = 4096;
const garbage = Buffer.alloc(300_000, "no index at all ");

/** Into the file that is there, from this byte on: whoever has it open sees it. */
function overwrite(path: string, from: number): void {
  const fd = openSync(path, "r+");
  const { size } = fstatSync(fd);
  writeSync(fd, garbage, 0, Math.min(garbage.length, size - from), from);
  closeSync(fd);
}

/** The tables that a look-up reads first. */
function overwriteTable(path: string, name: string): void {
  const file = new Database(path, { readonly: true });
  const { page_size } = file.query<{ page_size: number }, []>("PRAGMA page_size").get() ?? {
    page_size: pageBytes,
  };
  const row = file
    .query<{ rootpage: number }, [string]>("SELECT rootpage FROM sqlite_schema WHERE name = ?")
    .get(name);
  file.close();
  const fd = openSync(path, "r+");
  writeSync(fd, garbage, 0, page_size, ((row?.rootpage ?? 0) - 1) * page_size);
  closeSync(fd);
}

type Damage = (path: string) => void;

const whileItRuns: Readonly<Record<string, Damage>> = {
  "removed with its log": (path) => {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix);
  },
  removed: (path) => {
    rmSync(path);
  },
  "moved away": (path) => {
    renameSync(path, `${path}.moved`);
  },
  emptied: (path) => {
    truncateSync(path, 0);
  },
  "cut to two pages": (path) => {
    truncateSync(path, 2 * pageBytes);
  },
  "replaced by garbage": (path) => {
    writeFileSync(`${path}.new`, garbage);
    renameSync(`${path}.new`, path);
  },
  "replaced by a copy of an earlier day": (path) => {
    copyFileSync(path, `${path}.copy`);
    renameSync(`${path}.copy`, path);
  },
  "its log removed": (path) => {
    rmSync(`${path}-wal`);
  },
  "its log emptied": (path) => {
    truncateSync(`${path}-wal`, 0);
  },
  "overwritten in place": (path) => {
    overwrite(path, 0);
  },
};

const betweenRuns: Readonly<Record<string, Damage>> = {
  removed: (path) => {
    rmSync(path);
  },
  "removed, its log left": (path) => {
    rmSync(path);
    rmSync(`${path}-shm`, { force: true });
  },
  "its log removed": (path) => {
    rmSync(`${path}-wal`);
  },
  "its log overwritten": (path) => {
    overwrite(`${path}-wal`, 0);
  },
  emptied: (path) => {
    truncateSync(path, 0);
  },
  "cut in half": (path) => {
    truncateSync(path, 20 * pageBytes);
  },
  garbage: (path) => {
    writeFileSync(path, garbage);
  },
  "a page of the blobs damaged": (path) => {
    overwriteTable(path, "blobs");
  },
  "a page of the tags damaged": (path) => {
    overwriteTable(path, "tags");
  },
  "everything but the first page damaged": (path) => {
    overwrite(path, pageBytes);
  },
};

interface Story {
  readonly sandbox: Sandbox;
  readonly http: PushClient;
  readonly path: string;
  readonly acknowledged: Map<string, Image>;
}

/** Pushed, and the tree has followed: what destroys the content of an index takes what it owes with it. */
async function push({ sandbox, http, acknowledged }: Story, tag: string): Promise<void> {
  const image = makeImage(`lost/${tag}`, [5_000, 3_000]);
  // How long it takes to build an index again depends on the machine.
  for (let answered = false; !answered;) {
    try {
      await http.push("lost/index", tag, image);
      answered = true;
    } catch (error) {
      if (!(error instanceof UnexpectedAnswerError) || error.status !== 503) throw error;
    }
  }
  acknowledged.set(tag, image);
  const link = join(sandbox.tree, "repositories/lost/index/_manifests/tags", tag, "current/link");
  while (!existsSync(link)) await Bun.sleep(5);
}

/** A client comes again while the registry says 503. */
async function expectAll({ http, acknowledged }: Story): Promise<void> {
  // The latest; those before them are looked at by those who came before.
  for (const [tag, image] of [...acknowledged].slice(-4)) {
    let status = 503;
    for (let tries = 0; status === 503 && tries < 600; tries++) {
      status = await http.statusOf(`/v2/lost/index/manifests/${tag}`);
      if (status === 503) await Bun.sleep(50);
    }
    const { digest } = await http.pull("lost/index", tag);
    expect(digest).toBe(image.manifest.digest);
  }
}

/** Whoever comes first meets the damage: somebody who pushes. */
async function expectMended(story: Story, name: string): Promise<void> {
  await push(story, `after-${name.replaceAll(/\W/g, "-")}`);
  await expectAll(story);
}

async function expectWhole(story: Story): Promise<void> {
  const { sandbox, acknowledged, http } = story;
  const [[tag = "", image] = []] = acknowledged;
  if (image === undefined) throw new Error("nothing was acknowledged");
  acknowledged.delete(tag);
  await http.deleteManifest("lost/index", image.manifest.digest);
  const collected = await sandbox.command("garbage-collect");
  expect(collected.exitCode, collected.stderr).toBe(0);
  expect(await http.statusOf(`/v2/lost/index/manifests/${tag}`)).toBe(404);
  const verified = await sandbox.command("verify", "--hash");
  expect(verified.exitCode, verified.stdout + verified.stderr).toBe(0);
  await expectAll(story);
}

function storyOf(sandbox: Sandbox): Story {
  const http = new PushClient(`http://${sandbox.host}`);
  const path = join(sandbox.root, "plimsoll", "index.db");
  return { sandbox, http, path, acknowledged: new Map<string, Image>() };
}

test(
  "INV-8: while the server runs",
  withSandbox(async (sandbox) => {
    const story = storyOf(sandbox);
    const server = await sandbox.start();
    let lost = 0;
    for (const [name, damage] of Object.entries(whileItRuns)) {
      await push(story, `before-${lost}`);
      damage(story.path);
      await expectMended(story, name);
      lost += 1;
      const log = await server.log();
      expect(log.split("the index is lost").length - 1, name).toBe(lost);
      expect(log.split("built again from the tree; everything goes on").length - 1).toBe(lost);
    }
    await expectWhole(story);
    expect(await server.stop(), await server.log()).toBe(0);
  }),
);

test(
  "INV-8: between two runs",
  withSandbox(async (sandbox) => {
    const story = storyOf(sandbox);
    let server = await sandbox.start();
    for (const [name, damage] of Object.entries(betweenRuns)) {
      await push(story, `before-${name.replaceAll(/\W/g, "-")}`);
      await server.stop();
      damage(story.path);
      server = await sandbox.start();
      await expectMended(story, name);
    }
    await expectWhole(story);
    expect(await server.stop(), await server.log()).toBe(0);
  }),
);
