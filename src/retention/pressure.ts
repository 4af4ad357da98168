// Gives up what rules with `onpressure` would not keep while a disk is too full: over all repositories, what
// was pulled longest ago first, and no further than needed. Holds only so many candidates at once; when
// they are gone and it is not enough, it looks for more.
import type { RepositoryName } from "../oci/index.ts";
import { batchesOf } from "./batches.ts";
import { Best } from "./best.ts";
import { type Removed, removeUntagged, retire } from "./execute.ts";
import { type Asked, judgeRepository } from "./judge-repository.ts";
import type { GoingImage, Judged } from "./judgement.ts";
import type { RetentionParts } from "./parts.ts";

/** Images that are found in one look over all repositories, and held until they are removed. */
const candidatesMax = 1_000;

/**
 * Images between two questions whether it is enough, each of which is answered by a collection: one, then
 * twice as many each time, up to this. So large images go one by one, and many small ones fast.
 */
const imagesBetweenQuestionsMax = 20;

interface Candidate {
  readonly repository: RepositoryName;
  readonly image: GoingImage;
  readonly witnesses: Judged["witnesses"];
  /** When it was pulled last or, if it never was, pushed. */
  readonly usedAtMs: number;
}

export interface Relieving {
  readonly asked: Asked;
  readonly repositories: () => AsyncGenerator<RepositoryName>;
  readonly isEnough: () => Promise<boolean>;
}

/** @param removed is added to */
export async function relieve(
  given: RetentionParts,
  work: Relieving,
  removed: Removed,
): Promise<void> {
  const gone = (): number => removed.tags + removed.manifests;
  const parts = promisingNothing(given);
  const { actor } = work.asked;
  let before: number;
  let step = 1;
  do {
    before = gone();
    const candidates = await findLongestUnused(parts, work, removed);
    if (gone() > before && (await work.isEnough())) return;
    let images = 0;
    for (const { repository, image, witnesses } of candidates) {
      work.asked.signal.throwIfAborted();
      const goneBefore = gone();
      // A repository that has changed is judged again by the next look.
      for (const batch of batchesOf([image])) {
        await retire(parts, { repository, batch, judged: { witnesses }, actor }, removed);
      }
      await parts.pause(0);
      if (gone() > goneBefore) images += 1;
      if (images < step) continue;
      images = 0;
      step = Math.min(2 * step, imagesBetweenQuestionsMax);
      parts.followTree();
      if (await work.isEnough()) return;
    }
    parts.followTree();
    if (images > 0 && (await work.isEnough())) return;
  } while (gone() > before);
}

/** Untagged manifests that a rule lets go are gone at once: nobody can pull them by name. */
async function findLongestUnused(
  parts: RetentionParts,
  { asked, repositories }: Relieving,
  removed: Removed,
): Promise<readonly Candidate[]> {
  const longest = new Best<Candidate>(candidatesMax, (a, b) => a.usedAtMs - b.usedAtMs);
  for await (const repository of repositories()) {
    const witness = { image: () => undefined, untagged: () => undefined };
    await removeUntagged(parts, { repository, asked, witness }, removed);
    const found = await judgeRepository(parts, repository, asked);
    if (found.skipped !== null) continue;
    const { going, witnesses } = found.judged;
    for (const image of going) {
      const pushedAtMs = image.tags.reduce((last, tag) => Math.max(last, tag.pushedAtMs), 0);
      const usedAtMs = Math.max(image.pulledAtMs ?? 0, pushedAtMs);
      longest.add({ repository, image, witnesses, usedAtMs });
    }
  }
  return longest.held.toSorted((a, b) => a.usedAtMs - b.usedAtMs);
}

/** The collection that follows at once lets go of it: the log must not say that it can be restored. */
function promisingNothing(parts: RetentionParts): RetentionParts {
  const { audit } = parts;
  if (audit === undefined) return parts;
  return {
    ...parts,
    audit: {
      record: (entry) => {
        audit.record({ ...entry, restorableUntilMs: null });
      },
    },
  };
}
