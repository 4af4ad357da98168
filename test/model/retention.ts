// Retention on model and registry at once: a rule lets some tags of a repository go, and with each its image,
// unless something else needs it. The preview says beforehand what comes of it.
import { expect } from "bun:test";
import type { Digest, RepositoryName, Tag } from "../../src/oci/index.ts";
import { letGo } from "../retention/let-go.ts";
import { type Both, request } from "./client.ts";
import { requiredBy } from "./model.ts";
import type { ModelRepository } from "./model-repository.ts";

export async function retain(
  both: Both,
  repository: RepositoryName,
  tags: readonly Tag[],
): Promise<void> {
  const { model, real } = both;
  const here = model.at(repository);
  const { nowMs } = real.clock;
  const going = tags.filter(
    (tag) => here.tags.has(tag) && !isLeftForLease(here, { tags, nowMs }, tag),
  );
  const wanted = goneWith(here, going, nowMs);
  const expected = { tags: going.length, manifests: wanted.size };
  const answer = await request(both, {
    decides: "retireImages",
    ask: async () => {
      const asked = { index: real.world.index, clock: real.clock, repository, tags };
      const preview = await letGo(asked, false);
      expect({ tags: preview.tags, manifests: preview.manifests }).toEqual(expected);
      return await letGo(asked, true);
    },
    effect: () => {
      const gone = retire(both, repository, going.toSorted());
      expect(new Set(gone)).toEqual(new Set(wanted));
    },
  });
  if ("refused" in answer) throw answer.refused;
  const { tags: removed, manifests } = answer.given;
  expect({ tags: removed, manifests }).toEqual(expected);
}

/** One after the other, in the order of the tags: each is a deletion that can be undone. */
function retire(
  { model, real }: Both,
  repository: RepositoryName,
  going: readonly Tag[],
): Digest[] {
  const here = model.at(repository);
  const { nowMs } = real.clock;
  const gone: Digest[] = [];
  for (const digest of new Set(going.map((tag) => here.tags.get(tag) as Digest))) {
    const own = [...here.tags].filter(([, target]) => target === digest).map(([tag]) => tag);
    const isWhole = own.every((tag) => going.includes(tag));
    if (isWhole && !isNeeded(here, digest, new Set())) {
      gone.push(...model.deleteImage(repository, digest, nowMs));
      continue;
    }
    for (const tag of own.filter((one) => going.includes(one)).toSorted()) {
      model.recordDeletion(repository, { digest, tag }, nowMs);
      here.removeTag(tag);
    }
  }
  return gone;
}

/** As a part of something, or by hanging on a subject, that does not go. */
function isNeeded(here: ModelRepository, digest: Digest, gone: ReadonlySet<Digest>): boolean {
  const subject = here.manifests.get(digest)?.subject ?? null;
  const hangs = subject !== null && here.manifests.has(subject) && !gone.has(subject);
  return (
    hangs ||
    [...here.manifests.values()].some(
      (other) => !gone.has(other.digest) && requiredBy(other).includes(digest),
    )
  );
}

/** All its tags would go, and a push may be about to refer to the image. */
function isLeftForLease(
  here: ModelRepository,
  { tags, nowMs }: { readonly tags: readonly Tag[]; readonly nowMs: number },
  tag: Tag,
): boolean {
  const digest = here.tags.get(tag) as Digest;
  const isWhole = [...here.tags].every(
    ([name, target]) => target !== digest || tags.includes(name),
  );
  return isWhole && here.isLeased(digest, nowMs);
}

/**
 * Images that lose their last tag, and then, over and over, whatever hangs on what goes and on nothing
 * else: parts and referrers without a tag and without a lease.
 */
function goneWith(
  here: ModelRepository,
  going: readonly Tag[],
  nowMs: number,
): ReadonlySet<Digest> {
  const gone = new Set<Digest>();
  const isTagged = (digest: Digest): boolean =>
    [...here.tags].some(([tag, target]) => target === digest && !going.includes(tag));
  const isUntagged = new Set(going.map((tag) => here.tags.get(tag)));
  const all = [...here.manifests.values()];
  let before: number;
  do {
    before = gone.size;
    for (const { digest, subject } of all) {
      const isPart = all.some((one) => requiredBy(one).includes(digest));
      const hangsOnGone = isPart || (subject !== null && gone.has(subject));
      if (isNeeded(here, digest, gone) || isTagged(digest) || here.isLeased(digest, nowMs))
        continue;
      if (isUntagged.has(digest) || hangsOnGone) gone.add(digest);
    }
  } while (gone.size > before);
  return gone;
}
