// Retention through the port, in one call: for whoever wants to see the statements that it runs, and for
// random histories.
import type { RepositoryName, Tag } from "../../../src/oci/index.ts";
import type { Deletion } from "../../../src/registry/ports/index.ts";
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
  await index.beginPullTimes(nowMs);
  await index.pullTimesSince();
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

function deletionNow({ nowMs }: World): Deletion {
  return { nowMs, deletedBy: "retention", reason: "rule", isRestorable: true };
}

/** As a rule that lets exactly this tag go. */
export async function retireTag(
  world: World,
  repository: RepositoryName,
  name: Tag,
): Promise<unknown> {
  const facts = await world.index.retentionTags(repository, { after: null, limit: 100 });
  const images = facts
    .filter((fact) => fact.tag === name)
    .map(({ tag: which, pushedAtMs, ...image }) => ({
      ...image,
      tags: [{ tag: which, pushedAtMs }],
    }));
  const deletion = deletionNow(world);
  return await world.index.retireImages({ repository, images, witnesses: [], deletion });
}

/** As a rule that lets untagged manifests go at once. */
export async function retireUntagged(world: World, repository: RepositoryName): Promise<unknown> {
  const { index, nowMs } = world;
  const untaggedBeforeMs = nowMs;
  const page = { after: null, limit: 100, untaggedBeforeMs, nowMs };
  const found = await index.untaggedManifests(repository, page);
  const digests = found.map(({ digest }) => digest);
  const deletion = deletionNow(world);
  return await index.retireUntagged({ repository, digests, untaggedBeforeMs, deletion });
}
