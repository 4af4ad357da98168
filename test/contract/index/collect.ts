// A collection through the port, without any bytes: what a run of the collector does to the facts. And
// what the facts should be afterwards, found by looking at everything (the collector looks at its queue).
import type { Digest, RepositoryName } from "../../../src/oci/index.ts";
import type { Index, RepositoryFacts, Totals } from "../../../src/registry/ports/index.ts";
import type { Content } from "./world.ts";

/** Small, so that paging is tried as well. */
const pageMax = 3;

export interface Collect {
  readonly nowMs: number;
  readonly untagged: boolean;
  readonly foreignGraceMs?: number;
  readonly keepDeletedMs?: number;
}

/** Runs until nothing more goes. */
export async function collect(index: Index, options: Collect): Promise<void> {
  while ((await collectOnce(index, options)) > 0);
}

/** One pass over the queue; how many things went. */
export async function collectOnce(index: Index, options: Collect): Promise<number> {
  const { nowMs } = options;
  const policy = { untagged: options.untagged, untaggedBeforeMs: nowMs };
  let went = 0;
  const deletedBeforeMs = nowMs - (options.keepDeletedMs ?? 0);
  while ((await index.releaseDeletions({ deletedBeforeMs, nowMs, limit: pageMax })).more);
  for (let after = null as readonly [number, number] | null; ;) {
    const page = await index.manifestCandidates({ after, limit: pageMax, nowMs, policy });
    went += (await index.removeManifests(page, { nowMs, policy })).length;
    after = page.at(-1)?.position ?? null;
    if (after === null) break;
  }
  for (let after = null as readonly [number, number] | null; ;) {
    const page = await index.blobCandidates({ after, limit: pageMax, nowMs });
    const foreignGraceMs = options.foreignGraceMs ?? 0;
    const outcome = await index.condemn(page, { nowMs, foreignGraceMs });
    went += outcome.condemned.length + outcome.linksRemoved.length;
    after = page.at(-1)?.position ?? null;
    if (after === null) break;
  }
  const condemned = await index.listCondemned({ after: null, limit: 1_000 });
  await index.forget(condemned.map(({ digest }) => digest));
  await index.expireLeases({ nowMs, limit: 1_000 });
  went += (await index.dropEmptyRepositories(1_000)).length;
  return went;
}

/** What the queue had missed, over everything. */
export async function missedByQueue(index: Index, nowMs: number): Promise<string[]> {
  const missed: string[] = [];
  for (const what of ["blobs", "layers", "manifests", "repositories"] as const) {
    for (let after: string | null = null; ;) {
      const page = await index.enqueuePage({ what, after, limit: pageMax, nowMs });
      if (page.missed > 0) missed.push(`${page.missed} of the ${what} after ${after}`);
      after = page.next;
      if (after === null) break;
    }
  }
  return missed;
}

export interface Facts {
  readonly repositories: ReadonlyMap<RepositoryName, RepositoryFacts>;
  readonly blobs: ReadonlyMap<Digest, number>;
}

/** Everything, the long way. */
export async function allFacts(index: Index): Promise<Facts> {
  const repositories = new Map<RepositoryName, RepositoryFacts>();
  for (let after: RepositoryName | null = null; ;) {
    const page: readonly RepositoryName[] = await index.listKnownRepositories({ after, limit: 2 });
    for (const name of page) repositories.set(name, await index.repositoryFacts(name));
    after = page.at(-1) ?? null;
    if (after === null) break;
  }
  const blobs = new Map<Digest, number>();
  for (let n = 0; n < 256; n++) {
    const prefix = n.toString(16).padStart(2, "0");
    for (const algorithm of ["sha256", "sha512"] as const) {
      for (const [digest, size] of await index.blobsWithPrefix(algorithm, prefix)) {
        blobs.set(digest, size);
      }
    }
  }
  return { repositories, blobs };
}

export function recount({ repositories, blobs }: Facts): Totals {
  const revisions = [...repositories.values()].map((facts) => facts.revisions.size);
  return {
    blobs: blobs.size,
    blobBytes: [...blobs.values()].reduce((sum, size) => sum + size, 0),
    manifests: revisions.reduce((sum, count) => sum + count, 0),
    repositories: revisions.filter((count) => count > 0).length,
  };
}

/**
 * What a collection of everything untagged must leave: manifests that a tag reaches, by naming or as a
 * referrer of what is kept; links that a manifest of the repository needs; blobs that a manifest is or
 * names; repositories that hold something.
 */
export function afterCollection(
  before: Facts,
  contents: ReadonlyMap<Digest, Content>,
): Map<string, string[]> {
  const left = new Map<string, string[]>();
  const kept = new Set<Digest>();
  for (const [name, facts] of before.repositories) {
    const manifests = closure(facts, contents);
    const needed = new Set([...manifests].flatMap((digest) => namedBy(digest, contents)));
    const layers = [...facts.layers].filter((digest) => needed.has(digest));
    for (const digest of [...manifests, ...needed]) kept.add(digest);
    if (manifests.size + facts.tags.size + layers.length + facts.uploads.size > 0) {
      left.set(name, [...manifests, ...layers].sort());
    }
  }
  left.set("blobs", [...before.blobs.keys()].filter((digest) => kept.has(digest)).sort());
  return left;
}

/** The same, of what there is now. */
export function summary({ repositories, blobs }: Facts): Map<string, string[]> {
  const there = new Map<string, string[]>();
  for (const [name, facts] of repositories) {
    there.set(name, [...facts.revisions, ...facts.layers].sort());
  }
  return there.set("blobs", [...blobs.keys()].sort());
}

function namedBy(digest: Digest, contents: ReadonlyMap<Digest, Content>): Digest[] {
  return (contents.get(digest)?.manifest.references ?? []).map((reference) => reference.digest);
}

function closure(facts: RepositoryFacts, contents: ReadonlyMap<Digest, Content>): Set<Digest> {
  const kept = new Set<Digest>();
  const keep = (digest: Digest): void => {
    if (kept.has(digest) || !facts.revisions.has(digest)) return;
    kept.add(digest);
    namedBy(digest, contents).forEach(keep);
    for (const other of facts.revisions) {
      if (contents.get(other)?.manifest.subject === digest) keep(other);
    }
  };
  for (const digest of facts.tags.values()) keep(digest);
  return kept;
}
