// One collection from its first event to its report: a dry run plans, any other executes, and both say
// what stays and why.
import type { CollectionEvent, CollectionReport, CollectOptions } from "./collection-events.ts";
import type { CollectionParts } from "./collection-parts.ts";
import { executeCollection, Tally } from "./execute.ts";
import type { Pace } from "./pace.ts";
import { type CollectionPlan, planCollection } from "./plan.ts";
import { keyOf } from "./planned-manifests.ts";
import { messageOf, outcomeOf, RunRecorder } from "./run-record.ts";
import { type StopReason, stopReasonOf, stopTexts } from "./stop-reason.ts";
import { listRepositories, tellMarks } from "./tell-listing.ts";
import { findRestorable, findSpared, findUntaggedKept, tellSteppedOver } from "./what-stays.ts";

/** Repositories that a dry run names as empty already. */
const emptyToldMax = 1_000;

export interface CollectionRun {
  readonly parts: CollectionParts;
  readonly options: CollectOptions;
  readonly pace: Pace;
  readonly startedAtMs: number;
  readonly signal: AbortSignal;
  readonly tell: (event: CollectionEvent) => Promise<void>;
  readonly isAskedAgain: () => boolean;
  /** Nobody can join any more. */
  readonly closeDoors: () => void;
}

export async function runCollection(run: CollectionRun): Promise<CollectionReport> {
  const { parts, options, startedAtMs, tell } = run;
  await tell({ kind: "started", startedAtMs, dryRun: options.dryRun, attached: false });
  if (options.listing !== "nothing") {
    for await (const repository of listRepositories(parts)) {
      await tell({ kind: "repository", repository });
    }
  }
  const report = options.dryRun ? await dryRun(run) : await realRun(run);
  await tell({ kind: "summary", report });
  return report;
}

async function dryRun(run: CollectionRun): Promise<CollectionReport> {
  const { parts, options, tell } = run;
  const plan = await planCollection(parts, options);
  if (options.listing === "marks") {
    const doomed = new Set(
      plan.manifests.map((manifest) => keyOf(manifest.repository, manifest.digest)),
    );
    await tellMarks(parts, tell, ({ repository, digest }) => doomed.has(keyOf(repository, digest)));
  }
  const repositories = await parts.index.emptyRepositories(emptyToldMax);
  await tellPlan(run, plan);
  for (const repository of repositories) await tell({ kind: "repository-eligible", repository });
  const errors = (await parts.index.hasUnlistable())
    ? [
        "a directory of the tree cannot be listed, so nothing is known to be unreferenced: nothing would be collected",
      ]
    : [];
  return {
    ...(await whatStays(run, plan)),
    completed: true,
    stopped: null,
    ok: errors.length === 0,
    manifests: plan.manifests.length,
    blobs: plan.blobs.length + plan.condemned.length,
    bytes: plan.bytes,
    links: plan.links.length,
    repositories: repositories.length,
    uploads: 0,
    candidates: 0,
    atLeast: plan.truncated,
    queueMissed: null,
    errors,
    ...timeOf(run),
  };
}

async function tellPlan({ parts, tell }: CollectionRun, plan: CollectionPlan): Promise<void> {
  for (const manifest of plan.manifests) await tell({ kind: "manifest-eligible", ...manifest });
  const { blobs } = await parts.index.totals();
  await tell({
    kind: "counted",
    blobsMarked: blobs - plan.blobs.length,
    blobs: plan.blobs.length + plan.condemned.length,
    bytes: plan.bytes,
    manifests: plan.manifests.length,
    atLeast: plan.truncated,
  });
  for (const blob of plan.condemned) await tell({ kind: "blob-eligible", ...blob });
  for (const blob of plan.blobs) await tell({ kind: "blob-eligible", ...blob });
  for (const link of plan.links) await tell({ kind: "link-eligible", ...link });
}

async function realRun(run: CollectionRun): Promise<CollectionReport> {
  const { parts, options, startedAtMs } = run;
  const log = parts.logRun === undefined ? {} : { log: parts.logRun };
  const recorder = new RunRecorder({ index: parts.index, ...log }, options, startedAtMs);
  const tally = new Tally();
  try {
    const report = await executed(run, tally, () => recorder.begin());
    await recorder.end(outcomeOf(report));
    return report;
  } catch (error) {
    const { durationMs } = timeOf(run);
    const { errors: told, queueMissed: _, failures: __, ...done } = tally;
    await recorder.end({
      ...done,
      durationMs,
      errors: [...told, messageOf(error)],
      stopped: "failed",
    });
    throw error;
  }
}

async function executed(
  run: CollectionRun,
  tally: Tally,
  begin: () => Promise<void>,
): Promise<CollectionReport> {
  let completed: boolean;
  try {
    completed = await executeCollection({ ...run, begin }, tally);
  } finally {
    run.closeDoors();
  }
  return {
    ...(await whatStays(run, null)),
    completed,
    stopped: completed ? null : stopReasonOf(run.signal),
    ok: completed && tally.failures === 0,
    manifests: tally.manifests,
    blobs: tally.blobs,
    bytes: tally.bytes,
    links: tally.links,
    repositories: tally.repositories,
    uploads: tally.uploads,
    candidates: tally.candidates,
    atLeast: false,
    queueMissed: tally.queueMissed,
    errors: errorsOf(tally, completed ? null : stopReasonOf(run.signal)),
    ...timeOf(run),
  };
}

function errorsOf(tally: Tally, stopped: StopReason | null): string[] {
  const more = tally.failures - tally.errors.length;
  return [
    ...tally.errors,
    ...(more > 0 ? [`${more} more failures like these`] : []),
    ...(stopped === null
      ? []
      : [`stopped before the end: ${stopTexts[stopped]}; the next run goes on from here`]),
  ];
}

type WhatStays = Pick<CollectionReport, "untaggedKept" | "spared" | "restorable" | "steppedOver">;

async function whatStays(run: CollectionRun, plan: CollectionPlan | null): Promise<WhatStays> {
  const { parts, options, signal, tell } = run;
  const nothing = { count: 0, bytes: 0 };
  if (signal.aborted) {
    const sum = { ...nothing, untilMs: null };
    return {
      untaggedKept: { ...nothing, atLeast: true },
      spared: { leased: sum, foreign: sum, atLeast: true },
      restorable: { ...sum, atLeast: true },
      steppedOver: { count: 0, atLeast: true },
    };
  }
  return {
    ...(await toldToPeople(run, plan)),
    restorable: await findRestorable(parts, options.keepDeletedMs ?? 0, plan),
    steppedOver: await tellSteppedOver(parts, tell),
  };
}

/** What nobody reads of a background run, and takes longer than most of them. */
async function toldToPeople(
  { parts, options }: CollectionRun,
  plan: CollectionPlan | null,
): Promise<Pick<WhatStays, "untaggedKept" | "spared">> {
  if (options.background !== undefined) {
    const nothing = { count: 0, bytes: 0, untilMs: null };
    return {
      untaggedKept: { count: 0, bytes: 0, atLeast: true },
      spared: { leased: nothing, foreign: nothing, atLeast: true },
    };
  }
  return {
    untaggedKept: await findUntaggedKept(parts, options, plan),
    spared: await findSpared(parts, options.foreignGraceMs),
  };
}

function timeOf(
  run: CollectionRun,
): Pick<CollectionReport, "startedAtMs" | "durationMs" | "dryRun"> {
  const { startedAtMs, options, parts } = run;
  return { startedAtMs, durationMs: parts.clock.now() - startedAtMs, dryRun: options.dryRun };
}
