// Calls every method of the port that retention uses, for whoever wants to see the statements that it runs.
import { blobNo, repo, tag, type World } from "./world.ts";

export async function callRetention(world: World): Promise<void> {
  const { index, nowMs } = world;
  const repository = repo("r");
  const child = await world.image("r", { blobs: [1] });
  const image = await world.put("r", { children: [child], tags: ["x", "y"] });
  await world.put("r", { config: blobNo(1), subject: image.digest });
  await world.image("r", { blobs: [2], tags: [`sha256-${image.digest.slice(7)}.sig`] });
  const pulls = [{ repository, digest: image.digest, pulledAtMs: nowMs }];
  await index.markComplete();
  await index.recordPulls(pulls, { after: null, limit: 9 });
  await index.recordPulls([], { after: [repository, child], limit: 9 });
  await index.isJudgeable(repository);
  await index.untaggedManifests(repository, {
    after: null,
    limit: 9,
    untaggedBeforeMs: nowMs,
    nowMs,
  });
  await index.manifestTies(repository, image.digest, nowMs);
  await index.holdersOf(blobNo(1), { before: null, limit: 1 });
  await index.holdersOf(blobNo(1), { before: [1, 1], limit: 1 });
  world.nowMs += 2 * 3_600_000;
  const deletion = {
    nowMs: world.nowMs,
    deletedBy: "retention",
    reason: "rule",
    isRestorable: true,
  };
  const facts = await index.retentionTags(repository, { after: null, limit: 9 });
  for (const { tag: name, ...fact } of facts) {
    const tags = [{ tag: name, pushedAtMs: fact.pushedAtMs }];
    const witnesses = [tag("x")];
    await index.retireImages({ repository, images: [{ ...fact, tags }], witnesses, deletion });
  }
  const untaggedBeforeMs = world.nowMs;
  await index.retireUntagged({ repository, digests: [child], untaggedBeforeMs, deletion });
  await index.setRetentionRuns(new Map());
  await index.retentionRuns();
}
