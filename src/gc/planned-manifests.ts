// Which manifests would go: the candidates, and then whatever their removal takes along. Pure.
// Removing what is not kept changes nothing for what is kept, so one look at each is enough.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type {
  CollectionIndex,
  ManifestStanding,
  QueuePosition,
  RemovalPolicy,
  RepositoryManifest,
} from "../registry/ports/index.ts";
import { type CollectionParts, pageMax } from "./collection-parts.ts";

export interface ManifestSearch {
  readonly parts: Pick<CollectionParts, "pause"> & {
    readonly index: Pick<
      CollectionIndex,
      "manifestCandidates" | "manifestStandings" | "namedByManifest" | "namersOf"
    >;
  };
  readonly nowMs: number;
  readonly policy: RemovalPolicy;
  /** Most manifests held in memory. */
  readonly entriesMax: number;
}

/** Manifests that would go, in the order in which they were found. */
export class DoomedManifests {
  readonly #byKey: Map<string, RepositoryManifest>;
  /** There are more than could be held. */
  truncated = false;

  constructor(manifests: readonly RepositoryManifest[] = []) {
    this.#byKey = new Map(
      manifests.map((manifest) => [keyOf(manifest.repository, manifest.digest), manifest]),
    );
  }

  add(manifest: RepositoryManifest, entriesMax: number): void {
    if (this.#byKey.size >= entriesMax) {
      this.truncated = true;
      return;
    }
    const { repository, digest } = manifest;
    this.#byKey.set(keyOf(repository, digest), { repository, digest });
  }

  has({ repository, digest }: RepositoryManifest): boolean {
    return this.#byKey.has(keyOf(repository, digest));
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Also those that are added meanwhile. */
  values(): IterableIterator<RepositoryManifest> {
    return this.#byKey.values();
  }
}

export function keyOf(repository: RepositoryName | null, digest: Digest): string {
  return `${repository ?? ""}@${digest}`;
}

export async function findDoomedManifests(search: ManifestSearch): Promise<DoomedManifests> {
  const doomed = new DoomedManifests();
  const add = (standings: readonly ManifestStanding[]): void => {
    for (const standing of standings) {
      if (standing.keptBy === null) doomed.add(standing, search.entriesMax);
    }
  };
  const { index, pause } = search.parts;
  let after: QueuePosition | null = null;
  do {
    const { nowMs, policy } = search;
    const page: readonly ManifestStanding[] = await index.manifestCandidates({
      after,
      limit: pageMax,
      nowMs,
      policy,
    });
    add(page);
    after = page.length < pageMax ? null : (page.at(-1)?.position ?? null);
    await pause(0);
  } while (after !== null && !doomed.truncated);
  for (const manifest of doomed.values()) {
    if (doomed.truncated) break;
    for await (const neighbours of neighboursOf(search, manifest)) {
      const unknown = neighbours.filter((neighbour) => !doomed.has(neighbour));
      if (unknown.length > 0) add(await index.manifestStandings(unknown, search));
    }
  }
  return doomed;
}

/** What its removal makes candidates: what it names, and its referrers. */
async function* neighboursOf(
  search: ManifestSearch,
  { repository, digest }: RepositoryManifest,
): AsyncGenerator<readonly RepositoryManifest[]> {
  const { index, pause } = search.parts;
  const named = await index.namedByManifest(digest);
  for (let at = 0; at < named.length; at += pageMax) {
    yield named.slice(at, at + pageMax).map((child) => ({ repository, digest: child }));
    await pause(0);
  }
  for (let offset = 0; ; offset += pageMax) {
    const namers = await index.namersOf(digest, { offset, limit: pageMax, repository });
    yield namers;
    if (namers.length < pageMax) return;
    await pause(0);
  }
}
