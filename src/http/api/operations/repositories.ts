// Repositories and their tags, in pages.
import { z } from "zod";
import {
  GlobError,
  isRepositoryName,
  isTag,
  parseGlobs,
  type RepositoryName,
} from "../../../oci/index.ts";
import type { RepositoryFact, ListedTag } from "../../../registry/ports/index.ts";
import { jsonReply } from "../../reply.ts";
import { ApiError } from "../api-error.ts";
import { readCursor, writeCursor } from "../cursor.ts";
import { operation, pageQuery, pageReply, repositoryOf } from "../operation.ts";
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

const repository = named(
  "Repository",
  z.object({
    name: repositoryName,
    manifests: count,
    tags: count,
    logicalBytes: count.describe("Of all that it holds, each blob counted once."),
    exclusiveBytes: count.describe(
      "Of what no other repository holds: deleting this one and collecting would free it.",
    ),
    lastTaggedAt: time.nullable().describe("When a tag was last moved; null: it has none."),
  }),
);

const tag = named(
  "Tag",
  z.object({
    name: tagName,
    digest,
    mediaType: z
      .string()
      .nullable()
      .describe("Null: the manifest's bytes are missing or cannot be read."),
    manifestBytes: count.nullable().describe("Of the manifest itself."),
    pushedAt: time.describe(
      "When the tag began to name this digest. Pushing the same again changes nothing.",
    ),
  }),
);

function repositoryView({ newestTagMs, ...usage }: RepositoryFact): object {
  return { ...usage, lastTaggedAt: isoOrNull(newestTagMs) };
}

function tagView(fact: ListedTag): object {
  const { digest: named_, mediaType, sizeBytes, pushedAtMs } = fact;
  return {
    name: fact.tag,
    digest: named_,
    mediaType,
    manifestBytes: sizeBytes,
    pushedAt: isoOf(pushedAtMs),
  };
}

const isName = (text: string): text is RepositoryName => isRepositoryName(text);
const nameKey = z.tuple([z.string().refine(isName)]);

/** Sorted by what; a minus turns the order round. */
const sort = z.enum(["name", "-name", "pushed", "-pushed"]);
const tagKey = z.tuple([sort, z.int(), z.string().refine((text) => isTag(text))]);

export const repositoryOperations = [
  operation({
    id: "listRepositories",
    path: "/repositories",
    group: "Repositories",
    summary: "Repositories that hold a manifest, by name",
    description:
      "With `search` a request looks at a bounded number of names: a page may be shorter than `limit`, and even empty, and still have a `next`.",
    query: z.strictObject({
      ...pageQuery,
      search: z
        .string()
        .min(1)
        .max(255)
        .optional()
        .describe("A part of the name or, with one of `*?[{`, a glob such as `team/**`."),
    }),
    answer: {
      status: 200,
      description: "A page.",
      schema: listOf("RepositoryList", repository),
    },
    handle: async (call, { query }) => {
      const after = readCursor(query.cursor, nameKey)?.[0] ?? null;
      const page = { after: after, limit: query.limit };
      const found = await call.api.inspection.listRepositories(page, matcherOf(query.search));
      const cursor = found.next === null ? null : writeCursor([found.next]);
      return pageReply(call, found.repositories.map(repositoryView), cursor);
    },
  }),
  operation({
    id: "getRepository",
    path: "/repositories/{name}",
    group: "Repositories",
    summary: "One repository",
    answer: { status: 200, description: "The repository.", schema: repository },
    refusals: [404],
    handle: async (call) => {
      const fact = await call.api.inspection.describeRepository(repositoryOf(call));
      return jsonReply(200, repositoryView(fact));
    },
  }),
  operation({
    id: "listTags",
    path: "/repositories/{name}/-/tags",
    group: "Repositories",
    summary: "The tags of a repository",
    query: z.strictObject({
      ...pageQuery,
      sort: sort.default("name").describe("By what; a minus turns the order round."),
    }),
    answer: { status: 200, description: "A page.", schema: listOf("TagList", tag) },
    refusals: [404],
    handle: async (call, { query }) => {
      const key = readCursor(query.cursor, tagKey);
      if (key !== null && key[0] !== query.sort) {
        throw new ApiError(
          "INVALID_CURSOR",
          `the cursor is of a list with sort=${key[0]}, and this one has sort=${query.sort}`,
        );
      }
      const descending = query.sort.startsWith("-");
      const by = query.sort === "pushed" || query.sort === "-pushed" ? "pushed" : "name";
      const after = key === null ? null : { pushedAtMs: key[1], tag: key[2] };
      const page = { sort: by, descending, after, limit: query.limit } as const;
      const found = await call.api.inspection.listTags(repositoryOf(call), page);
      const { next } = found;
      const cursor = next === null ? null : writeCursor([query.sort, next.pushedAtMs, next.tag]);
      return pageReply(call, found.tags.map(tagView), cursor);
    },
  }),
] as const;

function matcherOf(search: string | undefined): ((name: string) => boolean) | null {
  if (search === undefined) return null;
  if (!/[*?[{]/.test(search)) return (name) => name.includes(search);
  try {
    const globs = parseGlobs([search]);
    return (name) => globs.matches(name);
  } catch (error) {
    if (!(error instanceof GlobError)) throw error;
    throw new ApiError("INVALID_PARAMETER", `search: ${error.message}`);
  }
}
