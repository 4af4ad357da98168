// Removes what the rules do not keep, one repository at a time, in small transactions that decide each
// removal again, with pauses between them. Every removal can be brought back for `gc.keepdeleted`.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { Actor } from "../registry/audit.ts";
import { inHalves } from "../registry/in-halves.ts";
import type { Deletion, RetireOutcome } from "../registry/ports/index.ts";
import { type BatchImage, batchesOf } from "./batches.ts";
import type { SkipReason } from "./events.ts";
import { type Asked, judgeRepository, untaggedPages } from "./judge-repository.ts";
import type { GoingImage, Judged } from "./judgement.ts";
import { imagesAtOnce, pauseBetweenBatchesMs, type RetentionParts } from "./parts.ts";
import type { RetentionRule } from "./rules.ts";

/** A repository that changes all the time is left to the next run after so many judgements. */
const roundsMax = 3;

/** What has gone so far, and what was left. */
export interface Removed {
  /** Attachments that followed their images included. */
  tags: number;
  manifests: number;
  changed: number;
  leased: number;
}

export interface Witness {
  /** Those of the images whose tags went; whether the image went as well. */
  image(image: GoingImage, isImageKept: boolean): Promise<void> | void;
  untagged(
    rule: RetentionRule,
    manifest: { readonly digest: Digest; readonly untaggedSinceMs: number },
  ): Promise<void> | void;
}

export interface Executed {
  readonly skipped: SkipReason | null;
  /** The last judgement; null: none was made. */
  readonly judged: Judged | null;
}

/** @param removed is added to, also when it is stopped or fails in the middle */
export async function executeIn(
  parts: RetentionParts,
  work: Work,
  removed: Removed,
): Promise<Executed> {
  const { repository, asked } = work;
  let judged: Judged | null = null;
  try {
    for (let round = 0; round < roundsMax; round++) {
      const found = await judgeRepository(parts, repository, asked);
      if (found.skipped !== null) return { skipped: found.skipped, judged };
      ({ judged } = found);
      const standing = await removeGoing(parts, { ...work, judged }, removed);
      if (standing === "unjudgeable") return { skipped: "unjudgeable", judged };
      if (standing === "fits") break;
    }
    await removeUntagged(parts, work, removed);
    return { skipped: null, judged };
  } finally {
    parts.followTree();
  }
}

interface Work {
  readonly repository: RepositoryName;
  readonly asked: Asked;
  readonly witness: Witness;
}

async function removeGoing(
  parts: RetentionParts,
  work: Work & { readonly judged: Judged },
  removed: Removed,
): Promise<RetireOutcome["standing"]> {
  const { repository, judged, asked, witness } = work;
  for (const batch of batchesOf(judged.going)) {
    asked.signal.throwIfAborted();
    const outcome = await retire(parts, { repository, batch, judged, actor: asked.actor }, removed);
    for (const [image, isKept] of outcome.gone) await witness.image(image, isKept);
    if (outcome.standing !== "fits") return outcome.standing;
    await parts.pause(pauseBetweenBatchesMs);
  }
  return "fits";
}

/** One transaction for each rule that lets some of the images go. */
export async function retire(
  parts: RetentionParts,
  work: {
    readonly repository: RepositoryName;
    readonly batch: readonly BatchImage[];
    readonly judged: Pick<Judged, "witnesses">;
    readonly actor: Actor;
  },
  removed: Removed,
): Promise<{
  readonly standing: RetireOutcome["standing"];
  readonly gone: readonly (readonly [image: GoingImage, isImageKept: boolean])[];
}> {
  const { repository, batch, judged, actor } = work;
  const gone: [GoingImage, boolean][] = [];
  await parts.pulls.settle();
  // A pull that nobody has written down yet may be what keeps it.
  const images = batch.filter(({ digest }) => !parts.pulls.isWaiting(repository, digest));
  removed.changed += batch.length - images.length;
  for (const [rule, ofRule] of Map.groupBy(images, ({ rules }) => rules[0])) {
    const witnesses = new Set<Tag>(
      ofRule.flatMap(({ rules }) => rules.flatMap((one) => judged.witnesses.get(one) ?? [])),
    );
    // A full disk takes less at once, and must not keep anything from going.
    const done = await inHalves(ofRule, async (part) => {
      const outcome = await parts.index.retireImages({
        repository,
        images: part.map(({ digest, imagePushedAtMs, pulledAtMs, tags }) => ({
          digest,
          imagePushedAtMs,
          pulledAtMs,
          tags,
        })),
        witnesses: [...witnesses],
        deletion: deletionBy(parts, repository, { rule, actor }),
      });
      return { part, outcome };
    });
    for (const { part, outcome } of done) {
      removed.tags += outcome.tags;
      removed.manifests += outcome.manifests;
      for (const [n, result] of outcome.results.entries()) {
        const image = part[n];
        if (image === undefined) continue;
        if (result === "changed" || result === "leased") {
          removed[result] += 1;
          continue;
        }
        gone.push([image, result === "untagged" && !(image.isWhole && image.hasMore)]);
        const names = result === "removed" ? [image.digest] : image.tags.map(({ tag }) => tag);
        const what = result === "removed" ? "image" : "tag";
        for (const reference of names) record(parts, { repository, what, reference, rule, actor });
      }
    }
    const odd = done.find(({ outcome }) => outcome.standing !== "fits");
    if (odd !== undefined) return { standing: odd.outcome.standing, gone };
  }
  return { standing: "fits", gone };
}

export async function removeUntagged(
  parts: RetentionParts,
  { repository, asked, witness }: Work,
  removed: Removed,
): Promise<void> {
  for await (const { rule, untaggedBeforeMs, manifests } of untaggedPages(
    parts,
    repository,
    asked,
  )) {
    for (let at = 0; at < manifests.length; at += imagesAtOnce) {
      asked.signal.throwIfAborted();
      const batch = manifests.slice(at, at + imagesAtOnce);
      const outcomes = await inHalves(batch, (part) =>
        parts.index.retireUntagged({
          repository,
          digests: part.map(({ digest }) => digest),
          untaggedBeforeMs,
          deletion: deletionBy(parts, repository, { rule, actor: asked.actor }),
        }),
      );
      for (const outcome of outcomes) {
        removed.tags += outcome.tags;
        removed.manifests += outcome.manifests;
      }
      const gone = new Set(outcomes.flatMap((outcome) => outcome.gone));
      for (const one of batch) {
        if (!gone.has(one.digest)) continue;
        const { digest: reference } = one;
        record(parts, { repository, what: "image", reference, rule, actor: asked.actor });
        await witness.untagged(rule, one);
      }
      await parts.pause(pauseBetweenBatchesMs);
    }
  }
}

function deletionBy(
  { clock, keepDeletedMs, immutableIn }: RetentionParts,
  repository: RepositoryName,
  { rule, actor: { caller } }: { readonly rule: RetentionRule; readonly actor: Actor },
): Deletion {
  return {
    nowMs: clock.now(),
    deletedBy: caller,
    reason: reasonOf(rule),
    isRestorable: keepDeletedMs > 0,
    immutable: immutableIn(repository),
  };
}

function reasonOf({ name }: RetentionRule): string {
  return `retention rule ${name}`;
}

/** What is gone for good after `gc.keepdeleted` is still in the log. */
function record(
  { audit, clock, keepDeletedMs }: RetentionParts,
  gone: {
    readonly repository: RepositoryName;
    readonly what: "tag" | "image";
    readonly reference: Digest | Tag;
    readonly rule: RetentionRule;
    readonly actor: Actor;
  },
): void {
  const { rule, ...entry } = gone;
  audit?.record({
    ...entry,
    action: "delete",
    outcome: "deleted",
    reason: reasonOf(rule),
    restorableUntilMs: keepDeletedMs > 0 ? clock.now() + keepDeletedMs : null,
  });
}
