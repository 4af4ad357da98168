// Calls every method of the port at least once, each in the ways that make it ask the index different things.
import type { Index, RunRecord } from "../../../src/registry/ports/index.ts";
import { callRetention } from "./call-retention.ts";
import { collect, missedByQueue } from "./collect.ts";
import { memoryDriver } from "./fixture.ts";
import { deleteImage, deleteTag, deletionBy, listed, restore, wantedOf } from "./undo.ts";
import { useTokens } from "./use-tokens.ts";
import { blobNo, contentOf, repo, tag, World } from "./world.ts";

/** `named`: wraps the index, and so learns which method is called. */
export async function callEveryMethod(named: (index: Index) => Index): Promise<void> {
  const fixture = await memoryDriver.open();
  const index = named(fixture.index);
  const world = new World({ ...fixture, index });
  const terms = (): ReturnType<World["terms"]> => world.terms();
  await index.setEventEndpoints(["one", "two"]);
  for (const round of [1, 2]) {
    const upload = {
      id: `one ${round}`,
      repository: repo("a"),
      owner: null,
      startedAtMs: 1,
      terms: terms(),
    };
    await index.beginUpload(upload);
    await index.beginUpload({ ...upload, id: `refused ${round}`, sessionsMax: 1 });
    await index.touchUpload(upload);
    await index.findUpload(repo("a"), upload.id);
    await index.listIdleUploads(world.nowMs + 1, 9);
    await index.blobBytes();
    await index.expireUpload(upload.id, round === 1 ? 0 : world.nowMs + 1);
    await index.endUpload(upload.id);
    const child = await world.image("a", { blobs: [1, 2, 3], tags: ["x", "y"] });
    await world.image("a", { blobs: [2, 4], tags: ["x"] });
    const parent = await world.put("a", { children: [child], subject: child, indexLevelsMax: 2 });
    await world.put("a", { config: blobNo(1), layers: [blobNo(77)] });
    await index.mountBlob({ digest: blobNo(2), from: repo("a"), to: repo("b"), terms: terms() });
    await index.mountBlob({ digest: blobNo(2), from: null, to: repo("c"), terms: terms() });
    await lookAtAll(world, child);
    await lookAtImages(world, child);
    world.nowMs += 2 * 3_600_000;
    await lookAtAll(world, child);
    await compareAll(world, round);
    await callRetention(world);
    await index.unlinkBlob(repo("a"), blobNo(2), world.nowMs);
    await index.unlinkBlob(repo("b"), blobNo(2), world.nowMs);
    await index.namersOf(blobNo(2), {
      offset: 0,
      limit: 9,
      repository: round === 1 ? null : repo("a"),
    });
    await index.namedByManifest(child);
    await world.manifest("a", parent.digest);
    await world.blob("a", blobNo(2));
    const held = { nowMs: world.nowMs, immutable: [{ name: "one", tags: ["z"] }] };
    await index.deleteTag(repo("a"), tag("z"), held);
    await index.findHeld(repo("a"), tag("z"), held.immutable);
    await index.findHeld(repo("a"), parent.digest, held.immutable);
    await index.deleteTag(repo("a"), tag("x"), held);
    await index.deleteManifest(repo("a"), parent.digest, held);
    await lookAtDeletions(world, child);
    await undoAll(world);
    await lookAtUsage(world, child);
    await useTokens(index);
    await world.owed();
    await missedByQueue(index, world.nowMs);
    await index.emptyRepositories(9);
    await collect(index, { nowMs: world.nowMs, untagged: round === 2, foreignGraceMs: 99 });
    await index.isCondemned(blobNo(2));
    await lookAtMetricsAndEvents(index, round);
    await index.totals();
    await index.newestRedo();
    if (round === 1) await index.startRebuild();
  }
  await index.checkpoint();
  await index.close();
}

async function lookAtAll(world: World, child: ReturnType<typeof blobNo>): Promise<void> {
  const { index } = world;
  await index.findBlob(repo("a"), blobNo(1));
  await index.findBlobAnywhere(blobNo(1));
  await index.findManifest(repo("a"), child);
  await index.findTag(repo("a"), tag("x"));
  await index.findSizes([blobNo(1), blobNo(2)]);
  await index.listTags(repo("a"), { after: null, limit: 9 });
  await index.listRepositories({ after: null, limit: 9 });
  await index.listReferrers(repo("a"), child, { after: null, limit: 9, artifactType: null });
  await index.findAndLeaseBlob(repo("a"), blobNo(1), world.terms());
  await index.findAndLeaseManifest(repo("a"), child, world.terms());
  await index.repositoryUsage(repo("a"));
}

async function lookAtImages(world: World, child: ReturnType<typeof blobNo>): Promise<void> {
  const { index } = world;
  const position = { tag: tag("x"), pushedAtMs: 1 };
  await index.describeRepositories({ after: null, limit: 9 });
  await index.describeRepository(repo("a"));
  for (const sort of ["name", "pushed"] as const) {
    for (const descending of [true, false]) {
      await index.describeTags(repo("a"), { sort, descending, after: position, limit: 9 });
    }
  }
  await index.describeImage(repo("a"), child, 9);
  await index.describeChildren(repo("a"), [child]);
  await index.blobUsers(blobNo(2), repo("a"), 9);
}

async function lookAtDeletions(world: World, child: ReturnType<typeof blobNo>): Promise<void> {
  const { index, nowMs } = world;
  await world.deleteRestorably(repo("a"), child);
  await world.image("a", { blobs: [1, 2, 3], tags: ["x", "y"] });
  await world.deleteRestorably(repo("a"), child);
  await index.heldDigests({ after: null, deletedAfterMs: 0, deletedBeforeMs: nowMs, limit: 9 });
  await index.keptDeletions(0);
  await index.collectionDue({
    nowMs,
    policy: { untagged: true, untaggedBeforeMs: nowMs },
    deletedBeforeMs: 0,
    uploadsIdleSinceMs: 0,
  });
  const steppedOver = { count: 0, atLeast: false };
  const record = { startedAtMs: 0, durationMs: 0, errors: [], steppedOver } as object as RunRecord;
  await index.endRun(await index.beginRun(record), record);
  await index.beginRun(record);
  await index.interruptRuns(nowMs);
  await index.listRuns({ before: null, limit: 9 });
  await index.releaseDeletions({ deletedBeforeMs: 0, nowMs, limit: 9 });
}

async function undoAll(world: World): Promise<void> {
  const { index } = world;
  const one = await world.image("e", { blobs: [1, 2], tags: ["x", "y"] });
  await deleteTag(world, "e", "x");
  const young = await world.image("e", { blobs: [3], tags: ["x"] });
  await restore(world, wantedOf("e", "x"));
  await restore(world, wantedOf("e", "x"), { forceTags: true });
  const parent = await world.put("e", { children: [one, young], tags: ["z"] });
  await world.put("e", { config: blobNo(1), subject: parent.digest });
  world.nowMs += 2 * 3_600_000;
  await deleteImage(world, "e", parent.digest);
  await restore(world, wantedOf("e", parent.digest));
  await index.deleteRepository(repo("e"), deletionBy(world));
  await index.previewImageDeletion({ repository: repo("e"), digest: one }, world.nowMs);
  await index.previewRepositoryDeletion(repo("e"));
  await index.listUploads(repo("e"), { after: null, limit: 9 });
  await listed(world);
  await listed(world, repo("e"));
  const { nowMs } = world;
  await index.releaseDeletions({ deletedBeforeMs: nowMs, nowMs, limit: 99 });
  await restore(world, wantedOf("e", "x"));
  await restore(world, wantedOf("e", one));
  await restore(world, { id: 1 });
}

async function lookAtUsage(world: World, digest: ReturnType<typeof blobNo>): Promise<void> {
  const { index, nowMs } = world;
  const [repository, page] = [repo("a"), { after: null, limit: 9 }];
  await index.usageTotals();
  await index.recordUsage({ day: 1, nowMs });
  await index.usageHistory(9);
  await index.recountUsage(repository);
  await index.recountUsage(null);
  await index.blobHolders([blobNo(1), digest], page);
  await index.scanRepositoryUsage(page);
  await index.scanTaggedImages({ ...page, bytesMin: 0 });
  await index.scanManifestBytes(page);
  await index.scanBlobs({ ...page, bytesMin: 0 });
  await index.scanHeldBlobs(repository, { ...page, sharedWithMax: 3 });
  await index.scanManifests(repository, page);
  await index.scanNamed({ repository, digest }, page);
  await index.scanTagsOf({ repository, digest }, page);
  await index.scanUnheldBlobs({ ...page, nowMs });
  await index.scanRestorableBlobs(page);
  await index.scanUploads(page);
}

async function compareAll(world: World, round: number): Promise<void> {
  const { index, nowMs } = world;
  const bent = contentOf({ config: blobNo(50 + round) }).digest;
  const there = round === 1;
  const where = { repository: repo("d") };
  await index.absorb(
    [
      { kind: "blob", digest: blobNo(60), sizeBytes: there ? 1 : null, modifiedMs: 0 },
      { kind: "blob", digest: bent, sizeBytes: 1, modifiedMs: 0 },
      { kind: "layer", ...where, digest: blobNo(60), there },
      { kind: "revision", ...where, digest: bent, there: true, manifest: null, sizeBytes: 1 },
      { kind: "tag", ...where, tag: tag("x"), digest: there ? bent : null, modifiedMs: 0 },
      { kind: "tag-history", ...where, tag: tag("x"), digest: bent, there },
      { kind: "upload", ...where, id: "foreign", startedAtMs: there ? 1 : null },
    ],
    { nowMs, recheck: false },
  );
  await index.absorb([{ kind: "layer", ...where, digest: blobNo(60), there: true }], {
    nowMs,
    recheck: true,
  });
  await index.deleteManifest(where.repository, bent, nowMs);
  await index.recordProblems([], { first: true });
  await index.recordProblems([{ kind: "bad-link", ...where, name: null, path: "/x", detail: "" }], {
    first: false,
  });
  await index.listProblems(0, 9);
  await index.hasUnlistable();
  await index.listKnownRepositories({ after: null, limit: 9 });
  await index.repositoryFacts(repo("a"));
  await index.blobsWithPrefix("sha256", "ab");
  await index.loseBytes(blobNo(60));
  await index.setReadingPosition("verify", "here");
  await index.readingPosition("verify");
  await index.setReadingPosition("verify", null);
  await index.markComplete();
  await index.isComplete();
  await index.setRootId("root");
  await index.rootId();
}

async function lookAtMetricsAndEvents(index: Index, round: number): Promise<void> {
  await index.gauges();
  for (const what of [
    "repositories",
    "blob-candidates",
    "manifest-candidates",
    "uploads",
    "events",
  ] as const) {
    await index.countPage({ what, after: null, limit: 9 });
  }
  const page = await index.nextEvents("one", 9);
  const last = page?.at(-1);
  await index.settleEvents("one", { position: last?.position ?? 0, id: last?.event.id ?? "" });
  await index.queueEvents([]);
  await index.setEventEndpoints(round === 1 ? ["one"] : []);
  await index.forgetEvents();
}
