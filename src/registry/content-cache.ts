// The bytes of manifests and small blobs that were asked for lately, checked against their digests when
// they came in. Content never changes under its digest, so an entry is never wrong; whether it is still
// there is asked elsewhere, each time.
import type { Digest } from "../oci/index.ts";

/** Bounded by bytes, not entries: the largest manifest is as large as thousands of usual ones. */
const cacheBytesMax = 16 * 1024 * 1024;
/** What an entry takes beside its bytes: without it, millions of tiny blobs would count as next to nothing. */
const entryBytes = 400;

export class ContentCache {
  readonly #entries = new Map<Digest, Uint8Array>();
  #bytes = 0;
  hits = 0;
  misses = 0;

  get(digest: Digest): Uint8Array | null {
    const bytes = this.#entries.get(digest) ?? null;
    if (bytes === null) this.misses += 1;
    else this.hits += 1;
    return bytes;
  }

  /** As `get`, for who will not read it; not counted. */
  has(digest: Digest): boolean {
    return this.#entries.has(digest);
  }

  add(digest: Digest, bytes: Uint8Array): void {
    if (this.#entries.has(digest) || bytes.byteLength > cacheBytesMax / 8) return;
    this.#entries.set(digest, bytes);
    this.#bytes += bytes.byteLength + entryBytes;
    // The oldest goes first: a manifest that is asked for much is soon back.
    for (const [oldest, { byteLength }] of this.#entries) {
      if (this.#bytes <= cacheBytesMax) break;
      this.#entries.delete(oldest);
      this.#bytes -= byteLength + entryBytes;
    }
  }
}
