// Having back what was deleted: a tag, an image, or all of a repository.
import { z } from "zod";
import { isDigest, isRepositoryName, isTag, type RepositoryName } from "../../../oci/index.ts";
import type { RestoreReport, RestoreWanted } from "../../../registry/restores.ts";
import { jsonReply } from "../../reply.ts";
import { ApiError } from "../api-error.ts";
import { actorOf, operation, repositoryOf, requireAgreement } from "../operation.ts";
import { count, digest, isoOf, named, tagName } from "../schemas.ts";

const forceTags = z
  .boolean()
  .default(false)
  .describe("Tags that name something else by now are moved.");
const dryRun = z.boolean().default(false).describe("Says what would be restored.");

const restoreRequest = z
  .strictObject({
    repository: z.string().refine(isRepositoryName, "expected a repository's name"),
    id: z.int().min(1).optional().describe("Of a deletion in the list."),
    digest: z.string().refine(isDigest, "expected a digest").optional(),
    tag: z.string().refine(isTag, "expected a tag").optional(),
    forceTags,
    dryRun,
  })
  .describe("One of `id`, `digest` and `tag`; of a name, its youngest deletion.");

const taken = z.array(z.object({ tag: tagName, digest }));

const restored = named(
  "Restored",
  z.object({
    outcome: z.enum(["restored", "there"]).describe("`there`: there was nothing to do."),
    dryRun: z.boolean(),
    manifests: z.array(digest).describe("That came back."),
    tags: z.array(tagName),
    taken: taken.describe(
      "Tags that name something else by now, and were left; these stay restorable.",
    ),
    leftOut: z.array(digest).describe("Referrers that could not come with it."),
  }),
);

/** Deletions of a repository that are told of one by one. */
const failuresMax = 100;

const repositoryRestored = named(
  "RepositoryRestored",
  z.object({
    dryRun: z.boolean(),
    restored: count.describe("Deletions that were undone."),
    manifests: count,
    tags: count,
    failed: count.describe("Deletions that were not."),
    failures: z
      .array(
        z.object({
          outcome: z.enum(["taken", "missing", "gone", "unknown"]),
          id: count.nullable(),
        }),
      )
      .describe(`Of which deletions, and why not; the first ${failuresMax}.`),
  }),
);

export const restoringOperations = [
  operation({
    id: "restore",
    method: "POST",
    path: "/deletions/restore",
    group: "Deleting",
    summary: "Brings a tag or an image back that was deleted",
    description:
      "With its tags, its children and its referrers, as one change. 410: it was collected; push it again.",
    body: restoreRequest,
    answer: { status: 200, description: "It is back.", schema: restored },
    refusals: [404, 409, 410],
    needs: "writing",
    isAudited: true,
    handle: async (call, { body }) => {
      requireAgreement(call);
      const options = { actor: actorOf(call), forceTags: body.forceTags, dryRun: body.dryRun };
      const report = await call.api.restores.restore(wantedOf(body), options);
      return jsonReply(200, restoredView(report, body));
    },
  }),
  operation({
    id: "restoreRepository",
    method: "POST",
    path: "/repositories/{name}/-/restore",
    group: "Deleting",
    summary: "Brings back all that was deleted in a repository",
    description: "The youngest deletion first, one by one. A large one takes its time.",
    body: z.strictObject({ forceTags, dryRun }),
    answer: { status: 200, description: "What came of it.", schema: repositoryRestored },
    refusals: [404],
    needs: "writing",
    isAudited: true,
    handle: async (call, { body }) => {
      requireAgreement(call);
      const repository = repositoryOf(call);
      const { signal } = call.request;
      const sums = { restored: 0, manifests: 0, tags: 0, failed: 0 };
      const failures: object[] = [];
      const options = { ...body, actor: actorOf(call), signal };
      await call.api.restores.restoreRepository(repository, options, async (report) => {
        if (report.outcome === "restored") {
          sums.restored += 1;
          sums.manifests += report.manifests.length;
          sums.tags += report.tags.length;
        } else if (report.outcome !== "there") {
          sums.failed += 1;
          const id = "deletion" in report ? report.deletion.id : null;
          if (failures.length < failuresMax) failures.push({ outcome: report.outcome, id });
        }
      });
      if (sums.restored + sums.failed === 0) throw nothingToRestore(repository);
      return jsonReply(200, { dryRun: body.dryRun, ...sums, failures });
    },
  }),
] as const;

/** @throws ApiError */
function wantedOf(body: z.output<typeof restoreRequest>): RestoreWanted {
  const { repository, id, digest: digest_, tag } = body;
  const wanted: RestoreWanted[] = [
    ...(id === undefined ? [] : [{ repository, id }]),
    ...(digest_ === undefined ? [] : [{ repository, digest: digest_ }]),
    ...(tag === undefined ? [] : [{ repository, tag }]),
  ];
  const [one] = wanted;
  if (one !== undefined && wanted.length === 1) return one;
  throw new ApiError("INVALID_BODY", "expected one of id, digest and tag");
}

/** @throws ApiError for what could not be restored */
function restoredView(
  report: RestoreReport,
  asked: { readonly repository: RepositoryName; readonly dryRun: boolean },
): object {
  switch (report.outcome) {
    case "restored": {
      const { outcome, manifests, tags, leftOut } = report;
      return { outcome, dryRun: asked.dryRun, manifests, tags, taken: report.taken, leftOut };
    }
    case "there":
      return {
        outcome: "there",
        dryRun: asked.dryRun,
        manifests: [],
        tags: [],
        taken: [],
        leftOut: [],
      };
    case "taken":
      throw new ApiError(
        "TAG_TAKEN",
        `the tag names something else by now: ${takenText(report.taken)}; forceTags moves it`,
        { detail: { taken: report.taken } },
      );
    case "missing":
      throw new ApiError(
        "CONTENT_MISSING",
        `something that it needs is not here any more, so nothing was restored; push it again to ${asked.repository}`,
        { detail: { missing: report.missing.slice(0, 100) } },
      );
    case "gone":
      throw new ApiError(
        "GONE",
        `it was deleted at ${isoOf(report.deletedAtMs)}, could be restored until ${isoOf(report.releasedAtMs)}, and is gone: push it again`,
      );
    case "unknown":
      throw nothingToRestore(asked.repository);
  }
}

function takenText(all: readonly { readonly tag: string; readonly digest: string }[]): string {
  return all.map(({ tag, digest: names }) => `${tag} (${names})`).join(", ");
}

function nothingToRestore(repository: RepositoryName): ApiError {
  return new ApiError(
    "NOTHING_TO_RESTORE",
    `nothing like that was deleted from ${repository} lately; see /deletions`,
  );
}
