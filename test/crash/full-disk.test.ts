// The registry's disk is full to the last byte, again before each step: pushes are refused with a clear
// error and nothing is lost, pulls and deletions go on, a collection frees space, a start and a stop work,
// and then everything goes on without a restart. A real server on a tmpfs, which only root may mount.
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { type Sandbox, withSandbox } from "../e2e/sandbox.ts";
import { type Image, makeImage } from "../support/images.ts";
import { PushClient, UnexpectedAnswerError } from "../support/push-client.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";

setDefaultTimeout(300_000);

const kib = 1024;
const diskKib = 8 * kib;
const images = Array.from({ length: 6 }, (_, n) => makeImage(`full/${n}`, [300 * kib, 20 * kib]));
const refused = makeImage("full/refused", [2_000 * kib]);
const smaller = makeImage("full/smaller", [100 * kib]);
const isRoot = process.getuid?.() === 0;

async function onSmallDisk(
  sandbox: Sandbox,
  body: (sandbox: Sandbox, disk: SmallDisk) => Promise<void>,
): Promise<void> {
  mkdirSync(sandbox.root);
  const disk = mountSmallDisk(sandbox.root, diskKib);
  if (disk === null) throw new Error("this is root, and may not mount");
  try {
    await body(sandbox, disk);
  } finally {
    disk.unmount();
  }
}

async function pushAll(http: PushClient): Promise<void> {
  for (const [n, image] of images.entries()) await http.push(`repository-${n % 2}`, `t${n}`, image);
}

async function expectAll(http: PushClient, expected: ReadonlyMap<number, Image>): Promise<void> {
  for (const [n, image] of expected) {
    const { digest } = await http.pull(`repository-${n % 2}`, `t${n}`);
    expect(digest).toBe(image.manifest.digest);
  }
}

async function failureOf(work: Promise<unknown>): Promise<UnexpectedAnswerError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof UnexpectedAnswerError) return error;
    throw error;
  }
  throw new Error("a push onto a full disk was acknowledged");
}

async function expectRefused(http: PushClient): Promise<void> {
  const failure = await failureOf(http.push("repository-0", "refused", refused));
  expect(failure.status).toBe(507);
  expect(failure.codes).toEqual(["UNAVAILABLE"]);
  expect(failure.body).toContain("garbage-collect");
}

/** Also the space that its leases held is free then. */
async function deleteAndCollect(
  sandbox: Sandbox,
  disk: SmallDisk,
  { http, n }: { readonly http: PushClient; readonly n: number },
): Promise<void> {
  disk.fill();
  await http.deleteManifest(`repository-${n % 2}`, images[n]?.manifest.digest ?? "");
  disk.fill();
  const collected = await sandbox.command("garbage-collect");
  expect(collected.exitCode, collected.stdout + collected.stderr).toBe(0);
  expect(collected.stdout).toMatch(/^3\d{5} bytes reclaimed/m);
  expect(disk.freeBytes).toBeGreaterThan(250 * kib);
}

async function fullDisk(sandbox: Sandbox, disk: SmallDisk): Promise<void> {
  const first = await sandbox.start();
  const http = new PushClient(first.url);
  await pushAll(http);
  const left = new Map(images.entries());
  await Bun.sleep(1_200);

  disk.fill();
  await expectRefused(http);
  disk.empty();
  disk.fill(kib * kib);
  await expectRefused(http);
  // Not one byte of the push that failed is left.
  expect(disk.freeBytes).toBeGreaterThan(1_000 * kib);
  disk.fill();
  await expectAll(http, left);
  for (const n of [0, 1]) {
    await deleteAndCollect(sandbox, disk, { http, n });
    left.delete(n);
    await expectAll(http, left);
  }
  // What was freed takes a push, without a restart.
  await http.push("repository-0", "t0", smaller);
  left.set(0, smaller);
  await expectAll(http, left);

  disk.fill();
  expect(await first.stop(), await first.log()).toBe(0);
  disk.fill();
  const second = await sandbox.start();
  await expectRefused(http);
  await expectAll(http, left);
  await deleteAndCollect(sandbox, disk, { http, n: 2 });
  left.delete(2);

  disk.fill();
  await second.stop("SIGKILL");
  disk.fill();
  const third = await sandbox.start();
  await expectAll(http, left);
  await deleteAndCollect(sandbox, disk, { http, n: 3 });
  left.delete(3);
  expect(await third.stop()).toBe(0);

  // Without a server the command is the owner.
  disk.fill();
  const alone = await sandbox.command("garbage-collect", "--full");
  expect(alone.exitCode, alone.stdout + alone.stderr).toBe(0);

  disk.empty();
  const fourth = await sandbox.start();
  await http.push("repository-0", "refused", refused);
  await expectAll(http, left);
  const verified = await sandbox.command("verify", "--hash");
  expect(verified.exitCode, verified.stdout + verified.stderr).toBe(0);
  expect(await fourth.stop()).toBe(0);
}

test.skipIf(!isRoot)(
  "a disk with not one byte left refuses pushes and does everything else",
  withSandbox((sandbox) => onSmallDisk(sandbox, fullDisk), { more: "gc:\n  grace: 1s\n" }),
);
