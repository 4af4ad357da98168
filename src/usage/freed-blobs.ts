// Which blobs nothing would hold any more if a set were deleted: all that holds them belongs to the set
// (INV-6). Exact: holders are counted, and what may name a blob because it cannot be read keeps it (INV-7).
// Leases and deletions that can be undone hold for a while only, and do not count here.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type {
  BlobFact,
  BlobHolder,
  BlobHolders,
  HeldBlob,
  Scan,
  ScanPage,
} from "../registry/ports/index.ts";
import type { DoomedSet } from "./doomed-set.ts";
import { entriesMax, type ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

/** Blobs asked for with one look, and holders of each. */
const blobsAtOnce = 20;
const holdersAtOnce = 20;

export interface Freed {
  readonly blobs: number;
  readonly bytes: number;
  /** There is more than could be held in memory. */
  readonly atLeast: boolean;
}

/** `each` hears of every blob once, in pages. */
export async function findFreed(
  parts: ReadingParts,
  doomed: DoomedSet,
  each: (blobs: readonly BlobFact[]) => void | Promise<void> = () => undefined,
): Promise<Freed> {
  const search = new FreedSearch(parts, doomed);
  let blobs = 0;
  let bytes = 0;
  for await (const page of search.find()) {
    blobs += page.length;
    for (const { sizeBytes } of page) bytes += sizeBytes;
    await each(page);
  }
  return { blobs, bytes, atLeast: search.isTruncated };
}

class FreedSearch {
  readonly #parts: ReadingParts;
  readonly #doomed: DoomedSet;
  /** How many manifests of the set hold a blob, by repository. */
  readonly #held = new Map<Digest, Map<RepositoryName, number>>();
  /** Of `#held`, over all blobs. */
  #entries = 0;
  isTruncated = false;

  constructor(parts: ReadingParts, doomed: DoomedSet) {
    this.#parts = parts;
    this.#doomed = doomed;
  }

  async *find(): AsyncGenerator<readonly BlobFact[]> {
    await this.#count();
    const counted = [...this.#held.keys()];
    for (let at = 0; at < counted.length; at += blobsAtOnce) {
      yield await this.#judge(counted.slice(at, at + blobsAtOnce), null);
      await this.#parts.pause(0);
    }
    for (const repository of this.#doomed.repositories) yield* this.#findOf(repository);
  }

  async #count(): Promise<void> {
    const { index } = this.#parts;
    for (const manifest of this.#doomed.manifests()) {
      this.#add(manifest.digest, manifest.repository);
      for await (const page of walk(this.#parts, (at) => index.scanNamed(manifest, at))) {
        for (const { digest } of page) {
          if (digest !== manifest.digest) this.#add(digest, manifest.repository);
        }
      }
      if (this.isTruncated) return;
      await this.#parts.pause(0);
    }
  }

  #add(digest: Digest, repository: RepositoryName): void {
    const counts = this.#held.get(digest) ?? new Map<RepositoryName, number>();
    const count = counts.get(repository);
    if (count === undefined && ++this.#entries > entriesMax) {
      this.isTruncated = true;
      return;
    }
    this.#held.set(digest, counts.set(repository, (count ?? 0) + 1));
  }

  async *#findOf(repository: RepositoryName): AsyncGenerator<readonly BlobFact[]> {
    const { index } = this.#parts;
    const look = (at: ScanPage): Promise<Scan<HeldBlob>> =>
      index.scanHeldBlobs(repository, { ...at, sharedWithMax: 0 });
    for await (const page of walk(this.#parts, look)) {
      const digests = page.filter(({ sizeBytes }) => sizeBytes > 0).map(({ digest }) => digest);
      for (let at = 0; at < digests.length; at += blobsAtOnce) {
        yield await this.#judge(digests.slice(at, at + blobsAtOnce), repository);
        if (at > 0) await this.#parts.pause(0);
      }
    }
  }

  /** `of`: told with this repository; null: with the manifests. */
  async #judge(digests: readonly Digest[], of: RepositoryName | null): Promise<BlobFact[]> {
    const page = { after: null, limit: holdersAtOnce };
    const freed: BlobFact[] = [];
    for (const blob of await this.#parts.index.blobHolders(digests, page)) {
      if (!(await this.#goes(blob, of))) continue;
      freed.push({ digest: blob.digest, sizeBytes: blob.sizeBytes });
    }
    return freed;
  }

  async #goes(blob: BlobHolders, of: RepositoryName | null): Promise<boolean> {
    if (blob.mayHold.length >= holdersAtOnce) return false;
    if (!blob.mayHold.every((manifest) => this.#doomed.has(manifest))) return false;
    const counts = this.#held.get(blob.digest);
    // A blob that several things of the set hold is told once: with the first repository, if there is one.
    let teller: RepositoryName | null = null;
    let holders: Scan<BlobHolder> | undefined = blob.holders;
    while (holders !== undefined) {
      for (const { repository, manifests } of holders.rows) {
        if (this.#doomed.repositories.has(repository)) teller ??= repository;
        else if (counts?.get(repository) !== manifests) return false;
      }
      if (holders.next === null) break;
      const page: ScanPage = { after: holders.next, limit: holdersAtOnce };
      holders = (await this.#parts.index.blobHolders([blob.digest], page))[0]?.holders;
      await this.#parts.pause(0);
    }
    return teller === of;
  }
}
