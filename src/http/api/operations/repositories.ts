// Repositories and their tags, in pages.
import { z } from "zod";
import {
  GlobError,
  isRepositoryName,
  isTag,
  NameUnknownError,
  parseGlobs,
  type RepositoryName,
} from "../../../oci/index.ts";
import type { RepositoryFact, ListedTag } from "../../../registry/ports/index.ts";
import type { NamesSeen } from "../../../registry/ports/access.ts";
import { tagsRankedMax } from "../../../registry/inspection.ts";
import { rankOf } from "../../../registry/ranked-tags.ts";
import { jsonReply, type Reply } from "../../reply.ts";
import { listSeen } from "../../seen-repositories.ts";
import { ApiError } from "../api-error.ts";
import { readCursor, writeCursor } from "../cursor.ts";
import { type ApiCall, operation, pageQuery, pageReply, repositoryOf } from "../operation.ts";
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
    imageBytes: count
      .nullable()
      .describe(
        "Of the manifest and all that it names, as far as it is here; what several platforms share counts for each. Null: it is not here, or has very many children.",
      ),
    pulledAt: time
      .nullable()
      .describe("When the image was last pulled, to the hour; null: never, as far as is known."),
    pushedAt: time.describe(
      "When the tag began to name this digest. Pushing the same again changes nothing.",
    ),
  }),
);

function repositoryView({ newestTagMs, ...usage }: RepositoryFact): object {
  return { ...usage, lastTaggedAt: isoOrNull(newestTagMs) };
}

function tagView(fact: ListedTag): object {
  const { digest: named_, mediaType, sizeBytes, imageBytes, pulledAtMs, pushedAtMs } = fact;
  return {
    name: fact.tag,
    digest: named_,
    mediaType,
    manifestBytes: sizeBytes,
    imageBytes,
    pulledAt: isoOrNull(pulledAtMs),
    pushedAt: isoOf(pushedAtMs),
  };
}

const isName = (text: string): text is RepositoryName => isRepositoryName(text);
const nameKey = z.tuple([z.string().refine(isName)]);

/** Sorted by what; a minus turns the order round. */
const sort = z.enum(["name", "-name", "pushed", "-pushed", "pulled", "-pulled", "size", "-size"]);
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
      const isWanted = matcherOf(query.search);
      if (call.grant !== null && !call.grant.isAdmin && call.grant.seen !== null) {
        return await seenReply(call, call.grant.seen, { page, isWanted });
      }
      const found = await call.api.inspection.listRepositories(page, isWanted);
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
      const by = query.sort.replace("-", "") as "name" | "pushed" | "pulled" | "size";
      const repository_ = repositoryOf(call);
      const { limit } = query;
      if (by === "name" || by === "pushed") {
        const after = key === null ? null : { pushedAtMs: key[1], tag: key[2] };
        const page = { sort: by, descending, after, limit };
        const found = await call.api.inspection.listTags(repository_, page);
        return tagsReply(call, found, (last) => [query.sort, last.pushedAtMs, last.tag]);
      }
      const after = key === null ? null : { rank: key[1], tag: key[2] };
      const ranking = { by, descending, after, limit };
      const found = await call.api.inspection.rankTags(repository_, ranking);
      if (found === null) {
        throw new ApiError(
          "INVALID_PARAMETER",
          `sort: ${repository_} has more than ${tagsRankedMax} tags, which are sorted by name and pushed only`,
        );
      }
      return tagsReply(call, found, (last) => [query.sort, rankOf(last, by), last.tag]);
    },
  }),
] as const;

/** Of what the caller may see: no cursor names anything else, either. */
async function seenReply(
  call: ApiCall,
  seen: NamesSeen,
  asked: {
    readonly page: { readonly after: RepositoryName | null; readonly limit: number };
    readonly isWanted: ((name: string) => boolean) | null;
  },
): Promise<Reply> {
  const { page, isWanted } = asked;
  const wanted: NamesSeen = {
    prefixes: seen.prefixes,
    matches: (name) => seen.matches(name) && isWanted?.(name) !== false,
  };
  const names = await listSeen(call.env, wanted, { after: page.after, limit: page.limit + 1 });
  const shown = names.slice(0, page.limit);
  const facts: RepositoryFact[] = [];
  for (const name of shown) {
    try {
      facts.push(await call.api.inspection.describeRepository(name));
    } catch (error) {
      // Emptied since it was listed.
      if (!(error instanceof NameUnknownError)) throw error;
    }
    if (facts.length % 50 === 0) await new Promise(setImmediate);
  }
  const last = shown.at(-1);
  const cursor = last === undefined || names.length <= page.limit ? null : writeCursor([last]);
  return pageReply(call, facts.map(repositoryView), cursor);
}

function tagsReply(
  call: ApiCall,
  found: { readonly tags: readonly ListedTag[]; readonly next: ListedTag | null },
  keyOf: (last: ListedTag) => readonly (string | number)[],
): Reply {
  const cursor = found.next === null ? null : writeCursor(keyOf(found.next));
  return pageReply(call, found.tags.map(tagView), cursor);
}

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
