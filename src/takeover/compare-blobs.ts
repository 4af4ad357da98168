// What one directory of blobs has and the index has not, or the other way round. Takes nothing in.
import { algorithmOf, type Digest, DigestHasher } from "../oci/index.ts";
import type { Difference } from "../registry/ports/index.ts";
import { blobDataPath } from "../storage/layout.ts";
import type { DifferenceItem, ProblemItem, PulseItem, SeenItem } from "./items.ts";
import { problemItem, reasonOf, type WalkOptions } from "./problems.ts";
import type { TreeReader } from "./tree-reader.ts";
import { type BlobShard, type TreeBlob, walkShard } from "./walk-blobs.ts";

/** @param known present blobs with their sizes; null: the index holds nothing yet. */
export function* compareShard(
  options: WalkOptions,
  shard: BlobShard,
  known: ReadonlyMap<Digest, number> | null,
): Generator<DifferenceItem | ProblemItem | PulseItem | SeenItem> {
  const left = new Map(known);
  let isBlind = false;
  for (const item of walkShard(options, shard)) {
    if (item.kind === "problem") {
      if (item.problem.kind === "unlistable-directory") isBlind = true;
      yield item;
      continue;
    }
    yield { kind: "seen" };
    const before = left.get(item.digest);
    left.delete(item.digest);
    if (before === undefined) yield differenceOf(item);
    else if (before !== item.sizeBytes) yield* otherSize(options.reader, item, before);
  }
  if (isBlind) return;
  for (const digest of left.keys()) {
    const difference: Difference = { kind: "blob", digest, sizeBytes: null, modifiedMs: 0 };
    yield { kind: "difference", difference };
  }
}

function differenceOf({ digest, sizeBytes, modifiedMs }: TreeBlob): DifferenceItem {
  return { kind: "difference", difference: { kind: "blob", digest, sizeBytes, modifiedMs } };
}

/**
 * Index and file do not agree on the size: only the bytes can tell which is right. Wrong bytes are not
 * taken in; they count as absent wherever somebody looks (INV-9), until the next push mends them.
 */
function* otherSize(
  reader: TreeReader,
  blob: TreeBlob,
  knownBytes: number,
): Generator<DifferenceItem | ProblemItem | PulseItem> {
  const path = blobDataPath(blob.digest);
  try {
    if ((yield* digestOfFile(reader, blob.digest)) === blob.digest) {
      yield differenceOf(blob);
      return;
    }
    const detail = `has ${blob.sizeBytes} bytes instead of ${knownBytes}, and another digest`;
    yield problemItem("missing-data", path, { name: blob.digest, detail });
  } catch (error) {
    yield problemItem("missing-data", path, { name: blob.digest, detail: reasonOf(error) });
  }
}

/** The digest of a blob's bytes; null: there is no file. @throws the system's error */
export function* digestOfFile(
  reader: TreeReader,
  digest: Digest,
): Generator<PulseItem, Digest | null> {
  const hasher = new DigestHasher(algorithmOf(digest));
  const pieces = reader.pieces(blobDataPath(digest));
  for (;;) {
    const next = pieces.next();
    if (next.done === true) return next.value ? hasher.digest() : null;
    hasher.update(next.value);
    yield { kind: "pulse", readBytes: next.value.byteLength };
  }
}
