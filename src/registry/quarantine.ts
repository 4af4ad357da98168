// Takes a blob's bytes out of service when they are not those of its digest: moved away, never removed,
// so that the blob answers 404 and the next push brings the right ones (INV-9).
// Believes nobody: the bytes are hashed again under the digest's exclusion, so that a push, a collection
// or a second look that came first is never undone. Order: docs/design/write-ordering.md, "A quarantine".
import { algorithmOf, type Digest, DigestHasher } from "../oci/index.ts";
import {
  blobDataPath,
  blobDirectory,
  blobShardDirectory,
  quarantinePath,
} from "../storage/layout.ts";
import type { DigestLocks } from "./keyed-locks.ts";
import type { Index } from "./ports/index.ts";
import type { BlobBody, Storage } from "./ports/storage.ts";

export type QuarantineOutcome =
  /** `path`: where the bytes are now. */
  | { readonly kind: "moved"; readonly path: string }
  /** The bytes are right: pushed again meanwhile, or never wrong. */
  | { readonly kind: "sound" }
  /** No bytes are there; the fact needs no help to heal. */
  | { readonly kind: "gone" }
  /** The collector is about to remove them. */
  | { readonly kind: "condemned" };

export interface QuarantineParts {
  readonly index: Pick<Index, "isCondemned" | "loseBytes">;
  readonly storage: Storage;
  readonly locks: DigestLocks;
}

/** Times that one blob's bytes were altered; a disk that does worse is beyond keeping copies. */
const roundsMax = 1_000;

export class Quarantine {
  readonly #parts: QuarantineParts;

  constructor(parts: QuarantineParts) {
    this.#parts = parts;
  }

  /** @throws StorageError, when the bytes cannot be read or moved: then nothing has changed. */
  check(digest: Digest): Promise<QuarantineOutcome> {
    const { index, storage, locks } = this.#parts;
    return locks.run(digest, async () => {
      if (await index.isCondemned(digest)) return { kind: "condemned" };
      const data = blobDataPath(digest);
      if ((await storage.stat(data)) === null) return { kind: "gone" };
      if ((await digestOfBody(storage.read(data), digest)) === digest) return { kind: "sound" };
      const path = await this.#freePath(digest);
      // The bytes first, durably: killed here, the fact is one without bytes and heals. The other way
      // round the altered bytes would lie there without a fact, and a comparison would take them in.
      await storage.move(data, path);
      await index.loseBytes(digest);
      await storage.removeEmptyDirectories(blobDirectory(digest), blobShardDirectory(digest));
      return { kind: "moved", path };
    });
  }

  /** What was quarantined before stays for the operator, beside this. */
  async #freePath(digest: Digest): Promise<string> {
    for (let round = 1; round <= roundsMax; round++) {
      const path = quarantinePath(digest, round);
      if ((await this.#parts.storage.stat(path)) === null) return path;
    }
    throw new Error(`the quarantine holds ${roundsMax} files of ${digest}; look at them first`);
  }
}

/** Others get their turn after this much. Bun's own stream of a file gives them none (tried). */
const turnBytes = 4 * 1024 * 1024;

async function digestOfBody(body: BlobBody, digest: Digest): Promise<Digest> {
  const hasher = new DigestHasher(algorithmOf(digest));
  const stream = body instanceof Blob ? body.stream() : body;
  let sinceTurn = 0;
  for await (const chunk of stream) {
    hasher.update(chunk);
    sinceTurn += chunk.byteLength;
    if (sinceTurn < turnBytes) continue;
    sinceTurn = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return hasher.digest();
}
