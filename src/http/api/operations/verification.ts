// Verify: start, stop, and what it has found.
import { z } from "zod";
import { jsonReply } from "../../reply.ts";
import { ApiError } from "../api-error.ts";
import { type ApiCall, operation } from "../operation.ts";
import type { VerificationControl, VerificationResult, VerificationRun } from "../ports.ts";
import { count, isoOf, named, time } from "../schemas.ts";

const request = z.strictObject({
  hash: z.boolean().default(false).describe("Also reads every byte and checks its digest."),
  repair: z
    .boolean()
    .default(false)
    .describe("Mends what can be mended without losing anything; moves altered bytes away."),
  resume: z.boolean().default(false).describe("With `hash`: goes on where a run was stopped."),
});

const found = { kind: z.string(), path: z.string(), detail: z.string() };

const run = {
  startedAt: time,
  hash: z.boolean(),
  repair: z.boolean(),
  resume: z.boolean(),
  user: z.string(),
  progress: z
    .object({
      phase: z.enum(["tree", "blobs"]),
      blobs: count,
      blobsTotal: count,
      bytes: count,
      bytesTotal: count,
    })
    .nullable(),
  findings: z
    .array(
      z.object({
        ...found,
        repair: z.object({ isMended: z.boolean(), text: z.string() }).nullable(),
      }),
    )
    .describe("What is wrong; the first 100."),
  findingsCount: count,
  problems: z
    .array(z.object({ ...found, repository: z.string().nullable(), isHarmless: z.boolean() }))
    .describe("What is odd in the tree; the first 100."),
  problemsCount: count,
};

const status = named(
  "VerificationStatus",
  z.object({
    current: named("VerificationRun", z.object(run)).nullable(),
    last: named(
      "VerificationResult",
      z.object({
        ...run,
        endedAt: time,
        report: z
          .object({
            isSound: z.boolean().describe("Nothing is wrong, or nothing any more."),
            repositories: count,
            manifests: count,
            blobs: count,
            hashedBytes: count,
            mended: count,
            harmlessProblems: count,
            todo: z.array(z.string()).describe("What is left to a person."),
            durationMs: z.number(),
          })
          .nullable()
          .describe("Null: it did not come to its end."),
        failure: z.string().nullable(),
        isStopped: z.boolean(),
      }),
    )
      .nullable()
      .describe("The last one over this API since the server started."),
  }),
);

function runView(one: VerificationRun): object {
  const { hash, repair, resume, user } = one.options;
  return {
    startedAt: isoOf(one.startedAtMs),
    hash,
    repair,
    resume,
    user,
    progress: one.progress === null ? null : progressView(one.progress),
    findings: one.findings.map(({ finding, repair: done }) => {
      const { kind, path, detail } = finding;
      const repaired = done === null ? null : { isMended: done.isMended, text: done.text };
      return { kind, path, detail, repair: repaired };
    }),
    findingsCount: one.findingsCount,
    problems: one.problems.map(({ problem, isHarmless }) => {
      const { kind, path, detail, repository } = problem;
      return { kind, path, detail, repository, isHarmless };
    }),
    problemsCount: one.problemsCount,
  };
}

function progressView(one: NonNullable<VerificationRun["progress"]>): object {
  const { phase, blobs, blobsTotal, bytes, bytesTotal } = one;
  return { phase, blobs, blobsTotal, bytes, bytesTotal };
}

function resultView(one: VerificationResult): object {
  const { report, failure, isStopped } = one;
  return {
    ...runView(one),
    endedAt: isoOf(one.endedAtMs),
    report:
      report === null
        ? null
        : {
            isSound: report.isSound,
            repositories: report.repositories,
            manifests: report.manifests,
            blobs: report.checked.blobs,
            hashedBytes: report.checked.hashedBytes,
            mended: report.mended,
            harmlessProblems: report.harmlessProblems,
            todo: report.todo,
            durationMs: report.durationMs,
          },
    failure,
    isStopped,
  };
}

function statusView(verification: VerificationControl | null): object {
  const current = verification?.current() ?? null;
  const last = verification?.last() ?? null;
  return {
    current: current === null ? null : runView(current),
    last: last === null ? null : resultView(last),
  };
}

/** @throws ApiError */
function controlOf({ api }: ApiCall): VerificationControl {
  if (api.verification !== null) return api.verification;
  throw new ApiError("NOTHING_TO_VERIFY", "the storage is in memory: there is no tree to verify");
}

export const verificationOperations = [
  operation({
    id: "getVerification",
    path: "/verification",
    group: "Verification",
    summary: "The verification that is under way, and the last one",
    answer: { status: 200, description: "The status.", schema: status },
    handle: ({ api }) => jsonReply(200, statusView(api.verification)),
  }),
  operation({
    id: "startVerification",
    method: "POST",
    path: "/verification/start",
    group: "Verification",
    summary: "Checks that index, tree and blobs agree",
    description: "Answers at once; what it finds is in the status. One at a time.",
    body: request,
    answer: { status: 202, description: "It was begun.", schema: status },
    refusals: [403, 409],
    handle: (call, { body }) => {
      if (body.repair && call.env.options.readOnly) {
        throw new ApiError(
          "READ_ONLY",
          "the registry is read-only (storage.maintenance.readonly.enabled is true); verify without repair",
        );
      }
      if (body.resume && !body.hash) {
        throw new ApiError(
          "INVALID_BODY",
          "resume: goes on with a run that reads every byte; give hash as well",
        );
      }
      const control = controlOf(call);
      if (!control.start({ ...body, user: call.caller })) {
        throw new ApiError("BUSY", "a verification is under way; wait for it, or stop it");
      }
      return jsonReply(202, statusView(control));
    },
  }),
  operation({
    id: "stopVerification",
    method: "POST",
    path: "/verification/stop",
    group: "Verification",
    summary: "Stops the verification that is under way",
    description: "One with `hash` can be gone on with: `resume`.",
    answer: { status: 202, description: "It will stop.", schema: status },
    refusals: [409],
    handle: (call) => {
      if (!controlOf(call).stop()) {
        throw new ApiError("NOTHING_TO_STOP", "no verification is under way");
      }
      return jsonReply(202, statusView(call.api.verification));
    },
  }),
] as const;
