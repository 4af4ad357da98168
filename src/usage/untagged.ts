// What a collection would remove of manifests, and the bytes that only they hold: without a wish for
// untagged ones (that is garbage already), and what `-m` would free beyond.
import { findDoomedManifests } from "../gc/planned-manifests.ts";
import type { RepositoryName } from "../oci/index.ts";
import type { ManifestStanding, RemovalPolicy } from "../registry/ports/index.ts";
import { DoomedSet } from "./doomed-set.ts";
import { findFreed, type Freed } from "./freed-blobs.ts";
import { entriesMax, type ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

export interface Untagged {
  readonly manifests: number;
  readonly bytes: number;
  readonly atLeast: boolean;
}

/** Manifests that go with the next collection, and those that go only with `-m`. */
export async function findUntagged(
  parts: ReadingParts,
): Promise<{ readonly garbage: Freed; readonly untagged: Untagged }> {
  const garbage = await freedBy(parts, false);
  const all = await freedBy(parts, true);
  return {
    garbage: garbage.freed,
    untagged: {
      manifests: Math.max(0, all.manifests - garbage.manifests),
      bytes: Math.max(0, all.freed.bytes - garbage.freed.bytes),
      atLeast: all.freed.atLeast,
    },
  };
}

async function freedBy(
  parts: ReadingParts,
  untagged: boolean,
): Promise<{ readonly manifests: number; readonly freed: Freed }> {
  const nowMs = parts.clock.now();
  const policy = { untagged, untaggedBeforeMs: nowMs };
  const found = await findDoomedManifests({ parts, nowMs, policy, entriesMax });
  const doomed = new DoomedSet();
  for (const manifest of found.values()) doomed.add(manifest);
  const freed = await findFreed(parts, doomed);
  const atLeast = freed.atLeast || found.truncated;
  return { manifests: found.size, freed: { ...freed, atLeast } };
}

/** Manifests judged with one look: some 1 ms. */
const judgedAtOnce = 25;

/** The untagged manifests of one repository. */
export async function findUntaggedOf(
  parts: ReadingParts,
  repository: RepositoryName,
): Promise<Untagged> {
  const { index } = parts;
  const nowMs = parts.clock.now();
  const policy: RemovalPolicy = { untagged: true, untaggedBeforeMs: nowMs };
  const doomed = new DoomedSet();
  for await (const page of walk(parts, (at) => index.scanManifests(repository, at))) {
    for (let start = 0; start < page.length; start += judgedAtOnce) {
      const manifests = page.slice(start, start + judgedAtOnce);
      const standings = await index.manifestStandings(manifests, { nowMs, policy });
      for (const standing of standings.filter(isDoomed)) doomed.add(standing);
      await parts.pause(0);
    }
    if (doomed.size >= entriesMax) break;
  }
  const freed = await findFreed(parts, doomed);
  const atLeast = freed.atLeast || doomed.size >= entriesMax;
  return { manifests: doomed.size, bytes: freed.bytes, atLeast };
}

function isDoomed({ keptBy }: ManifestStanding): boolean {
  return keptBy === null;
}
