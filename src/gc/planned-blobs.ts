// Which blobs and layer links would go once the doomed manifests are gone. Pure.
// A blob goes when its bytes are there, no lease and no deletion that can be undone holds it, it is no
// young foreign one, and everything that names it is doomed (INV-6).
import type { Digest, RepositoryName } from "../oci/index.ts";
import type {
  BlobFact,
  BlobStanding,
  Candidate,
  HeldDigest,
  HeldPosition,
  QueuePosition,
  RepositoryManifest,
} from "../registry/ports/index.ts";
import { type CollectionParts, pageMax } from "./collection-parts.ts";
import { type DoomedManifests, keyOf } from "./planned-manifests.ts";

export interface BlobSearch {
  readonly parts: Pick<CollectionParts, "index" | "pause">;
  readonly nowMs: number;
  readonly foreignGraceMs: number;
  /** Deletions made until then would be released first, and hold nothing any more. */
  readonly releasedUntilMs: number;
  readonly doomed: DoomedManifests;
  /** Most candidates looked at, and so most blobs and links held in memory. */
  readonly entriesMax: number;
}

export interface FreedBlobs {
  readonly blobs: readonly BlobFact[];
  readonly links: readonly RepositoryManifest[];
  readonly truncated: boolean;
}

export async function findFreedBlobs(search: BlobSearch): Promise<FreedBlobs> {
  const blobs = new Map<Digest, BlobFact>();
  const links: RepositoryManifest[] = [];
  const seen = new Set<string>();
  const { index, pause } = search.parts;
  for await (const { candidates, lostReference } of candidatesOf(search)) {
    const unseen = candidates.filter(({ repository, digest }) => {
      const key = keyOf(repository, digest);
      return !seen.has(key) && seen.add(key);
    });
    for (const standing of await index.blobStandings(unseen, search.nowMs)) {
      const { repository, digest, sizeBytes } = standing;
      if (!lostReference && isForeignYoung(standing, search)) continue;
      if (repository !== null && (await linkGoes(search, standing, repository))) {
        links.push({ repository, digest });
      }
      if (blobs.has(digest)) continue;
      if (await blobGoes(search, standing)) blobs.set(digest, { digest, sizeBytes });
    }
    if (seen.size >= search.entriesMax) {
      return { blobs: [...blobs.values()], links, truncated: true };
    }
    await pause(0);
  }
  return { blobs: [...blobs.values()], links, truncated: false };
}

/**
 * What the doomed manifests name, what the deletions that would be released hold, then what is in the
 * queue already. `lostReference`: we would have seen
 * it lose a reference, so it is no foreign push under way.
 */
async function* candidatesOf(
  search: BlobSearch,
): AsyncGenerator<{ candidates: readonly Candidate[]; lostReference: boolean }> {
  const { index } = search.parts;
  for (const { repository, digest } of search.doomed.values()) {
    const named = [digest, ...(await index.namedByManifest(digest))];
    for (let at = 0; at < named.length; at += pageMax) {
      const candidates = named.slice(at, at + pageMax).map((child) => ({
        repository,
        digest: child,
      }));
      yield { candidates, lostReference: true };
    }
  }
  let held: HeldPosition | null = null;
  do {
    const page: readonly HeldDigest[] = await index.heldDigests({
      after: held,
      deletedAfterMs: 0,
      deletedBeforeMs: search.releasedUntilMs,
      limit: pageMax,
    });
    const candidates = page.map(({ digest }) => ({ repository: null, digest }));
    yield { candidates, lostReference: false };
    held = page.length < pageMax ? null : (page.at(-1)?.position ?? null);
  } while (held !== null);
  let after: QueuePosition | null = null;
  do {
    const page: readonly BlobStanding[] = await index.blobCandidates({
      after,
      limit: pageMax,
      nowMs: search.nowMs,
    });
    yield { candidates: page, lostReference: false };
    after = page.length < pageMax ? null : (page.at(-1)?.position ?? null);
  } while (after !== null);
}

async function linkGoes(
  search: BlobSearch,
  standing: BlobStanding,
  repository: RepositoryName,
): Promise<boolean> {
  if (!standing.linked || standing.leasedHereUntilMs !== null) return false;
  return !standing.neededHere || (await areNamersDoomed(search, standing.digest, repository));
}

async function blobGoes(search: BlobSearch, standing: BlobStanding): Promise<boolean> {
  if (!standing.present || standing.leasedUntilMs !== null) return false;
  if ((standing.heldSinceMs ?? 0) > search.releasedUntilMs) return false;
  return !standing.referenced || (await areNamersDoomed(search, standing.digest, null));
}

/** Taken in from the tree unreferenced, and younger than the grace (design §5). */
export function isForeignYoung(
  standing: Pick<BlobStanding, "foreignSinceMs">,
  at: { readonly nowMs: number; readonly foreignGraceMs: number },
): boolean {
  const { foreignSinceMs } = standing;
  return foreignSinceMs !== null && foreignSinceMs + at.foreignGraceMs > at.nowMs;
}

/**
 * Whether all that names the blob anywhere, and it itself as a manifest (null), or all that names it in
 * one repository, would go: a manifest does not need a layer link to its own bytes.
 */
export async function areNamersDoomed(
  search: Pick<BlobSearch, "parts" | "doomed">,
  digest: Digest,
  repository: RepositoryName | null,
): Promise<boolean> {
  const { index, pause } = search.parts;
  for (let offset = 0; ; offset += pageMax) {
    const namers = await index.namersOf(digest, { offset, limit: pageMax, repository });
    const isFree = (namer: RepositoryManifest): boolean =>
      search.doomed.has(namer) || (repository !== null && namer.digest === digest);
    if (!namers.every(isFree)) return false;
    if (namers.length < pageMax) return true;
    await pause(0);
  }
}
