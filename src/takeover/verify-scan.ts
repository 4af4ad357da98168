// The worker's half of verify: what it asks of the index, and tree against index. Takes nothing in. Others
// may change both while it looks, so whatever seems wrong is looked at again, at once and once more when
// the walk is over. Blobs: verify-blobs.ts. Links and orphans: verify-facts.ts.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { Difference, TreePlace } from "../registry/ports/index.ts";
import { blobDataPath, parseLink, treePlacePath } from "../storage/layout.ts";
import type { VerifyPosition } from "./reading-position.ts";
import type { WalkOptions } from "./problems.ts";
import { maybeHolds } from "./walk-blobs.ts";
import type { Finding } from "./verify-findings.ts";

export interface ExpectedBlob {
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
    after: Digest | null,
    limit: number,
  ): { readonly next: Digest | null; readonly blobs: readonly ExpectedBlob[] };
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
      readonly tags: readonly Tag[];
      readonly digest: Digest;
    }[];
  };
  orphanBlobs(
    after: number,
    limit: number,
  ): { readonly next: number | null; readonly orphans: readonly Orphan[] };
  orphanLinks(
    after: readonly [number, number],
    limit: number,
  ): { readonly next: readonly [number, number] | null; readonly orphans: readonly Orphan[] };
  /** The next repository by number, and whether what it uses is what is kept of it. */
  repositoryDrift(after: number): { readonly next: number | null; readonly drift: Drift | null };
  totalsDrift(): Drift | null;
}

/** What is kept about space and what a count finds differ. `repository` null: the totals. */
export interface Drift {
  readonly repository: RepositoryName | null;
  readonly detail: string;
}

/** A blob (`repository` null) or a layer link that nothing needs and no queue knows. */
export interface Orphan {
  readonly repository: RepositoryName | null;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface VerifyParts {
  readonly walk: WalkOptions;
  readonly facts: VerifyFacts;
  readonly hash: boolean;
  readonly resume: VerifyPosition | null;
  /** Counted up on the way. */
  readonly counts: { blobs: number; hashedBytes: number };
  /** Filled on the way: blobs that something is wrong with, for the position. Null: not kept. */
  readonly wrong: Digest[] | null;
}

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
  { walk: { reader }, facts }: VerifyParts,
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

function confirmBlob({ walk: { reader }, facts }: VerifyParts, digest: Digest): Finding | null {
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
  // Cut down to nothing: told as of the wrong size.
  if (sizeBytes !== null && known !== null && !maybeHolds(digest, sizeBytes)) return null;
  // A needed one is told by those that need it.
  if (sizeBytes === null && now?.isNeeded === true) return null;
  const detail = `${sized(sizeBytes)} in the tree, ${sized(known)} in the index`;
  return { kind: "difference", what: "blob", path, detail };
}

function sized(sizeBytes: number | null): string {
  return sizeBytes === null ? "not there" : `${sizeBytes} bytes`;
}
