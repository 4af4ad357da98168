// Blobs: looking, reading, mounting, taking out of a repository. Their bytes come in through uploads.ts
// and go out through gc/.
import {
  algorithmOf,
  BlobUnknownError,
  DeniedError,
  type Digest,
  digestOf,
  type RepositoryName,
} from "../oci/index.ts";
import { type Actor, actorOf } from "./audit.ts";
import type { ContentCache } from "./content-cache.ts";
import { blobDataPath } from "../storage/layout.ts";
import type { BlobFact, Caller } from "./ports/index.ts";
import type { BlobBody } from "./ports/storage.ts";
import type { Blobs } from "./registry.ts";
import { leaseTerms, type ServiceParts } from "./services.ts";

/** Up to this size (image configurations, mostly) memory is cheaper to send from than a file. */
const smallBlobBytesMax = 64 * 1024;

/** Repositories that are looked at for one that may be mounted from: beyond, an upload is as cheap. */
const holdersMax = 1_000;
const holdersPage = 100;

export class BlobService implements Blobs {
  readonly #parts: ServiceParts;
  readonly #cache: ContentCache;

  constructor(parts: ServiceParts, cache: ContentCache) {
    this.#parts = parts;
    this.#cache = cache;
  }

  async find(repository: RepositoryName, digest: Digest): Promise<BlobFact> {
    const { index } = this.#parts;
    // What is held in memory, whole and checked, can be sent whether its file is still there or not.
    if (this.#cache.has(digest)) {
      const blob = await index.findBlob(repository, digest);
      if (blob !== null) return blob;
    }
    return await this.#findBy(repository, digest, () => index.findBlob(repository, digest));
  }

  findForPush(repository: RepositoryName, digest: Digest, caller: Caller): Promise<BlobFact> {
    if (this.#parts.options.readOnly) return this.find(repository, digest);
    const { index } = this.#parts;
    return this.#findBy(repository, digest, () =>
      index.findAndLeaseBlob(repository, digest, leaseTerms(this.#parts, caller)),
    );
  }

  /** A fact without bytes counts as absent, so that the next push mends it (INV-9). */
  async #findBy(
    repository: RepositoryName,
    digest: Digest,
    ask: () => Promise<BlobFact | null>,
  ): Promise<BlobFact> {
    let blob = await ask();
    if (blob === null && (await this.#parts.treeLookup()?.blob(repository, digest)) === true) {
      blob = await ask();
    }
    if (blob !== null && (await this.hasBytes(blob))) return blob;
    throw new BlobUnknownError(`${repository} has no blob ${digest}`, { detail: { digest } });
  }

  /** Whether the blob's file is there and of the right size. */
  async hasBytes(blob: BlobFact): Promise<boolean> {
    const stat = await this.#parts.storage.stat(blobDataPath(blob.digest));
    return stat?.sizeBytes === blob.sizeBytes;
  }

  async read(
    blob: BlobFact,
    range?: { readonly start: number; readonly end: number },
  ): Promise<BlobBody | Uint8Array> {
    if (range === undefined && blob.sizeBytes <= smallBlobBytesMax) return await this.#small(blob);
    return this.#parts.storage.read(blobDataPath(blob.digest), range);
  }

  async #small({ digest }: BlobFact): Promise<Uint8Array> {
    const cached = this.#cache.get(digest);
    if (cached !== null) return cached;
    const bytes = await this.#parts.storage.readSmall(blobDataPath(digest), smallBlobBytesMax);
    // Altered bytes are never served as what they are not (INV-9).
    if (bytes === null || digestOf(bytes, algorithmOf(digest)) !== digest) {
      throw new BlobUnknownError(`the bytes of blob ${digest} are gone or altered`, {
        detail: { digest },
      });
    }
    this.#cache.add(digest, bytes);
    return bytes;
  }

  async delete(repository: RepositoryName, digest: Digest, by: Caller | Actor): Promise<void> {
    const { index, clock, followTree, audit } = this.#parts;
    await this.#parts.treeLookup()?.blob(repository, digest);
    const { outcome, neededBy } = await index.unlinkBlob(repository, digest, clock.now());
    audit?.record({
      action: "delete",
      what: "blob",
      repository,
      reference: digest,
      actor: actorOf(by),
      outcome,
      reason: "client",
      restorableUntilMs: null,
    });
    if (outcome === "unknown") {
      throw new BlobUnknownError(`${repository} has no blob ${digest}`, { detail: { digest } });
    }
    if (outcome === "needed") {
      throw new DeniedError(
        `blob ${digest} is needed by manifests of ${repository}; delete them first: ${neededBy.join(", ")}`,
        { detail: { digest, manifests: neededBy } },
      );
    }
    followTree();
  }

  async findHolder(
    digest: Digest,
    isWanted: (repository: RepositoryName) => boolean,
  ): Promise<RepositoryName | null> {
    const { index } = this.#parts;
    for (let offset = 0; offset < holdersMax; offset += holdersPage) {
      const page = await index.listHolders(digest, { offset, limit: holdersPage });
      const found = page.find(isWanted);
      if (found !== undefined) return found;
      if (page.length < holdersPage) return null;
    }
    return null;
  }

  async mount(mount: {
    readonly digest: Digest;
    readonly from: RepositoryName | null;
    readonly to: RepositoryName;
    readonly caller: Caller;
  }): Promise<BlobFact | null> {
    const { index, followTree } = this.#parts;
    const { digest, from, to, caller } = mount;
    if (from !== null) await this.#parts.treeLookup()?.blob(from, digest);
    const known = await index.findBlobAnywhere(digest);
    if (known === null || !(await this.hasBytes(known))) return null;
    const terms = leaseTerms(this.#parts, caller);
    const mounted = await index.mountBlob({ digest, from, to, terms });
    if (mounted !== null) followTree();
    return mounted;
  }
}
