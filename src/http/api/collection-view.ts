// The status of garbage collection as the API shows it, in answers and in events.
import { z } from "zod";
import type { ApiParts, CollectionProgress, CollectionReport, CollectionResult } from "./ports.ts";
import { count, isoOf, isoOrNull, named, time } from "./schemas.ts";

const removed = {
  manifests: count,
  blobs: count,
  bytes: count,
  links: count,
  repositories: count,
};

const progress = named(
  "CollectionProgress",
  z.object({
    startedAt: time,
    dryRun: z.boolean(),
    untagged: z.boolean(),
    full: z.boolean(),
    askedBy: z.enum(["background", "command", "api"]),
    user: z.string().nullable(),
    ...removed,
    failures: count.describe("Blobs that could not be removed."),
    expected: z
      .object({ manifests: count, blobs: count, bytes: count, atLeast: z.boolean() })
      .nullable()
      .describe("What it will remove, counted beforehand; null: not counted, or not yet."),
  }),
);

const amount = { count, bytes: count };
const kept = z.object({ ...amount, until: time.nullable() });

const report = named(
  "CollectionReport",
  z.object({
    startedAt: time,
    durationMs: z.number(),
    dryRun: z.boolean(),
    completed: z.boolean(),
    stopped: z.string().nullable(),
    ok: z.boolean().describe("Nothing failed and nothing stood in the way."),
    ...removed,
    uploads: count,
    candidates: count,
    atLeast: z.boolean().describe("A dry run found more than it counts."),
    queueMissed: count.nullable(),
    untaggedKept: z
      .object({ ...amount, atLeast: z.boolean() })
      .describe("Untagged manifests that stay, and what `untagged` would free beyond."),
    spared: z.object({ leased: kept, foreign: kept, atLeast: z.boolean() }),
    restorable: z.object({ ...amount, until: time.nullable(), atLeast: z.boolean() }),
    steppedOver: z.object({ count, atLeast: z.boolean() }),
    errors: z.array(z.string()),
  }),
);

export const statusDocument = named(
  "CollectionStatus",
  z.object({
    state: z
      .enum(["idle", "waiting", "running"])
      .describe(
        "`waiting`: one was asked for over this API that cannot begin yet: the index is being checked.",
      ),
    current: progress.nullable().describe("What the run under way has removed so far."),
    last: z
      .object({
        report: report.nullable().describe("Null: it failed as a whole."),
        failure: z.string().nullable(),
        failedAt: time.nullable(),
      })
      .nullable()
      .describe("What came of the last run since the server started, in whole."),
  }),
);

export function collectionStatus({ collection }: Pick<ApiParts, "collection">): object {
  const current = collection.current();
  const last = collection.last();
  const waiting = collection.isAsked() ? "waiting" : "idle";
  return {
    state: current === null ? waiting : "running",
    current: current === null ? null : progressView(current),
    last: last === null ? null : resultView(last),
  };
}

function progressView({ startedAtMs, ...rest }: CollectionProgress): object {
  return { startedAt: isoOf(startedAtMs), ...rest };
}

function resultView(result: CollectionResult): object {
  if ("failure" in result) {
    return { report: null, failure: result.failure, failedAt: isoOf(result.atMs) };
  }
  return { report: reportView(result.report), failure: null, failedAt: null };
}

function reportView(told: CollectionReport): object {
  const { startedAtMs, spared, restorable, ...rest } = told;
  return {
    startedAt: isoOf(startedAtMs),
    ...rest,
    spared: {
      leased: keptView(spared.leased),
      foreign: keptView(spared.foreign),
      atLeast: spared.atLeast,
    },
    restorable: { ...keptView(restorable), atLeast: restorable.atLeast },
  };
}

function keptView(one: CollectionReport["spared"]["leased"]): object {
  return { count: one.count, bytes: one.bytes, until: isoOrNull(one.untilMs) };
}
