// The face of this room: what the rules would remove (`preview`), removing it (`apply`), and giving up what
// was pulled longest ago while a disk is too full (`applyUnderPressure`). Never deletes blobs: those are
// the collector's. Documentation: docs/retention.md.
import { DeniedError, type RepositoryName } from "../oci/index.ts";
import type { Actor } from "../registry/audit.ts";
import { unlessAborted } from "../registry/ports/unless-aborted.ts";
import type { RetentionObserver, RetentionReport } from "./events.ts";
import { executeIn, type Removed } from "./execute.ts";
import { Forecast } from "./forecast.ts";
import { type Asked, judgeRepository, untaggedPages } from "./judge-repository.ts";
import type { GoingImage, Judged, KeptBy } from "./judgement.ts";
import { Breather, type RetentionParts } from "./parts.ts";
import { relieve } from "./pressure.ts";
import { type RetentionRule, rulesFor } from "./rules.ts";
import { Tally } from "./tally.ts";

export interface RetentionWork {
  /** All of them: each tag is judged by the first that matches, applied now or not. */
  readonly rules: readonly RetentionRule[];
  /** Only these are applied; absent: all. */
  readonly applies?: (rule: RetentionRule) => boolean;
  /** For the log: `interval`, or who gave the command; absent: `request`. */
  readonly askedBy?: string;
  /** In whose name it is done; absent: the rules' own. */
  readonly actor?: Actor;
  /** Only these repositories; absent: all. */
  readonly isWanted?: (repository: RepositoryName) => boolean;
  /** Also tells every tag that stays. */
  readonly tellsKept?: boolean;
  /** Of `apply`: foretells the bytes, too, which takes as long again. */
  readonly countsBytes?: boolean;
}

const repositoryPageMax = 100;

export class Retention {
  readonly #parts: RetentionParts;
  /** Two at once would only get in each other's way. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** Tells what `apply` would remove now, and the bytes. Changes nothing. */
  async preview(
    work: RetentionWork,
    observer: RetentionObserver,
    signal: AbortSignal,
  ): Promise<RetentionReport> {
    const { clock } = this.#parts;
    const startedAtMs = clock.now();
    const tally = new Tally();
    const forecast = new Forecast(this.#parts);
    for await (const repository of this.#repositories(work, signal)) {
      await this.#previewIn(repository, { work, observer, signal }, { tally, forecast });
    }
    const report = tally.report({
      applied: false,
      bytes: await forecast.bytes(),
      atLeast: forecast.atLeast,
      completed: true,
      durationMs: clock.now() - startedAtMs,
    });
    await observer({ kind: "summary", report });
    return report;
  }

  /**
   * Removes what the rules do not keep. The bytes come back with a later collection.
   * @throws DeniedError when nothing may be removed
   */
  async apply(
    work: RetentionWork,
    observer: RetentionObserver,
    signal: AbortSignal,
  ): Promise<RetentionReport> {
    this.#checkAllowed();
    return await this.#inTurn(signal, async () => {
      const { clock } = this.#parts;
      const startedAtMs = clock.now();
      const { bytes, atLeast } = await this.#foretold(work, signal);
      const tally = new Tally();
      let completed = true;
      try {
        for await (const repository of this.#repositories(work, signal)) {
          await this.#applyIn(repository, { work, observer, signal }, tally);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
        completed = false;
      }
      const durationMs = clock.now() - startedAtMs;
      const more = { applied: true, bytes, atLeast, completed, durationMs };
      const report = tally.report(more);
      this.#log(work, report);
      await observer({ kind: "summary", report });
      return report;
    });
  }

  /**
   * Removes tags that rules with `onpressure` would not keep, over all repositories the one that was pulled
   * longest ago first, a few at a time, until `isEnough`, which is asked after each few, or nothing is left.
   */
  async applyUnderPressure(
    rules: readonly RetentionRule[],
    isEnough: () => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<void> {
    this.#checkAllowed();
    const applies = ({ onPressure }: RetentionRule): boolean => onPressure;
    const work: RetentionWork = { rules, applies, askedBy: "pressure" };
    const repositories = (): AsyncGenerator<RepositoryName> => this.#repositories(work, signal);
    await this.#inTurn(signal, async () => {
      const { clock } = this.#parts;
      const startedAtMs = clock.now();
      const removed: Removed = { tags: 0, manifests: 0, changed: 0, leased: 0 };
      let completed = false;
      try {
        const asked = askedOf(work, signal);
        await relieve(this.#parts, { asked, repositories, isEnough }, removed);
        completed = true;
      } finally {
        const tally = new Tally();
        tally.add(removed);
        const durationMs = clock.now() - startedAtMs;
        const more = { applied: true, bytes: null, atLeast: false, completed, durationMs };
        this.#log(work, tally.report(more));
      }
    });
  }

  #log(work: RetentionWork, report: RetentionReport): void {
    const { rules, applies = () => true, askedBy = "request" } = work;
    const names = rules.filter((rule) => applies(rule)).map(({ name }) => name);
    this.#parts.logRun?.({ askedBy, rules: names, report });
  }

  #checkAllowed(): void {
    if (this.#parts.refusal !== null) throw new DeniedError(this.#parts.refusal);
  }

  async #foretold(
    work: RetentionWork,
    signal: AbortSignal,
  ): Promise<Pick<RetentionReport, "bytes" | "atLeast">> {
    if (work.countsBytes !== true) return { bytes: null, atLeast: false };
    return await this.preview({ ...work, tellsKept: false }, () => undefined, signal);
  }

  /** @throws the signal's reason, when it is aborted before its turn has come */
  async #inTurn<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last;
    const done = Promise.withResolvers<void>();
    this.#last = before.then(() => done.promise);
    try {
      await unlessAborted(before, signal);
      return await work();
    } finally {
      done.resolve();
    }
  }

  /** Those that a rule which is applied matches, in byte order. */
  async *#repositories(work: RetentionWork, signal: AbortSignal): AsyncGenerator<RepositoryName> {
    const { index, pause } = this.#parts;
    const applies = work.applies ?? (() => true);
    let after: RepositoryName | null = null;
    do {
      const page: readonly RepositoryName[] = await index.listKnownRepositories({
        after,
        limit: repositoryPageMax,
      });
      for (const repository of page) {
        if (work.isWanted?.(repository) === false) continue;
        if (rulesFor(work.rules, repository).some(applies)) yield repository;
      }
      after = page.length < repositoryPageMax ? null : (page.at(-1) ?? null);
      await pause(0);
      signal.throwIfAborted();
    } while (after !== null);
  }

  async #previewIn(repository: RepositoryName, run: Run, sum: Sum): Promise<void> {
    const { tally, forecast } = sum;
    const asked = askedOf(run.work, run.signal);
    const found = await judgeRepository(this.#parts, repository, asked);
    tally.repositories += 1;
    if (found.skipped !== null) {
      tally.skipped += 1;
      await run.observer({ kind: "skipped", repository, reason: found.skipped });
      return;
    }
    const { judged, nowMs } = found;
    const untagged: { rule: RetentionRule; digest: GoingImage["digest"]; sinceMs: number }[] = [];
    for await (const { rule, manifests } of untaggedPages(this.#parts, repository, asked)) {
      for (const { digest, untaggedSinceMs } of manifests) {
        untagged.push({ rule, digest, sinceMs: untaggedSinceMs });
      }
    }
    const goes = await forecast.add(repository, judged, {
      untagged: untagged.map(({ digest }) => digest),
      nowMs,
    });
    const breather = new Breather(this.#parts);
    let tags = goes.attachments;
    let leased = 0;
    for (const image of judged.going) {
      await breather.step();
      if (goes.leased.has(image.digest)) {
        leased += 1;
        continue;
      }
      tags += image.tags.length;
      const isImageKept = !goes.gone.has(image.digest);
      await tellImage(run.observer, { repository, image, isImageKept });
    }
    for (const { rule, digest, sinceMs } of untagged) {
      await breather.step();
      if (!goes.gone.has(digest)) continue;
      await tellUntagged(run.observer, { repository, rule, digest, untaggedSinceMs: sinceMs });
    }
    const removed: Removed = { tags, manifests: goes.manifests, changed: 0, leased };
    tally.add(removed);
    await this.#tellRepository(repository, run, { tally, judged, removed });
  }

  async #applyIn(repository: RepositoryName, run: Run, tally: Tally): Promise<void> {
    const { observer } = run;
    const removed: Removed = { tags: 0, manifests: 0, changed: 0, leased: 0 };
    tally.repositories += 1;
    try {
      const { skipped, judged } = await executeIn(
        this.#parts,
        {
          repository,
          asked: askedOf(run.work, run.signal),
          witness: {
            image: (image, isImageKept) => tellImage(observer, { repository, image, isImageKept }),
            untagged: (rule, { digest, untaggedSinceMs }) =>
              tellUntagged(observer, { repository, rule, digest, untaggedSinceMs }),
          },
        },
        removed,
      );
      if (skipped !== null) {
        tally.skipped += 1;
        await observer({ kind: "skipped", repository, reason: skipped });
      }
      if (judged !== null) await this.#tellRepository(repository, run, { tally, judged, removed });
    } finally {
      tally.add(removed);
    }
  }

  async #tellRepository(
    repository: RepositoryName,
    { work, observer }: Run,
    told: {
      readonly tally: Tally;
      readonly judged: Judged;
      readonly removed: Pick<Removed, "tags" | "manifests">;
    },
  ): Promise<void> {
    const { tally, judged, removed } = told;
    const { tags, manifests } = removed;
    const kept: Partial<Record<KeptBy, number>> = {};
    const breather = new Breather(this.#parts);
    for (const { fact, rule, keptBy } of judged.verdicts) {
      await breather.step();
      if (keptBy === null) continue;
      kept[keptBy] = (kept[keptBy] ?? 0) + 1;
      if (work.tellsKept !== true) continue;
      const { tag, digest } = fact;
      const name = rule?.name ?? null;
      await observer({ kind: "kept", repository, tag, digest, rule: name, keptBy });
    }
    const refused = judged.refused.map(({ name }) => name);
    tally.tagsKept += sumOf(Object.values(kept));
    tally.refused += refused.length > 0 ? 1 : 0;
    await observer({ kind: "repository", repository, tags, manifests, kept, refused });
  }
}

interface Run {
  readonly work: RetentionWork;
  readonly observer: RetentionObserver;
  readonly signal: AbortSignal;
}

interface Sum {
  readonly tally: Tally;
  readonly forecast: Forecast;
}

function askedOf(work: RetentionWork, signal: AbortSignal): Asked {
  const { rules, applies = () => true, askedBy = "request" } = work;
  return { rules, applies, signal, actor: work.actor ?? { caller: "retention", from: askedBy } };
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

async function tellImage(
  observer: RetentionObserver,
  told: {
    readonly repository: RepositoryName;
    readonly image: GoingImage;
    readonly isImageKept: boolean;
  },
): Promise<void> {
  const { repository, image, isImageKept } = told;
  const { digest, pulledAtMs } = image;
  const rule = image.rules[0].name;
  for (const { tag, pushedAtMs } of image.tags) {
    await observer({
      kind: "tag",
      repository,
      tag,
      digest,
      rule,
      pushedAtMs,
      pulledAtMs,
      isImageKept,
    });
  }
}

async function tellUntagged(
  observer: RetentionObserver,
  told: {
    readonly repository: RepositoryName;
    readonly rule: RetentionRule;
    readonly digest: GoingImage["digest"];
    readonly untaggedSinceMs: number;
  },
): Promise<void> {
  const { repository, rule, digest, untaggedSinceMs } = told;
  await observer({ kind: "untagged", repository, digest, rule: rule.name, untaggedSinceMs });
}
