// What verify finds by the facts alone: links that an image needs and its repository has not, what nothing
// needs and no queue knows, and what lies in quarantine.
import { blobDataPath, layerLinkPath, quarantineRoot } from "../storage/layout.ts";
import type { FindingItem, ProblemItem, PulseItem } from "./items.ts";
import { problemItem, unlistable } from "./problems.ts";
import { imageNames } from "./verify-blobs.ts";
import type { Drift, Orphan, VerifyParts } from "./verify-scan.ts";

/** Rows of the index looked at in one step. */
const pageSize = 500;

/** Configs and layers that their manifest's repository has no link to. */
export function* checkLinks({ facts }: VerifyParts): Generator<FindingItem | PulseItem> {
  let after: readonly [number, number] = [0, 0];
  for (;;) {
    const { next, unlinked } = facts.unlinkedBlobs(after, pageSize);
    for (const { repository, manifest, tags, digest } of unlinked) {
      const finding = {
        kind: "missing-link",
        repository,
        digest,
        path: layerLinkPath(repository, digest),
        detail: `needed by ${repository}@${manifest}, which cannot be pulled without`,
        neededBy: imageNames({ repository, digest: manifest, tags }),
      } as const;
      yield { kind: "finding", found: { finding, difference: null } };
    }
    if (next === null) return;
    after = next;
    yield { kind: "pulse" };
  }
}

export function* findOrphans({ facts }: VerifyParts): Generator<FindingItem | PulseItem> {
  for (let after: number | null = 0; after !== null;) {
    const page: ReturnType<typeof facts.orphanBlobs> = facts.orphanBlobs(after, pageSize);
    yield* page.orphans.map(orphanItem);
    yield { kind: "pulse" };
    after = page.next;
  }
  for (let after: readonly [number, number] | null = [0, 0]; after !== null;) {
    const page: ReturnType<typeof facts.orphanLinks> = facts.orphanLinks(after, pageSize);
    yield* page.orphans.map(orphanItem);
    yield { kind: "pulse" };
    after = page.next;
  }
}

function orphanItem({ repository, digest, sizeBytes }: Orphan): FindingItem {
  const path = repository === null ? blobDataPath(digest) : layerLinkPath(repository, digest);
  const what = repository === null ? `${sizeBytes} bytes` : "a link";
  const detail = `${what} that nothing refers to and that is in no queue`;
  return {
    kind: "finding",
    found: { finding: { kind: "orphan", digest, path, detail }, difference: null },
  };
}

/** The totals last: they are right once the repositories' sums are. */
export function* checkUsage({ facts }: VerifyParts): Generator<FindingItem | PulseItem> {
  for (let after: number | null = 0; after !== null;) {
    const page: ReturnType<typeof facts.repositoryDrift> = facts.repositoryDrift(after);
    if (page.drift !== null) yield driftItem(page.drift);
    yield { kind: "pulse" };
    after = page.next;
  }
  const drift = facts.totalsDrift();
  if (drift !== null) yield driftItem(drift);
}

function driftItem({ repository, detail }: Drift): FindingItem {
  const path = repository === null ? "totals of all repositories" : `usage of ${repository}`;
  const finding = { kind: "usage-drift", repository, path, detail } as const;
  return { kind: "finding", found: { finding, difference: null } };
}

/** Harmless, and nobody's but the operator's. */
export function* listQuarantine({ walk }: VerifyParts): Generator<ProblemItem | PulseItem> {
  const { reader } = walk;
  try {
    for (const algorithm of reader.names(quarantineRoot) ?? []) {
      for (const name of (reader.names(`${quarantineRoot}/${algorithm}`) ?? []).toSorted()) {
        const path = `${quarantineRoot}/${algorithm}/${name}`;
        const stat = reader.stat(path);
        if (stat === null) continue;
        const detail = `${stat.sizeBytes} bytes that were not those of their digest; kept until somebody removes them`;
        yield problemItem("quarantined-file", path, { name: `${algorithm}:${name}`, detail });
        yield { kind: "pulse" };
      }
    }
  } catch (error) {
    const { problem } = unlistable(quarantineRoot, error);
    yield { kind: "problem", problem: { ...problem, kind: "quarantined-file" } };
  }
}
