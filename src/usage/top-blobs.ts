// The largest blobs, with who holds them.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type { BlobFact, Scan, ScanPage } from "../registry/ports/index.ts";
import { Largest } from "./largest.ts";
import type { TopOptions } from "./top-repositories.ts";
import type { ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

export interface BlobRow {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Some of them, if there are many; none: nothing holds it. */
  readonly repositories: readonly RepositoryName[];
  readonly isHeldByMore: boolean;
}

/** Repositories told of one blob. */
const holdersTold = 3;

export async function topBlobs(
  parts: Pick<ReadingParts, "index" | "pause">,
  options: TopOptions,
): Promise<BlobRow[]> {
  const { index } = parts;
  const { globs, limit } = options;
  const largest = new Largest<BlobFact>(limit, ({ sizeBytes }) => sizeBytes);
  const look = (page: ScanPage): Promise<Scan<BlobFact>> =>
    index.scanBlobs({ ...page, bytesMin: largest.sizeMin });
  if (globs === null) {
    for await (const page of walk(parts, look)) for (const blob of page) largest.add(blob);
  } else {
    await addHeld(parts, globs, largest);
  }
  const rows: BlobRow[] = [];
  for (const { digest, sizeBytes } of largest.items) {
    const page = { after: null, limit: holdersTold + 1 };
    const [found] = await index.blobHolders([digest], page);
    const holders = (found?.holders.rows ?? []).map(({ repository }) => repository);
    rows.push({
      digest,
      sizeBytes,
      repositories: holders.slice(0, holdersTold),
      isHeldByMore: holders.length > holdersTold,
    });
  }
  return rows;
}

/** Only what some repositories hold: theirs are walked, and a blob that several hold comes several times. */
async function addHeld(
  parts: Pick<ReadingParts, "index" | "pause">,
  globs: NonNullable<TopOptions["globs"]>,
  largest: Largest<BlobFact>,
): Promise<void> {
  for await (const held of heldBy(parts, globs, largest)) {
    const there = new Set(largest.items.map(({ digest }) => digest));
    for (const blob of held) if (!there.has(blob.digest)) largest.add(blob);
  }
}

async function* heldBy(
  parts: Pick<ReadingParts, "index" | "pause">,
  globs: NonNullable<TopOptions["globs"]>,
  largest: Largest<BlobFact>,
): AsyncGenerator<readonly BlobFact[]> {
  const { index } = parts;
  for await (const page of walk(parts, (at) => index.scanRepositoryUsage(at))) {
    for (const { repository, logicalBytes } of page) {
      if (logicalBytes <= largest.sizeMin || !globs.matches(repository)) continue;
      yield* walk(parts, (at) => index.scanHeldBlobs(repository, { ...at, sharedWithMax: 0 }));
    }
  }
}
