// Retention on model and registry at once: a rule lets some tags of a repository go, and with each its image,
// unless something else needs it. The preview says beforehand what comes of it.
import { expect } from "bun:test";
import { type Digest, parseGlobs, type RepositoryName, type Tag } from "../../src/oci/index.ts";
import { Retention } from "../../src/retention/index.ts";
import type { RetentionRule } from "../../src/retention/rules.ts";
import { type Both, request } from "./client.ts";
import type { ModelRepository } from "./model-repository.ts";

const never = new AbortController().signal;

/** The rule that lets exactly these tags go. */
function ruleFor(tags: readonly Tag[]): RetentionRule {
  return {
    name: "these",
    repositories: parseGlobs(["**"]),
    tags: parseGlobs(tags),
    keep: { newest: null, pushedWithinMs: null, pulledWithinMs: null, matching: null },
    untaggedOlderThanMs: null,
    intervalMs: 1,
    onPressure: false,
    allowEmpty: true,
  };
}

function retentionOf({ real }: Both): Retention {
  const { index, clock } = real.world;
  return new Retention({
    index,
    clock,
    pause: () => Promise.resolve(),
    pulls: { settle: () => Promise.resolve(), isWaiting: () => false },
    isProtected: () => false,
    followTree: () => undefined,
    keepDeletedMs: 1,
    logRun: () => undefined,
    refusal: null,
  });
}

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
  const work = {
    rules: [ruleFor(tags)],
    askedBy: "model",
    isWanted: (name: RepositoryName): boolean => name === repository,
  };
  const wanted = goneWith(here, going, nowMs);
  const expected = { tags: going.length, manifests: wanted.size };
  const answer = await request(both, {
    decides: "retireImages",
    ask: async () => {
      const retention = retentionOf(both);
      const preview = await retention.preview(work, () => undefined, never);
      expect({ tags: preview.tags, manifests: preview.manifests }).toEqual(expected);
      return await retention.apply(work, () => undefined, never);
    },
    effect: () => {
      for (const tag of going) here.removeTag(tag);
      for (const digest of wanted) here.removeManifest(digest);
    },
  });
  if ("refused" in answer) throw answer.refused;
  const { tags: removed, manifests } = answer.given;
  expect({ tags: removed, manifests }).toEqual(expected);
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
      const parents = all.filter((one) => [...one.children, ...one.blobs].includes(digest));
      const isNeeded =
        parents.some((parent) => !gone.has(parent.digest)) ||
        (subject !== null && here.manifests.has(subject) && !gone.has(subject));
      const hangsOnGone = parents.length > 0 || (subject !== null && gone.has(subject));
      if (isNeeded || isTagged(digest) || here.isLeased(digest, nowMs)) continue;
      if (isUntagged.has(digest) || hangsOnGone) gone.add(digest);
    }
  } while (gone.size > before);
  return gone;
}
