// Who uses the space: the whole, the largest, one repository, one image, over time; and what deleting would
// give back. What the figures mean: docs/usage.md.
import { z } from "zod";
import { GlobError, ManifestUnknownError, parseGlobs, parseImageName } from "../../../oci/index.ts";
import { NameUnknownError, type NameGlobs } from "../../../oci/index.ts";
import type { BlobFact, RepositoryManifest } from "../../../registry/ports/index.ts";
import { jsonReply } from "../../reply.ts";
import { ApiError } from "../api-error.ts";
import { sees, seenGlobs } from "../guard.ts";
import { type ApiCall, operation, referenceOf, repositoryOf } from "../operation.ts";
import { count, digest, isoOf, named, repositoryName, tagName, time } from "../schemas.ts";

const amount = z.object({ blobs: count, bytes: count });
const atLeast = z.boolean().describe("There is more than could be counted.");

const summary = named(
  "UsageSummary",
  z.object({
    takenAt: time,
    storedBytes: count.describe("Of all blobs on disk, each once."),
    blobs: count,
    manifests: count,
    repositories: count,
    heldBytes: count.describe("Of `storedBytes`: what repositories hold."),
    restorable: amount.describe("Only deletions that can be undone need it."),
    leased: amount.describe("Nothing refers to it, but a push may be about to."),
    mayBeHeldBytes: count.describe("What cannot be read may need it."),
    waiting: amount.describe("Nothing refers to it: the next collection frees it."),
    condemned: amount.describe("A collection is removing it."),
    garbage: z
      .object({ blobs: count, bytes: count, atLeast })
      .describe("Of `heldBytes`: what the next collection frees with stray manifests."),
    untagged: z
      .object({ manifests: count, bytes: count, atLeast })
      .describe("Of `heldBytes`: what collecting untagged manifests would free beyond."),
    logicalBytes: count.describe("What repositories would take if nothing were shared."),
    dedupeRatio: z.number().nullable(),
    unreadableManifests: count,
    uploads: z.object({ sessions: count, bytes: count }),
    growth: z.array(z.object({ days: z.number(), bytesPerDay: z.number() })),
  }),
);

const sums = {
  manifests: count,
  tags: count,
  logicalBytes: count,
  exclusiveBytes: count.describe("What deleting it and collecting would free."),
};

const repositoryRow = z.object({ repository: repositoryName, ...sums, sharedBytes: count });

const repositoryRows = named(
  "RepositoryUsageList",
  z.object({
    items: z.array(repositoryRow),
    count: count.describe("Repositories that hold something, shown or not; the sums are theirs."),
    logicalBytes: count,
    exclusiveBytes: count,
  }),
);

const imageSums = {
  logicalBytes: count.describe("What a pull moves."),
  exclusiveBytes: count,
  sharedBytes: count,
  atLeast,
};

const tagRows = named(
  "TagUsageList",
  z.object({
    items: z.array(
      z.object({
        repository: repositoryName,
        tag: tagName,
        digest,
        pushedAt: time,
        ...imageSums,
      }),
    ),
  }),
);

const blobRows = named(
  "BlobUsageList",
  z.object({
    items: z.array(
      z.object({
        digest,
        sizeBytes: count,
        repositories: z.array(repositoryName).describe("Some that hold it."),
        isHeldByMore: z.boolean(),
      }),
    ),
  }),
);

const ageRows = named(
  "AgeUsageList",
  z.object({
    items: z.array(
      z.object({
        youngerThanDays: count.nullable().describe("Null: older than all of these."),
        manifests: count,
        bytes: count,
      }),
    ),
  }),
);

const history = named(
  "UsageHistory",
  z.object({
    items: z
      .array(
        z.object({
          takenAt: time,
          blobs: count,
          storedBytes: count,
          heldBytes: count,
          logicalBytes: count,
          manifests: count,
          repositories: count,
        }),
      )
      .describe("The youngest first, one a day at most."),
  }),
);

const repositoryUsage = named(
  "RepositoryUsage",
  z.object({
    repository: repositoryName,
    ...sums,
    sharedBytes: count,
    sharedWith: z
      .array(z.object({ repository: repositoryName, bytes: count }))
      .describe("The most first."),
    isSharedWithMore: z.boolean(),
    untagged: z.object({ manifests: count, bytes: count, atLeast }),
  }),
);

const shownMax = 1_000;

const preview = named(
  "DeletionPreview",
  z.object({
    manifests: count.describe("That would go."),
    blobs: count.describe("That would be freed."),
    bytes: count,
    atLeast,
    unknown: z.array(z.string()).describe("Of what was asked: not there."),
    freed: z
      .array(z.object({ digest, sizeBytes: count }))
      .describe(`The blobs; the first ${shownMax}.`),
    going: z
      .array(z.object({ repository: repositoryName, digest }))
      .describe(
        `The manifests, those of whole repositories not one by one; the first ${shownMax}.`,
      ),
  }),
);

const top = z.coerce
  .number("expected a whole number from 1 to 1000")
  .int("expected a whole number from 1 to 1000")
  .min(1, "expected a whole number from 1 to 1000")
  .max(1_000, "expected a whole number from 1 to 1000")
  .default(20)
  .describe("How many, the largest first.");

const repositories = z
  .string()
  .min(1)
  .max(1_000)
  .optional()
  .describe("Only of repositories that one of these globs matches, divided by commas.");

const topQuery = z.strictObject({ limit: top, repositories });

export const usageOperations = [
  operation({
    id: "getUsage",
    path: "/usage",
    group: "Usage",
    summary: "Where the disk went",
    answer: { status: 200, description: "The sums.", schema: summary },
    handle: async ({ api, reports }) => {
      const { takenAtMs, ...sum } = await reports.pass(() => api.usage.summary());
      return jsonReply(200, { takenAt: isoOf(takenAtMs), ...sum });
    },
  }),
  operation({
    id: "listLargestRepositories",
    path: "/usage/repositories",
    group: "Usage",
    summary: "The repositories that use the most",
    query: topQuery.extend({
      by: z
        .enum(["exclusive", "logical"])
        .default("exclusive")
        .describe("`exclusive`: what deleting it would free; `logical`: what it holds."),
    }),
    answer: { status: 200, description: "The largest.", schema: repositoryRows },
    handle: async (call, { query }) => {
      const { api, reports } = call;
      const by = query.by === "logical" ? "logicalBytes" : "exclusiveBytes";
      const options = { limit: query.limit, globs: globsOf(call, query.repositories), by } as const;
      const { rows, ...sum } = await reports.pass(() => api.usage.topRepositories(options));
      return jsonReply(200, { items: rows, ...sum });
    },
  }),
  operation({
    id: "listLargestTags",
    path: "/usage/tags",
    group: "Usage",
    summary: "The largest images, by tag",
    query: topQuery,
    answer: { status: 200, description: "The largest.", schema: tagRows },
    handle: async (call, { query }) => {
      const { api, reports } = call;
      const options = { limit: query.limit, globs: globsOf(call, query.repositories) };
      const rows = await reports.pass(() => api.usage.topTags(options));
      const items = rows.map(({ pushedAtMs, ...row }) => ({ ...row, pushedAt: isoOf(pushedAtMs) }));
      return jsonReply(200, { items });
    },
  }),
  operation({
    id: "listLargestBlobs",
    path: "/usage/blobs",
    group: "Usage",
    summary: "The largest blobs, and who holds them",
    query: topQuery,
    answer: { status: 200, description: "The largest.", schema: blobRows },
    handle: async (call, { query }) => {
      const { api, reports } = call;
      const options = { limit: query.limit, globs: globsOf(call, query.repositories) };
      const rows = await reports.pass(() => api.usage.topBlobs(options));
      const items = rows.map((row) => {
        const shown = row.repositories.filter((name) => sees(call.grant, name));
        const isHeldByMore = row.isHeldByMore || shown.length < row.repositories.length;
        return { ...row, repositories: shown, isHeldByMore };
      });
      return jsonReply(200, { items });
    },
  }),
  operation({
    id: "getUsageByAge",
    path: "/usage/ages",
    group: "Usage",
    summary: "Bytes by how long ago they were pushed",
    query: z.strictObject({ repositories }),
    answer: { status: 200, description: "By age.", schema: ageRows },
    handle: async (call, { query }) => {
      const { api, reports } = call;
      const options = { globs: globsOf(call, query.repositories) };
      return jsonReply(200, { items: await reports.pass(() => api.usage.byAge(options)) });
    },
  }),
  operation({
    id: "getUsageHistory",
    path: "/usage/history",
    group: "Usage",
    summary: "The sums, day by day",
    query: z.strictObject({ limit: top }),
    answer: { status: 200, description: "The history.", schema: history },
    handle: async ({ api }, { query }) => {
      const samples = await api.usage.history(query.limit);
      const items = samples.map(({ takenAtMs, day: _day, ...rest }) => {
        return { takenAt: isoOf(takenAtMs), ...rest };
      });
      return jsonReply(200, { items });
    },
  }),
  operation({
    id: "getRepositoryUsage",
    path: "/repositories/{name}/-/usage",
    group: "Usage",
    summary: "What a repository uses, and with whom it shares",
    query: z.strictObject({ limit: top }),
    answer: { status: 200, description: "The usage.", schema: repositoryUsage },
    refusals: [404],
    handle: async (call, { query }) => {
      const repository = repositoryOf(call);
      const { api, reports } = call;
      const report = await reports.pass(() => api.usage.repository(repository, query.limit));
      if (report === null) throw new NameUnknownError(`there is no repository ${repository}`);
      const sharedWith = report.sharedWith.filter((other) => sees(call.grant, other.repository));
      const isSharedWithMore =
        report.isSharedWithMore || sharedWith.length < report.sharedWith.length;
      return jsonReply(200, { ...report, sharedWith, isSharedWithMore });
    },
  }),
  operation({
    id: "getImageUsage",
    path: "/repositories/{name}/-/images/{reference}/usage",
    group: "Usage",
    summary: "What an image uses, and what deleting it would free",
    answer: {
      status: 200,
      description: "The usage.",
      schema: named("ImageUsage", z.object({ digest, ...imageSums })),
    },
    refusals: [404],
    handle: async (call) => {
      const [repository, reference] = [repositoryOf(call), referenceOf(call)];
      const { api, reports } = call;
      const usage = await reports.pass(() => api.usage.image(repository, reference));
      if (usage === null) {
        throw new ManifestUnknownError(`${repository} has no manifest ${reference}`);
      }
      return jsonReply(200, usage);
    },
  }),
  operation({
    id: "previewDeletion",
    path: "/deletions/preview",
    group: "Deleting",
    summary: "What deleting these together, and collecting, would free",
    description:
      "Given everything else, once leases and deletions that can be undone are over. A tag counts with its image, if nothing else needs that; deleting the tag alone leaves the image, untagged.",
    query: z.strictObject({
      of: z
        .string()
        .min(1)
        .max(8_000)
        .describe(
          "`repository`, `repository:tag` or `repository@digest`, divided by commas; at most 100.",
        ),
    }),
    answer: { status: 200, description: "The preview.", schema: preview },
    handle: async ({ api, grant, reports }, { query }) => {
      const asked = targetsOf(query.of);
      // What the caller may not see is as if it were not there.
      const targets = asked.filter(({ repository }) => sees(grant, repository));
      const unseen = asked.filter(({ repository }) => !sees(grant, repository));
      const freed: BlobFact[] = [];
      const going: RepositoryManifest[] = [];
      const found = await reports.pass(() =>
        api.usage.deletePreview(targets, {
          manifest: (manifest) => void (going.length < shownMax && going.push(manifest)),
          blobs: (blobs) => void freed.push(...blobs.slice(0, shownMax - freed.length)),
        }),
      );
      const { manifests, blobs, bytes, unknown } = found;
      return jsonReply(200, {
        manifests,
        blobs,
        bytes,
        atLeast: found.atLeast,
        unknown: [...unknown, ...unseen].map(({ repository, reference }) =>
          reference === null
            ? repository
            : `${repository}${reference.includes(":") ? "@" : ":"}${reference}`,
        ),
        freed,
        going,
      });
    },
  }),
] as const;

const targetsMax = 100;

/** @throws RegistryError, ApiError */
function targetsOf(text: string) {
  const names = text.split(",");
  if (names.length > targetsMax) {
    throw new ApiError("INVALID_PARAMETER", `of: ${names.length} names; at most ${targetsMax}`);
  }
  return names.map((name) => {
    const { repository, tag, digest: digest_ } = parseImageName(name.trim());
    return { repository, reference: tag ?? digest_ };
  });
}

/** @throws ApiError */
function globsOf({ grant }: ApiCall, text: string | undefined): NameGlobs | null {
  try {
    return seenGlobs(grant, text === undefined ? null : parseGlobs(text.split(",")));
  } catch (error) {
    if (!(error instanceof GlobError)) throw error;
    throw new ApiError("INVALID_PARAMETER", `repositories: ${error.message}`);
  }
}
