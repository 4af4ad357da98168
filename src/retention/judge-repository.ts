// Reads the tags of one repository page by page, with pauses, and has them judged. Removes nothing.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type { Actor } from "../registry/audit.ts";
import type { TagFact } from "../registry/ports/index.ts";
import type { SkipReason } from "./events.ts";
import { type Judged, Judgement } from "./judgement.ts";
import { type RetentionParts, tagPageMax, tagsMax, untaggedPageMax } from "./parts.ts";
import { type RetentionRule, rulesFor, untaggedRuleOf } from "./rules.ts";

export interface Asked {
  readonly rules: readonly RetentionRule[];
  /** Rules that are applied; the others only say what is not theirs. */
  readonly applies: (rule: RetentionRule) => boolean;
  readonly signal: AbortSignal;
  /** In whose name it is done. */
  readonly actor: Actor;
}

export type RepositoryJudged =
  | { readonly skipped: SkipReason }
  | { readonly skipped: null; readonly judged: Judged; readonly nowMs: number };

export async function judgeRepository(
  parts: RetentionParts,
  repository: RepositoryName,
  asked: Asked,
): Promise<RepositoryJudged> {
  const { index, clock, pause, isProtected } = parts;
  const { applies, signal } = asked;
  const rules = rulesFor(asked.rules, repository);
  await parts.pulls.settle();
  const nowMs = clock.now();
  const pullsSinceMs = await index.pullTimesSince();
  const judgement = new Judgement({
    repository,
    rules,
    nowMs,
    pullsSinceMs,
    applies,
    isProtected,
  });
  if (!(await index.isJudgeable(repository))) return { skipped: "unjudgeable" };
  let after: TagFact["tag"] | null = null;
  do {
    const page: readonly TagFact[] = await index.retentionTags(repository, {
      after,
      limit: tagPageMax,
    });
    judgement.add(page);
    if (judgement.size > tagsMax) return { skipped: "toomanytags" };
    after = page.length < tagPageMax ? null : (page.at(-1)?.tag ?? null);
    await pause(0);
    signal.throwIfAborted();
  } while (after !== null);
  const steps = judgement.decide();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return { skipped: null, judged: step.value, nowMs };
    await pause(0);
  }
}

/** Untagged manifests of the repository that a rule lets go, a page at a time; null: no rule says so. */
export async function* untaggedPages(
  { index, clock, pause }: RetentionParts,
  repository: RepositoryName,
  asked: Asked,
): AsyncGenerator<{
  readonly rule: RetentionRule;
  readonly untaggedBeforeMs: number;
  readonly manifests: readonly { readonly digest: Digest; readonly untaggedSinceMs: number }[];
}> {
  const rule = untaggedRuleOf(rulesFor(asked.rules, repository));
  if (rule === null || rule.untaggedOlderThanMs === null || !asked.applies(rule)) return;
  let after: number | null = null;
  do {
    const nowMs = clock.now();
    const untaggedBeforeMs = nowMs - rule.untaggedOlderThanMs;
    const page = await index.untaggedManifests(repository, {
      after,
      limit: untaggedPageMax,
      untaggedBeforeMs,
      nowMs,
    });
    const manifests = page.filter(({ goes }) => goes);
    if (manifests.length > 0) yield { rule, untaggedBeforeMs, manifests };
    after = page.length < untaggedPageMax ? null : (page.at(-1)?.position ?? null);
    await pause(0);
    asked.signal.throwIfAborted();
  } while (after !== null);
}
