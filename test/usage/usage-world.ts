// What the tests of the reports have in common: reports over an index, and a registry brought to rest.
import type { Digest, RepositoryName } from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { UsageReports } from "../../src/usage/usage-reports.ts";
import { allFacts, collect } from "../contract/index/collect.ts";
import type { World } from "../contract/index/world.ts";

/** Longer than any lease can have left. */
const allLeasesMs = 100 * 3_600_000;

export function reportsOf(world: { readonly index: Index; nowMs: number }): UsageReports {
  return new UsageReports({
    index: world.index,
    storage: { stat: () => Promise.resolve(null) },
    clock: { now: () => world.nowMs },
    pause: () => Promise.resolve(),
  });
}

/** No leases, no deletion that can be undone, no garbage but (without `untagged`) untagged manifests. */
export async function settle(world: World, untagged: boolean): Promise<void> {
  for (const n of [1, 2, 3]) await world.index.endUpload(`session-${n}`);
  world.nowMs += allLeasesMs;
  await collect(world.index, { nowMs: world.nowMs, untagged });
}

export async function blobsOf(world: World): Promise<ReadonlyMap<Digest, number>> {
  return (await allFacts(world.index)).blobs;
}

/** What is in one and not in the other, and its bytes. */
export function difference(
  before: ReadonlyMap<Digest, number>,
  after: ReadonlyMap<Digest, number>,
): { readonly digests: readonly Digest[]; readonly bytes: number } {
  const digests = [...before.keys()].filter((digest) => !after.has(digest)).toSorted();
  return { digests, bytes: digests.reduce((sum, digest) => sum + (before.get(digest) ?? 0), 0) };
}

export async function deleteRepository(world: World, repository: RepositoryName): Promise<void> {
  for (const digest of (await world.index.repositoryFacts(repository)).revisions) {
    await world.index.deleteManifest(repository, digest, world.nowMs);
  }
}
