// The worker's half of verify: tree against index, needed blobs, missing links, and every byte if asked
// to. Takes nothing in. Others may change both while it looks, so whatever seems wrong is looked at again,
// at once and once more at the end.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { Difference, TreePlace } from "../registry/ports/index.ts";
import { blobDataPath, layerLinkPath, parseLink, treePlacePath } from "../storage/layout.ts";
import { digestOfFile } from "./compare-blobs.ts";
import type { FindingItem, PulseItem } from "./items.ts";
import { reasonOf } from "./problems.ts";
import type { TreeReader } from "./tree-reader.ts";
import type { Finding } from "./verify-findings.ts";

interface ExpectedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly isPresent: boolean;
  readonly isNeeded: boolean;
}

/** What verify asks of the index, on a connection of its own and synchronously. */
export interface VerifyFacts {
  /** What the index says of a place, and whether the tree still owes it. */
  factOf(place: TreePlace): { readonly value: Digest | null; readonly owed: boolean };
  expectedBlob(digest: Digest): ExpectedBlob | null;
  /** Its bytes, if they are there yet, wait for the collector (INV-3). */
  isCondemned(digest: Digest): boolean;
  expectedBlobs(
    after: number,
    limit: number,
  ): { readonly next: number | null; readonly blobs: readonly ExpectedBlob[] };
  needersOf(
    digest: Digest,
    limit: number,
  ): readonly {
    readonly repository: RepositoryName;
    readonly digest: Digest;
    readonly tags: readonly Tag[];
  }[];
  unlinkedBlobs(
    after: readonly [number, number],
    limit: number,
  ): {
    readonly next: readonly [number, number] | null;
    readonly unlinked: readonly {
      readonly repository: RepositoryName;
      readonly manifest: Digest;
      readonly digest: Digest;
    }[];
  };
}

export interface VerifyParts {
  readonly reader: TreeReader;
  readonly facts: VerifyFacts;
  readonly hash: boolean;
  /** Counted up on the way. */
  readonly counts: { blobs: number; hashedBytes: number };
}

/** Rows of the index looked at in one step. */
const pageSize = 500;
/** How many of those that need a blob are named. */
const neededByMax = 10;

/** A difference if it still is one; null: they agree, or the tree is about to follow. */
export function confirmDifference(parts: VerifyParts, difference: Difference): Finding | null {
  if (difference.kind === "upload") return null;
  return difference.kind === "blob"
    ? confirmBlob(parts, difference.digest)
    : confirmPlace(parts, placeOf(difference));
}

function placeOf(
  difference: Exclude<Difference, { kind: "blob" | "upload" }>,
): Exclude<TreePlace, { kind: "repository" }> {
  const { kind, repository } = difference;
  if (kind === "tag") return { kind, repository, tag: difference.tag };
  if (kind === "tag-history") {
    return { kind, repository, tag: difference.tag, digest: difference.digest };
  }
  return { kind, repository, digest: difference.digest };
}

function confirmPlace(
  { reader, facts }: VerifyParts,
  place: Exclude<TreePlace, { kind: "repository" }>,
): Finding | null {
  const before = facts.factOf(place);
  const path = treePlacePath(place);
  let text: string | null;
  try {
    text = reader.text(path);
  } catch {
    // Reported as a problem by the walk.
    return null;
  }
  const now = facts.factOf(place);
  if (before.owed || now.owed || before.value !== now.value) return null;
  const inTree = linkValue(place, text);
  if (inTree === now.value) return null;
  return { kind: "difference", what: place.kind, path, detail: told(inTree, now.value) };
}

/** A link stands for its directory's name, whatever it holds; a tag for what it holds. */
function linkValue(
  place: Exclude<TreePlace, { kind: "repository" }>,
  text: string | null,
): Digest | null {
  if (text === null) return null;
  return place.kind === "tag" ? parseLink(text) : place.digest;
}

function told(inTree: Digest | null, inIndex: Digest | null): string {
  if (inTree === null) return "in the index, not in the tree";
  if (inIndex === null) return "in the tree, not in the index";
  return `names ${inTree} in the tree, ${inIndex} in the index`;
}

function confirmBlob({ reader, facts }: VerifyParts, digest: Digest): Finding | null {
  const before = facts.expectedBlob(digest);
  const path = blobDataPath(digest);
  let sizeBytes: number | null;
  try {
    const stat = reader.stat(path);
    sizeBytes = stat?.isFile === true ? stat.sizeBytes : null;
  } catch {
    // Reported as a problem by the walk.
    return null;
  }
  const now = facts.expectedBlob(digest);
  const known = now?.isPresent === true ? now.sizeBytes : null;
  const knownBefore = before?.isPresent === true ? before.sizeBytes : null;
  if (known !== knownBefore || known === sizeBytes || facts.isCondemned(digest)) return null;
  // A needed one is told by those that need it.
  if (sizeBytes === null && now?.isNeeded === true) return null;
  const detail = `${sized(sizeBytes)} in the tree, ${sized(known)} in the index`;
  return { kind: "difference", what: "blob", path, detail };
}

function sized(sizeBytes: number | null): string {
  return sizeBytes === null ? "not there" : `${sizeBytes} bytes`;
}

/** Every blob that is there or should be. */
export function* checkBlobs(parts: VerifyParts): Generator<FindingItem | PulseItem> {
  let after = 0;
  for (;;) {
    const { next, blobs } = parts.facts.expectedBlobs(after, pageSize);
    for (const blob of blobs) {
      yield* checkBlob(parts, blob);
      parts.counts.blobs++;
      yield { kind: "pulse" };
    }
    if (next === null) return;
    after = next;
  }
}

function* checkBlob(parts: VerifyParts, blob: ExpectedBlob): Generator<FindingItem | PulseItem> {
  const { digest } = blob;
  let sizeBytes: number | null;
  try {
    const stat = parts.reader.stat(blobDataPath(digest));
    sizeBytes = stat?.isFile === true ? stat.sizeBytes : null;
  } catch (error) {
    yield blobFinding(parts, digest, { kind: "missing-blob", detail: reasonOf(error) });
    return;
  }
  if (blob.isPresent ? sizeBytes === blob.sizeBytes : sizeBytes !== null) {
    if (parts.hash) yield* checkBytes(parts, blob);
    return;
  }
  const now = parts.facts.expectedBlob(digest);
  // Removed or pushed again while we looked; or nobody's: then it is a difference, told already.
  if (now?.isNeeded !== true || now.isPresent !== blob.isPresent) return;
  if (now.sizeBytes !== blob.sizeBytes) return;
  if (sizeBytes === null) {
    yield blobFinding(parts, digest, { kind: "missing-blob", detail: "is not there" });
  } else {
    const detail = `has ${sizeBytes} bytes instead of ${blob.sizeBytes}`;
    yield blobFinding(parts, digest, { kind: "wrong-size", detail });
  }
}

function* checkBytes(parts: VerifyParts, blob: ExpectedBlob): Generator<FindingItem | PulseItem> {
  const { digest } = blob;
  let detail: string;
  try {
    const found = yield* digestOfFile(parts.reader, digest);
    if (found === digest) {
      parts.counts.hashedBytes += blob.sizeBytes;
      return;
    }
    // Collected since we saw it.
    if (found === null) return;
    detail = `its bytes have the digest ${found}`;
  } catch (error) {
    detail = `cannot be read: ${reasonOf(error)}`;
  }
  if (parts.facts.expectedBlob(digest) === null) return;
  yield blobFinding(parts, digest, { kind: "wrong-bytes", detail });
}

function blobFinding(
  parts: VerifyParts,
  digest: Digest,
  about: { readonly kind: "missing-blob" | "wrong-size" | "wrong-bytes"; readonly detail: string },
): FindingItem {
  const neededBy = parts.facts
    .needersOf(digest, neededByMax)
    .flatMap(({ repository, digest: manifest, tags }) =>
      tags.length === 0 ? [`${repository}@${manifest}`] : tags.map((tag) => `${repository}:${tag}`),
    );
  const named = [...new Set(neededBy)].slice(0, neededByMax);
  return {
    kind: "finding",
    finding: { ...about, digest, path: blobDataPath(digest), neededBy: named },
  };
}

/** Configs and layers that their manifest's repository has no link to. */
export function* checkLinks(parts: VerifyParts): Generator<FindingItem | PulseItem> {
  let after: readonly [number, number] = [0, 0];
  for (;;) {
    const { next, unlinked } = parts.facts.unlinkedBlobs(after, pageSize);
    for (const { repository, manifest, digest } of unlinked) {
      const detail = `needed by ${repository}@${manifest}, which cannot be pulled without`;
      const path = layerLinkPath(repository, digest);
      yield {
        kind: "finding",
        finding: { kind: "missing-link", repository, digest, path, detail },
      };
    }
    if (next === null) return;
    after = next;
    yield { kind: "pulse" };
  }
}
