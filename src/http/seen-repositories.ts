// Pages of the repositories that somebody may see. Skips what they may not in leaps, by how the names
// begin that they may, so that few among many are found without a walk over all.
import type { RepositoryName } from "../oci/index.ts";
import type { NamesSeen } from "../registry/ports/access.ts";
import type { Page } from "../registry/ports/index.ts";
import type { Env } from "./context.ts";
import type { Catalog } from "../registry/registry.ts";

/** Names asked of the index at once. */
const pageNames = 500;

/** @param seen null: all of them. @throws TooManyRequestsError while many others walk */
export async function listSeen(
  { registry, walks }: Pick<Env, "registry" | "walks">,
  seen: NamesSeen | null,
  page: Page,
): Promise<readonly RepositoryName[]> {
  const { catalog } = registry;
  if (seen === null) return await catalog.listRepositories(page);
  return await walks.pass(() => walk(catalog, seen, page));
}

async function walk(
  catalog: Catalog,
  seen: NamesSeen,
  page: Page,
): Promise<readonly RepositoryName[]> {
  const found: RepositoryName[] = [];
  let after = leapFrom(seen.prefixes, page.after ?? "");
  while (after !== null && found.length < page.limit) {
    const names = await catalog.listRepositories({ after, limit: pageNames });
    for (const name of names) {
      if (found.length < page.limit && seen.matches(name)) found.push(name);
    }
    const last = names.at(-1);
    if (last === undefined || names.length < pageNames) break;
    after = leapFrom(seen.prefixes, last);
    // Others wait for an inline look-up: they come in between.
    await new Promise(setImmediate);
  }
  return found;
}

/** Where the next name that may be seen can only come after; null: none follows. */
function leapFrom(prefixes: readonly string[], after: string): string | null {
  for (const prefix of prefixes) {
    if (after.startsWith(prefix)) return after;
    if (prefix > after) return justBefore(prefix);
  }
  return null;
}

/** Behind every name that is smaller than all that begin so, and before those: names hold no "~". */
function justBefore(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1);
  return `${prefix.slice(0, -1)}${String.fromCharCode(last - 1)}~`;
}
