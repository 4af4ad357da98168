// Removals from an index of thousands of blobs whose disk has not one byte left, opened on that disk: the
// space that is kept (src/index/room.ts) is enough for them, batch after batch, in halves where a batch is
// too much; what clients add is refused whole. Needs the right to mount.
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Digest, RepositoryName } from "../../src/oci/index.ts";
import { openIndex } from "../../src/index/sqlite-index.ts";
import type { Difference, Index } from "../../src/registry/ports/index.ts";
import { inHalves, isFull } from "../../src/registry/in-halves.ts";
import { allFacts, missedByQueue, recount } from "../contract/index/collect.ts";
import { blobNo, repo, World } from "../contract/index/world.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";

setDefaultTimeout(300_000);

const blobs = 6_000;
const batch = 100;
const nowMs = 9_000;
const numbers = Array.from({ length: blobs }, (_, n) => n);

async function build(index: Index): Promise<void> {
  await index.startRebuild();
  for (let from = 0; from < blobs; from += 1_000) {
    const differences = numbers.slice(from, from + 1_000).flatMap((n): Difference[] => [
      { kind: "blob", digest: blobNo(n), sizeBytes: n, modifiedMs: 0 },
      { kind: "layer", repository: repo("a"), digest: blobNo(n), there: true },
    ]);
    await index.absorb(differences, { nowMs, recheck: false });
  }
  for (const what of ["blobs", "layers"] as const) {
    let after: string | null = null;
    do after = (await index.enqueuePage({ what, after, limit: 1_000, nowMs })).next;
    while (after !== null);
  }
  await index.markComplete();
}

async function removeAll(index: Index, disk: SmallDisk): Promise<number> {
  let halved = 0;
  for (let from = 0; from < blobs; from += batch) {
    const digests = numbers.slice(from, from + batch).map(blobNo);
    const candidates = digests.flatMap((digest) => [
      { repository: repo("a"), digest },
      { repository: null, digest },
    ]);
    const options = { nowMs, foreignGraceMs: 0 };
    const outcomes = await inHalves(candidates, (part) => index.condemn(part, options));
    if (outcomes.length > 1) halved++;
    expect(outcomes.flatMap(({ condemned }) => condemned)).toHaveLength(batch);
    await inHalves(digests, (part) => index.forget(part));
    const owed = await index.pendingRedo(1_000);
    await inHalves(owed, (part) => index.clearRedo(part));
    if (from % 1_000 === 0) disk.fill();
  }
  return halved;
}

async function removeOnFullDisk(root: string, disk: SmallDisk): Promise<void> {
  const path = join(root, "plimsoll", "index.db");
  const first = await openIndex(path, root);
  await build(first);
  await first.close();
  disk.fill();
  const index = await openIndex(path, root);
  disk.fill();
  const tree = { setLink: (): void => undefined, setBlob: (): void => undefined };
  const world = new World({ index, tree, close: () => index.close() });
  const refused: unknown[] = [];
  // Some find a place in pages that are there already; the rest is refused, and nothing of it is there.
  for (let n = 0; n < 300; n++) {
    await world.upload(`new-${n}`, blobs + n).catch((error: unknown) => {
      refused.push(error);
      expect(isFull(error)).toBe(true);
    });
  }
  expect(refused.length).toBeGreaterThan(0);
  const { blobs: present } = await index.totals();
  expect(present).toBe(blobs + 300 - refused.length);
  await removeAll(index, disk);
  expect((await index.totals()).blobs).toBe(present - blobs);
  expect(await index.totals()).toEqual(recount(await allFacts(index)));
  expect(await missedByQueue(index, nowMs)).toEqual([]);
  disk.empty();
  for (let n = 0; n < 300; n++) await world.upload(`new-${n}`, blobs + n);
  expect((await index.totals()).blobs).toBe(300);
  await index.close();
}

/** An event of each deletion, and what undoing it needs, together are more than what is kept. */
async function deleteWithDeadEndpoint(root: string, disk: SmallDisk): Promise<void> {
  const index = await openIndex(join(root, "plimsoll", "index.db"), root);
  await index.setEventEndpoints(["dead"]);
  const tree = { setLink: (): void => undefined, setBlob: (): void => undefined };
  const world = new World({ index, tree, close: () => index.close() });
  const images: [RepositoryName, Digest][] = [];
  for (let n = 0; n < 400; n++) {
    const name = `r${n % 20}`;
    images.push([repo(name), await world.image(name, { blobs: [n], tags: [`t${n}`] })]);
  }
  disk.fill();
  let last: string | undefined;
  for (const image of images) {
    expect((await world.deleteRestorably(...image)).outcome).toBe("deleted");
    const owed = await index.pendingRedo(1_000);
    if (owed.length > 100) await inHalves(owed, (part) => index.clearRedo(part));
    last = image[1];
    disk.fill();
  }
  const waiting = (await index.nextEvents("dead", 2_000)) ?? [];
  // The oldest have given way, and the newest are there.
  expect(waiting.length).toBeLessThan(1_600);
  expect(waiting.at(-1)?.event).toMatchObject({ action: "delete", digest: last ?? "" });
  await index.close();
}

async function onSmallDisk(
  kib: number,
  work: (root: string, disk: SmallDisk) => Promise<void>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "plimsoll-removals-"));
  const disk = mountSmallDisk(root, kib);
  if (disk === null) throw new Error("this is root, and may not mount");
  try {
    await work(root, disk);
  } finally {
    disk.unmount();
    rmSync(root, { recursive: true, force: true });
  }
}

test.skipIf(process.getuid?.() !== 0)("removals go on, and what clients add is refused", () =>
  onSmallDisk(24 * 1024, removeOnFullDisk),
);

test.skipIf(process.getuid?.() !== 0)("events for a dead endpoint give way to deletions", () =>
  onSmallDisk(24 * 1024, deleteWithDeadEndpoint),
);
