// What uses the space, counted the long way: from what manifests name and which blobs are there. The index
// keeps sums instead; the two must never differ.
import type { Digest, RepositoryName } from "../../../src/oci/index.ts";
import type { Index, RepositoryUsage } from "../../../src/registry/ports/index.ts";
import { allFacts } from "./collect.ts";

/** What each repository holds, by its manifests and what they name, and how often. */
async function holdingsOf(index: Index): Promise<Map<RepositoryName, Map<Digest, number>>> {
  const holdings = new Map<RepositoryName, Map<Digest, number>>();
  for (const [name, { revisions }] of (await allFacts(index)).repositories) {
    const held = new Map<Digest, number>();
    for (const manifest of revisions) {
      for (const digest of new Set([manifest, ...(await index.namedByManifest(manifest))])) {
        held.set(digest, (held.get(digest) ?? 0) + 1);
      }
    }
    holdings.set(name, held);
  }
  return holdings;
}

export async function recountUsage(index: Index): Promise<Map<RepositoryName, RepositoryUsage>> {
  const { repositories, blobs } = await allFacts(index);
  const holdings = await holdingsOf(index);
  const holders = new Map<Digest, number>();
  for (const held of holdings.values()) {
    for (const digest of held.keys()) holders.set(digest, (holders.get(digest) ?? 0) + 1);
  }
  const bytes = (digests: Iterable<Digest>): number =>
    [...digests].reduce((sum, digest) => sum + (blobs.get(digest) ?? 0), 0);
  return new Map(
    [...repositories].map(([name, { revisions, tags }]) => {
      const held = [...(holdings.get(name) ?? new Map<Digest, number>()).keys()];
      return [
        name,
        {
          manifests: revisions.size,
          tags: tags.size,
          logicalBytes: bytes(held),
          exclusiveBytes: bytes(held.filter((digest) => holders.get(digest) === 1)),
        },
      ];
    }),
  );
}

export async function keptUsage(index: Index): Promise<Map<RepositoryName, RepositoryUsage>> {
  const kept = new Map<RepositoryName, RepositoryUsage>();
  for (const name of (await allFacts(index)).repositories.keys()) {
    const usage = await index.repositoryUsage(name);
    if (usage !== null) kept.set(name, usage);
  }
  return kept;
}
