// Walks the blobs of a tree, one directory blobs/<algorithm>/<two hex digits> at a time, in digest order.
// Stops for nothing. Bytes that cannot be of their digest (none at all) count as not there (INV-9).
import {
  type Digest,
  type DigestAlgorithm,
  digestAlgorithms,
  digestFromParts,
  digestOf,
  isDigestAlgorithm,
} from "../oci/index.ts";
import { blobDataPath, blobsRoot } from "../storage/layout.ts";
import type { ProblemItem } from "./items.ts";
import { isUnderWay, problemItem, strayNames, unlistable, type WalkOptions } from "./problems.ts";
import { namesIn } from "./walk-links.ts";

export interface TreeBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface BlobShard {
  readonly algorithm: DigestAlgorithm;
  /** Two hex digits. */
  readonly prefix: string;
}

/** All 256 of each algorithm, in digest order: those that are not in the tree may be in the index. */
export function blobShards(): BlobShard[] {
  return digestAlgorithms.flatMap((algorithm) =>
    Array.from({ length: 256 }, (_, n) => ({ algorithm, prefix: n.toString(16).padStart(2, "0") })),
  );
}

/** What lies beside the shards. Returns whether there is any shard, or may be. */
export function* walkBlobsRoot(options: WalkOptions): Generator<ProblemItem, boolean> {
  let hasShards = false;
  for (const algorithm of yield* namesIn(options, blobsRoot)) {
    const path = `${blobsRoot}/${algorithm}`;
    if (!isDigestAlgorithm(algorithm)) {
      const detail = "no digest algorithm known here; what is below stays as it is";
      yield problemItem("unknown-algorithm", path, { detail });
      continue;
    }
    const names = yield* namesIn(options, path);
    const stray = names.filter((name) => !/^[0-9a-f]{2}$/.test(name));
    if (names.length > stray.length) hasShards = true;
    if (stray.length > 0) yield* strayNames(options, path, { names: stray });
  }
  return hasShards;
}

const emptyDigests: ReadonlySet<Digest> = new Set(
  digestAlgorithms.map((algorithm) => digestOf(new Uint8Array(), algorithm)),
);

/** Whether a file of this size may hold the blob: an empty one is what a cut-off write leaves. */
export function maybeHolds(digest: Digest, sizeBytes: number): boolean {
  return sizeBytes > 0 || emptyDigests.has(digest);
}

export function* walkShard(
  options: WalkOptions,
  { algorithm, prefix }: BlobShard,
): Generator<({ readonly kind: "blob" } & TreeBlob) | ProblemItem> {
  const directory = `${blobsRoot}/${algorithm}/${prefix}`;
  const names = yield* namesIn(options, directory);
  const stray: string[] = [];
  for (const hex of names.toSorted()) {
    const digest = digestFromParts(algorithm, hex);
    if (digest === null || !hex.startsWith(prefix)) stray.push(hex);
    else yield* readBlob(options, digest);
  }
  if (stray.length > 0) yield* strayNames(options, directory, { names: stray });
}

function* readBlob(
  options: WalkOptions,
  digest: Digest,
): Generator<({ readonly kind: "blob" } & TreeBlob) | ProblemItem> {
  const path = blobDataPath(digest);
  const directory = path.slice(0, path.lastIndexOf("/"));
  let stat;
  try {
    stat = options.reader.stat(path);
  } catch (error) {
    // It may well be there: nothing is known to be garbage before somebody has looked (INV-7).
    yield unlistable(directory, error, { name: digest });
    return;
  }
  if (stat?.isFile === true && maybeHolds(digest, stat.sizeBytes)) {
    const { sizeBytes, modifiedMs } = stat;
    yield { kind: "blob", digest, sizeBytes, modifiedMs };
    if (!options.thorough) return;
  } else if (!isUnderWay(options, directory)) {
    const detail = stat === null ? "is not there" : stat.isFile ? "is empty" : "is no file";
    yield problemItem("missing-data", path, { name: digest, detail });
  }
  const names = yield* namesIn(options, directory);
  if (names.length === 1 && names[0] === "data") return;
  const stray = names.filter((name) => name !== "data");
  yield* strayNames(options, directory, { names: stray });
}
