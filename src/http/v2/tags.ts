// GET of /v2/<name>/tags/list: all tags at once, or in pages by `n` and `last`.
// Memory is bounded however many tags there are: long lists are streamed.
// Source: distribution-spec, "Listing Tags".
import type { RepositoryName, Tag } from "../../oci/index.ts";
import type { Call, Endpoint, Env } from "../context.ts";
import { nextLink, parsePageQuery } from "../pages.ts";
import { type Reply, jsonReply, jsonType } from "../reply.ts";
import type { RepositoryRoute } from "../route.ts";

/** Tags asked of the index at once. */
const pageTags = 1000;
/** Most tags that are held in memory for one answer; beyond that it is streamed. */
const heldTagsMax = 10_000;

export const tagsEndpoint: Endpoint<RepositoryRoute> = {
  methods: { GET: listTags, HEAD: listTags },
};

async function listTags(env: Env, call: Call, route: RepositoryRoute): Promise<Reply> {
  const { repository } = route;
  const { n, last } = parsePageQuery(call.query);
  if (n === null) return listAllTags(env, repository, last);
  const { catalog } = env.registry;
  // A page may be shorter than was asked for where a Link says so (unlike in the catalogue, clients
  // do ask for ten thousand here).
  const limit = Math.min(n, env.options.tagsMax);
  const found = await catalog.listTags(repository, { after: last, limit: limit + 1 });
  const tags = found.slice(0, limit);
  const lastShown = tags.at(-1);
  const more = lastShown !== undefined && found.length > limit;
  const headers = more
    ? { Link: nextLink(env, call, { last: lastShown, n: String(limit) }) }
    : undefined;
  return jsonReply(200, { name: repository, tags }, headers);
}

async function listAllTags(
  env: Env,
  repository: RepositoryName,
  last: string | null,
): Promise<Reply> {
  const { catalog } = env.registry;
  const tags: Tag[] = [];
  let after = last;
  while (tags.length < heldTagsMax) {
    const page = await catalog.listTags(repository, { after, limit: pageTags });
    tags.push(...page);
    after = page.at(-1) ?? after;
    if (page.length < pageTags) return jsonReply(200, { name: repository, tags });
  }
  const body = streamTags(env, repository, tags);
  return { status: 200, headers: { "Content-Type": jsonType }, body, sizeBytes: null };
}

function streamTags(
  env: Env,
  repository: RepositoryName,
  first: readonly Tag[],
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let after = first.at(-1) ?? null;
  let begun = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (!begun) {
        begun = true;
        const head = `{"name":${JSON.stringify(repository)},"tags":[`;
        controller.enqueue(encoder.encode(head + commaSeparated(first)));
        return;
      }
      const page = await env.registry.catalog.listTags(repository, { after, limit: pageTags });
      after = page.at(-1) ?? after;
      const rest = page.length === 0 ? "" : `,${commaSeparated(page)}`;
      const over = page.length < pageTags;
      controller.enqueue(encoder.encode(over ? `${rest}]}` : rest));
      if (over) controller.close();
    },
  });
}

function commaSeparated(tags: readonly Tag[]): string {
  return JSON.stringify(tags).slice(1, -1);
}
