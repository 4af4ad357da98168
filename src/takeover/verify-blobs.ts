// Verify looks at every blob that is there or should be: its file, its size, and every byte if asked to.
// Takes nothing in and moves nothing: whoever hears of a finding looks again before doing anything.
import type { Digest } from "../oci/index.ts";
import { blobDataPath } from "../storage/layout.ts";
import { digestOfFile } from "./compare-blobs.ts";
import { maybeHolds } from "./walk-blobs.ts";
import type { FindingItem, PositionItem, PulseItem } from "./items.ts";
import { reasonOf } from "./problems.ts";
import type { BlobFinding } from "./verify-findings.ts";
import type { ExpectedBlob, VerifyParts } from "./verify-scan.ts";

/** Rows of the index looked at in one step. */
const pageSize = 500;
/** How many of those that need a blob are named. */
const neededByMax = 100;
/** A run that is stopped reads at most this much again (and the blob that it was at). */
const positionBytes = 64 * 1024 * 1024;
/** Of more blobs the position does not go on: a run that goes on begins there and finds the rest anew. */
const wrongMax = 1_000;

type BlobItem = FindingItem | PulseItem | PositionItem;

export function* checkBlobs(parts: VerifyParts): Generator<BlobItem> {
  const { facts, hash, counts, resume } = parts;
  yield* checkAgain(parts);
  let after = resume?.after ?? null;
  let readAtPosition = counts.hashedBytes;
  for (;;) {
    const { next, blobs } = facts.expectedBlobs(after, pageSize);
    for (const blob of blobs) {
      yield* checkBlob(parts, blob);
      counts.blobs++;
      yield { kind: "pulse" };
      if (!hash || counts.hashedBytes - readAtPosition < positionBytes) continue;
      readAtPosition = counts.hashedBytes;
      yield* positionAt(parts, blob.digest);
    }
    if (next === null) return;
    after = next;
    if (hash) yield* positionAt(parts, after);
  }
}

/** What the run that was stopped had found may have been mended meanwhile; or not. */
function* checkAgain(parts: VerifyParts): Generator<BlobItem> {
  for (const digest of parts.resume?.wrong ?? []) {
    const blob = parts.facts.expectedBlob(digest);
    if (blob === null) continue;
    const { hashedBytes } = parts.counts;
    yield* checkBlob(parts, blob);
    // Counted by the run that was stopped, if it could be read at all.
    parts.counts.hashedBytes = hashedBytes;
  }
}

function* positionAt({ counts, wrong }: VerifyParts, after: Digest): Generator<PositionItem> {
  if (wrong !== null && wrong.length >= wrongMax) return;
  const position = { after, counts: { ...counts }, wrong: [...(wrong ?? [])] };
  yield { kind: "position", position };
}

function* checkBlob(parts: VerifyParts, blob: ExpectedBlob): Generator<BlobItem> {
  const { digest, isPresent } = blob;
  let sizeBytes: number | null;
  try {
    const stat = parts.walk.reader.stat(blobDataPath(digest));
    sizeBytes = stat?.isFile === true ? stat.sizeBytes : null;
  } catch (error) {
    yield* wrongBlob(parts, digest, { kind: "unreadable-blob", detail: reasonOf(error) });
    return;
  }
  // As the walk sees it: an empty file that should not be one holds nothing (INV-9).
  const holdsNothing = sizeBytes !== null && !isPresent && !maybeHolds(digest, sizeBytes);
  if (sizeBytes === null || holdsNothing) yield* checkMissing(parts, blob);
  else if (!isPresent || sizeBytes === blob.sizeBytes) {
    if (parts.hash) yield* checkBytes(parts, blob, sizeBytes);
  } else yield* checkBytes(parts, blob, sizeBytes);
}

function* checkMissing(parts: VerifyParts, blob: ExpectedBlob): Generator<BlobItem> {
  const now = parts.facts.expectedBlob(blob.digest);
  // Removed or pushed again while we looked; or nobody's: then it is a difference, told already.
  if (now?.isNeeded !== true || now.isPresent !== blob.isPresent) return;
  if (now.sizeBytes !== blob.sizeBytes) return;
  yield* wrongBlob(parts, blob.digest, { kind: "missing-blob", detail: "is not there" });
}

/** Of another size than the index knows, only the bytes can tell which of the two is wrong. */
function* checkBytes(
  parts: VerifyParts,
  blob: ExpectedBlob,
  fileBytes: number,
): Generator<BlobItem> {
  const { digest, sizeBytes } = blob;
  let about: Pick<BlobFinding, "kind" | "detail">;
  try {
    const found = yield* digestOfFile(parts.walk.reader, digest);
    if (found === digest) {
      if (parts.hash) parts.counts.hashedBytes += fileBytes;
      return;
    }
    // Collected since we saw it.
    if (found === null) return;
    about =
      blob.isPresent && fileBytes !== sizeBytes
        ? { kind: "wrong-size", detail: `has ${fileBytes} bytes instead of ${sizeBytes}` }
        : { kind: "wrong-bytes", detail: `its bytes have the digest ${found}` };
  } catch (error) {
    about = { kind: "unreadable-blob", detail: `cannot be read: ${reasonOf(error)}` };
  }
  const now = parts.facts.expectedBlob(digest);
  if (now === null || now.sizeBytes !== sizeBytes) return;
  yield* wrongBlob(parts, digest, about);
}

function* wrongBlob(
  parts: VerifyParts,
  digest: Digest,
  about: Pick<BlobFinding, "kind" | "detail">,
): Generator<FindingItem> {
  if (parts.wrong !== null && parts.wrong.length < wrongMax) parts.wrong.push(digest);
  const finding = { ...about, digest, path: blobDataPath(digest), ...neededBy(parts, digest) };
  yield { kind: "finding", found: { finding, difference: null } };
}

function neededBy(
  { facts }: VerifyParts,
  digest: Digest,
): Pick<BlobFinding, "neededBy" | "isNeededByMore"> {
  // One more than are named tells whether there are more.
  const images = facts.needersOf(digest, neededByMax + 1).flatMap(imageNames);
  const named = [...new Set(images)];
  return { neededBy: named.slice(0, neededByMax), isNeededByMore: named.length > neededByMax };
}

/** By tag where there is one. */
export function imageNames(image: {
  readonly repository: string;
  readonly digest: Digest;
  readonly tags: readonly string[];
}): string[] {
  const { repository, digest, tags } = image;
  return tags.length === 0
    ? [`${repository}@${digest}`]
    : tags.map((tag) => `${repository}:${tag}`);
}
