// Deleting tags, images and whole repositories; what was deleted, and having it back.
import { z } from "zod";
import {
  isDigestReference,
  isRepositoryName,
  ManifestUnknownError,
  NameUnknownError,
  parseDigest,
  parseTag,
} from "../../../oci/index.ts";
import type { Deleter, ListedDeletion } from "../../../registry/deletions.ts";
import { jsonReply } from "../../reply.ts";
import { ApiError } from "../api-error.ts";
import { readCursor, writeCursor } from "../cursor.ts";
import {
  actorOf,
  type ApiCall,
  operation,
  pageQuery,
  pageReply,
  referenceOf,
  repositoryOf,
  requireAgreement,
} from "../operation.ts";
import {
  count,
  digest,
  isoOf,
  isoOrNull,
  listOf,
  named,
  repositoryName,
  tagName,
  time,
} from "../schemas.ts";

const restorableUntil = time
  .nullable()
  .describe("Until when it can be restored; null: not at all (`gc.keepdeleted` is 0).");

const deletion = named(
  "Deletion",
  z.object({
    id: count,
    what: z
      .enum(["tag", "manifest", "image"])
      .describe("`image`: a manifest with children and referrers."),
    repository: repositoryName,
    digest: digest.describe("Of a tag: what it named."),
    mediaType: z.string(),
    manifestBytes: count,
    tags: z.array(tagName).describe("That went with it; at most 100."),
    tagCount: count,
    heldBytes: count.describe("Of all that it holds; other things may hold it, too."),
    deletedAt: time,
    deletedBy: z.string(),
    reason: z.string().describe("`client`, `api`, `command`, or a retention rule."),
    restorableUntil: time.describe("The first collection in the background after that frees it."),
  }),
);

function deletionView(one: ListedDeletion): object {
  const { id, what, repository, digest: digest_, mediaType, sizeBytes } = one;
  const { tags, tagCount, heldBytes, nowMs, deletedBy, reason } = one;
  return {
    id,
    what,
    repository,
    digest: digest_,
    mediaType,
    manifestBytes: sizeBytes,
    tags,
    tagCount,
    heldBytes,
    deletedAt: isoOf(nowMs),
    deletedBy,
    reason,
    restorableUntil: isoOf(one.restorableUntilMs),
  };
}

function deleterOf(call: ApiCall): Deleter {
  return { ...actorOf(call), reason: "api" };
}

const deletingOperations = [
  operation({
    id: "deleteTag",
    method: "DELETE",
    path: "/repositories/{name}/-/tags/{tag}",
    group: "Deleting",
    summary: "Deletes a tag; the image stays, without it",
    query: z.strictObject({
      digest: digest.optional().describe("Only if the tag still names this one; else 409."),
    }),
    answer: {
      status: 200,
      description: "It is gone.",
      schema: named("TagDeletion", z.object({ tag: tagName, digest, restorableUntil })),
    },
    refusals: [404, 409],
    needs: "deleting",
    isAudited: true,
    handle: async (call, { query }) => {
      requireAgreement(call);
      const repository = repositoryOf(call);
      const tag = parseTag(call.parameters["tag"] ?? "");
      const expected = query.digest === undefined ? {} : { expected: parseDigest(query.digest) };
      const { deletions } = call.api;
      const done = await deletions.deleteTag({ repository, tag, ...expected }, deleterOf(call));
      if (done.outcome === "changed") {
        throw new ApiError("CHANGED", `${repository}:${tag} names ${done.digest} by now`);
      }
      if (done.outcome === "unknown") {
        throw new ManifestUnknownError(`${repository} has no tag ${tag}`);
      }
      const until = isoOrNull(deletions.restorableUntilMs());
      return jsonReply(200, { tag, digest: done.digest, restorableUntil: until });
    },
  }),
  operation({
    id: "deleteImage",
    method: "DELETE",
    path: "/repositories/{name}/-/images/{reference}",
    group: "Deleting",
    summary: "Deletes an image with its tags, children that nothing else needs, and referrers",
    description: "By digest alone; a tag is deleted among the tags.",
    answer: {
      status: 200,
      description: "It is gone.",
      schema: named(
        "ImageDeletion",
        z.object({
          tags: z.array(tagName).describe("That named it."),
          manifests: z.array(digest).describe("All that went, itself first."),
          restorableUntil,
        }),
      ),
    },
    refusals: [404],
    needs: "deleting",
    isAudited: true,
    handle: async (call) => {
      requireAgreement(call);
      const repository = repositoryOf(call);
      const reference = referenceOf(call);
      if (!isDigestReference(reference)) {
        throw new ApiError(
          "INVALID_PATH",
          `an image is deleted by its digest; the tag ${reference} alone at …/-/tags/${reference}`,
        );
      }
      const { deletions } = call.api;
      const image = { repository, digest: reference };
      const { outcome, tags, manifests } = await deletions.deleteImage(image, deleterOf(call));
      if (outcome === "unknown") {
        throw new ManifestUnknownError(`${repository} has no manifest ${reference}`);
      }
      const until = isoOrNull(deletions.restorableUntilMs());
      return jsonReply(200, { tags, manifests, restorableUntil: until });
    },
  }),
  operation({
    id: "deleteRepository",
    method: "DELETE",
    path: "/repositories/{name}",
    group: "Deleting",
    summary: "Deletes all that is in a repository, which then vanishes",
    description:
      "Images go one by one, each a deletion of its own; uploads are ended. What a push under way has leased stays for it. Given up half-way, what has gone is gone.",
    answer: {
      status: 200,
      description: "It is empty.",
      schema: named(
        "RepositoryDeletion",
        z.object({
          images: count,
          manifests: count,
          tags: count,
          uploads: count,
          restorableUntil,
        }),
      ),
    },
    refusals: [404],
    needs: "deleting",
    isAudited: true,
    handle: async (call) => {
      requireAgreement(call);
      const repository = repositoryOf(call);
      const { deletions } = call.api;
      const { outcome, ...counts } = await deletions.deleteRepository(
        repository,
        deleterOf(call),
        call.request.signal,
      );
      if (outcome === "unknown") {
        throw new NameUnknownError(`there is no repository ${repository}`);
      }
      const until = isoOrNull(deletions.restorableUntilMs());
      return jsonReply(200, { ...counts, restorableUntil: until });
    },
  }),
] as const;

const deletionKey = z.tuple([z.int(), z.int()]);

export const deletionOperations = [
  ...deletingOperations,
  operation({
    id: "listDeletions",
    path: "/deletions",
    group: "Deleting",
    summary: "What was deleted and can be restored, the youngest first",
    query: z.strictObject({
      ...pageQuery,
      repository: z
        .string()
        .refine(isRepositoryName, "expected a repository's name")
        .optional()
        .describe("Only of this one."),
    }),
    answer: { status: 200, description: "A page.", schema: listOf("DeletionList", deletion) },
    handle: async (call, { query }) => {
      const { repository, limit } = query;
      const found = await call.api.deletions.list({
        after: readCursor(query.cursor, deletionKey),
        limit: limit + 1,
        ...(repository === undefined ? {} : { repository }),
      });
      const shown = found.slice(0, limit);
      const last = shown.at(-1);
      const more = last !== undefined && found.length > limit;
      return pageReply(
        call,
        shown.map(deletionView),
        more ? writeCursor([last.nowMs, last.id]) : null,
      );
    },
  }),
] as const;
