// GET of /v2/_catalog: the repositories that hold something, in pages.
// Source: the classic registry's API; the OCI specification leaves it out.
import type { Call, Endpoint, Env } from "../context.ts";
import { listSeen } from "../seen-repositories.ts";
import { nextLink, pageNumberInvalid, parsePageQuery } from "../pages.ts";
import { type Reply, jsonReply } from "../reply.ts";
import type { PlainRoute } from "../route.ts";

/** Entries of a page that does not say how many it wants. */
const defaultEntries = 100;

export const catalogEndpoint: Endpoint<PlainRoute> = {
  methods: { GET: listRepositories, HEAD: listRepositories },
};

async function listRepositories(env: Env, call: Call): Promise<Reply> {
  const { n, last } = parsePageQuery(call.query);
  const most = env.options.catalogEntriesMax;
  if (n !== null && n > most) throw pageNumberInvalid(n, most);
  const limit = n ?? Math.min(defaultEntries, most);
  if (limit === 0) return jsonReply(200, { repositories: [] });
  const found = await listSeen(env, call.grant?.seen ?? null, {
    after: last,
    limit: limit + 1,
  });
  const repositories = found.slice(0, limit);
  const lastShown = repositories.at(-1);
  const more = lastShown !== undefined && found.length > limit;
  const headers = more
    ? { Link: nextLink(env, call, { last: lastShown, n: String(limit) }) }
    : undefined;
  return jsonReply(200, { repositories }, headers);
}
