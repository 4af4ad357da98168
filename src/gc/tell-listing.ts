// The classic registry's walk, for those who read it: the names of the repositories and, when asked,
// every manifest and blob that stays. The names cost little; the marks cost a look at everything.
import type { RepositoryName } from "../oci/index.ts";
import type { RepositoryManifest } from "../registry/ports/index.ts";
import type { CollectionEvent } from "./collection-events.ts";
import { type CollectionParts, pageMax } from "./collection-parts.ts";

type ListingParts = Pick<CollectionParts, "index" | "pause">;
type Tell = (event: CollectionEvent) => Promise<void>;

const namesAtOnce = 500;

export async function* listRepositories({
  index,
  pause,
}: ListingParts): AsyncGenerator<RepositoryName> {
  let after: RepositoryName | null = null;
  do {
    const page: readonly RepositoryName[] = await index.listKnownRepositories({
      after,
      limit: namesAtOnce,
    });
    yield* page;
    after = page.length < namesAtOnce ? null : (page.at(-1) ?? null);
    await pause(0);
  } while (after !== null);
}

/** `isDoomed`: manifests that a dry run would remove are not marked. */
export async function tellMarks(
  parts: ListingParts,
  tell: Tell,
  isDoomed: (manifest: RepositoryManifest) => boolean = () => false,
): Promise<void> {
  for await (const repository of listRepositories(parts)) {
    const { revisions } = await parts.index.repositoryFacts(repository);
    let looked = 0;
    for (const digest of revisions) {
      if (isDoomed({ repository, digest })) continue;
      await tell({ kind: "manifest-marked", repository, digest });
      for (const named of await parts.index.namedByManifest(digest)) {
        await tell({ kind: "blob-marked", repository, digest: named });
      }
      looked += 1;
      if (looked % pageMax === 0) await parts.pause(0);
    }
  }
}
