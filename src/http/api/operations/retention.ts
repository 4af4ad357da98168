// Retention: the rules, what they would remove, and removing it. What the rules mean: docs/retention.md.
import { z } from "zod";
import { GlobError, parseGlobs } from "../../../oci/index.ts";
import type { RetentionRequests, RetentionResult, RetentionRun } from "../../../retention/index.ts";
import { jsonReply } from "../../reply.ts";
import { ApiError } from "../api-error.ts";
import { actorOf, type ApiCall, operation } from "../operation.ts";
import {
  count,
  digest,
  isoOf,
  isoOrNull,
  named,
  repositoryName,
  tagName,
  time,
} from "../schemas.ts";

const patterns = z.array(z.string());
const seconds = z.number().nullable();

const rule = named(
  "RetentionRule",
  z.object({
    name: z.string(),
    repositories: patterns,
    tags: patterns.nullable().describe("Null: it judges untagged manifests only."),
    keep: z.object({
      newest: count.nullable(),
      pushedWithinSeconds: seconds,
      pulledWithinSeconds: seconds,
      matching: patterns.nullable(),
    }),
    untaggedOlderThanSeconds: seconds,
    intervalSeconds: z.number(),
    onPressure: z.boolean(),
    allowEmpty: z.boolean(),
  }),
);

const run = {
  what: z.enum(["preview", "apply"]),
  rule: z.string().nullable(),
  user: z.string(),
  startedAt: time,
  repositories: count.describe("That have been looked at."),
  going: z
    .array(
      z.object({
        repository: repositoryName,
        tag: tagName.nullable().describe("Null: a manifest without a tag."),
        digest,
        rule: z.string().describe("By which it goes."),
        pushedAt: time.nullable(),
        pulledAt: time.nullable(),
        untaggedSince: time.nullable(),
        isImageKept: z.boolean().describe("Something else needs the image, which stays."),
      }),
    )
    .describe("What goes, or would; the first 1000."),
  goingCount: count,
  skipped: z.array(z.object({ repository: repositoryName, reason: z.string() })),
  refused: z
    .array(z.object({ repository: repositoryName, rules: z.array(z.string()) }))
    .describe("Where a rule would have removed every tag, and did not."),
};

const status = named(
  "RetentionStatus",
  z.object({
    rules: z.array(rule).describe("Of the configuration, in their order."),
    current: named("RetentionRun", z.object(run)).nullable(),
    last: named(
      "RetentionResult",
      z.object({
        ...run,
        endedAt: time,
        report: z
          .object({
            repositories: count,
            tagsKept: count,
            tags: count,
            manifests: count,
            bytes: count.nullable().describe("What a collection will give back later."),
            atLeast: z.boolean(),
            changed: count.describe("Pushed or pulled meanwhile, and left."),
            leased: count.describe("A push may need it, and it was left."),
            refused: count,
            skipped: count,
            completed: z.boolean(),
            durationMs: z.number(),
          })
          .nullable()
          .describe("Null: it did not come to its end."),
        failure: z.string().nullable(),
      }),
    )
      .nullable()
      .describe("The last one over this API since the server started."),
  }),
);

const request = z.strictObject({
  rule: z.string().min(1).max(64).optional().describe("Only this one is applied."),
  repositories: z
    .array(z.string().min(1).max(255))
    .min(1)
    .max(100)
    .optional()
    .describe("Only repositories that one of these globs matches."),
});

function statusView(retention: RetentionRequests): object {
  const { rules, current, last } = retention;
  return {
    rules: rules.map(({ untaggedOlderThanMs, intervalMs, keep, ...one }) => ({
      ...one,
      repositories: one.repositories.patterns,
      tags: one.tags?.patterns ?? null,
      keep: {
        newest: keep.newest,
        pushedWithinSeconds: secondsOf(keep.pushedWithinMs),
        pulledWithinSeconds: secondsOf(keep.pulledWithinMs),
        matching: keep.matching?.patterns ?? null,
      },
      untaggedOlderThanSeconds: secondsOf(untaggedOlderThanMs),
      intervalSeconds: intervalMs / 1000,
    })),
    current: current === null ? null : runView(current),
    last: last === null ? null : resultView(last),
  };
}

function secondsOf(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

function runView(one: RetentionRun): object {
  const { asked, startedAtMs, repositories, goingCount, skipped, refused } = one;
  return {
    what: asked.what,
    rule: asked.rule,
    user: asked.actor.caller,
    startedAt: isoOf(startedAtMs),
    repositories,
    going: one.going.map((going) => {
      const isTag = going.kind === "tag";
      return {
        repository: going.repository,
        tag: isTag ? going.tag : null,
        digest: going.digest,
        rule: going.rule,
        pushedAt: isoOrNull(isTag ? going.pushedAtMs : null),
        pulledAt: isoOrNull(isTag ? going.pulledAtMs : null),
        untaggedSince: isoOrNull(isTag ? null : going.untaggedSinceMs),
        isImageKept: isTag && going.isImageKept,
      };
    }),
    goingCount,
    skipped,
    refused,
  };
}

function resultView(one: RetentionResult): object {
  const { report, failure, endedAtMs } = one;
  if (report === null) return { ...runView(one), endedAt: isoOf(endedAtMs), report, failure };
  const { applied: _applied, ...sums } = report;
  return { ...runView(one), endedAt: isoOf(endedAtMs), report: sums, failure };
}

function start(call: ApiCall, what: "preview" | "apply", asked: z.output<typeof request>) {
  const { retention } = call.api;
  const names = retention.rules.map(({ name }) => name);
  if (asked.rule !== undefined && !names.includes(asked.rule)) {
    throw new ApiError(
      "INVALID_BODY",
      `rule: no retention rule is named "${asked.rule}"; there are ${names.length === 0 ? "none" : names.join(", ")}`,
    );
  }
  const isStarted = retention.start({
    what,
    rule: asked.rule ?? null,
    isWanted: wantedOf(asked.repositories),
    actor: actorOf(call),
  });
  if (!isStarted) {
    throw new ApiError("BUSY", "a preview or an application is under way; wait for it, or stop it");
  }
  return jsonReply(202, statusView(retention));
}

/** @throws ApiError */
function wantedOf(globs: readonly string[] | undefined): ((name: string) => boolean) | null {
  if (globs === undefined) return null;
  try {
    const wanted = parseGlobs(globs);
    return (name) => wanted.matches(name);
  } catch (error) {
    if (!(error instanceof GlobError)) throw error;
    throw new ApiError("INVALID_BODY", `repositories: ${error.message}`);
  }
}

export const retentionOperations = [
  operation({
    id: "getRetention",
    path: "/retention",
    group: "Retention",
    summary: "The rules, and the preview or application that is under way, and the last one",
    answer: { status: 200, description: "The status.", schema: status },
    handle: ({ api }) => jsonReply(200, statusView(api.retention)),
  }),
  operation({
    id: "previewRetention",
    method: "POST",
    path: "/retention/preview",
    group: "Retention",
    summary: "Says what the rules would remove now",
    description: "Answers at once; what it finds is in the status. One at a time.",
    body: request,
    answer: { status: 202, description: "It was begun.", schema: status },
    refusals: [409],
    handle: (call, { body }) => start(call, "preview", body),
  }),
  operation({
    id: "applyRetention",
    method: "POST",
    path: "/retention/apply",
    group: "Retention",
    summary: "Removes what the rules do not keep",
    description:
      "Answers at once. What goes can be restored for `gc.keepdeleted`; the space comes back with a collection after that.",
    body: request,
    answer: { status: 202, description: "It was begun.", schema: status },
    refusals: [409],
    needs: "deleting",
    handle: (call, { body }) => start(call, "apply", body),
  }),
  operation({
    id: "stopRetention",
    method: "POST",
    path: "/retention/stop",
    group: "Retention",
    summary: "Stops the preview or application that was begun over this API",
    description: "What has been removed by then is gone.",
    answer: { status: 202, description: "It will stop.", schema: status },
    refusals: [409],
    handle: ({ api }) => {
      if (!api.retention.stopRun()) {
        throw new ApiError("NOTHING_TO_STOP", "no preview or application is under way");
      }
      return jsonReply(202, statusView(api.retention));
    },
  }),
] as const;
