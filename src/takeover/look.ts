// Looks at the tree for what the index does not know, while the two are being compared (INV-8): what a
// request asks for is taken in at once, and not when the walk comes by. The index looks again inside its
// transaction, so an answer here is only a hint. Runs on the main thread: every read is asynchronous.
import {
  algorithmOf,
  type Digest,
  digestAlgorithms,
  digestFromParts,
  digestOf,
  isDigestReference,
  isTag,
  manifestBytesMax,
  type ParsedManifest,
  readStoredManifest,
  type Reference,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { Difference, Index } from "../registry/ports/index.ts";
import { type Storage, StorageError } from "../registry/ports/storage.ts";
import {
  blobDataPath,
  layerLinkPath,
  parseLink,
  repositoryDirectory,
  revisionLinkPath,
  revisionsDirectory,
  tagCurrentLinkPath,
} from "../storage/layout.ts";
import { maybeHolds } from "./walk-blobs.ts";

export interface TreeLookParts {
  readonly index: Pick<
    Index,
    "absorb" | "findBlobAnywhere" | "findBlob" | "findManifest" | "findTag"
  >;
  readonly storage: Pick<Storage, "stat" | "readSmall" | "list">;
  readonly clock: Clock;
}

/** A link is at most 135 bytes; some leave a newline. */
const linkBytesMax = 1024;
/** Manifests looked up in the index before others get a turn. */
const lookedAtOnce = 50;
/** Tags taken in by one transaction. */
const tagsAtOnce = 100;

/** Each method: whether anything was taken in, so that it is worth asking the index again. */
export class TreeLook {
  readonly #parts: TreeLookParts;

  constructor(parts: TreeLookParts) {
    this.#parts = parts;
  }

  /** A tag, the manifest that it names, or a manifest by digest; not what the manifest refers to. */
  async manifest(repository: RepositoryName, reference: Reference): Promise<boolean> {
    if (isDigestReference(reference))
      return this.#absorb(await this.#revision(repository, reference));
    const digest = await this.#link(tagCurrentLinkPath(repository, reference));
    if (digest === null) return false;
    const known = await this.#parts.index.findTag(repository, reference);
    const differences = await this.#revision(repository, digest);
    if (known?.digest !== digest) differences.push(this.#tag(repository, reference, digest));
    return this.#absorb(differences);
  }

  /** A blob that is linked in the repository, or is one of its manifests. */
  async blob(repository: RepositoryName, digest: Digest): Promise<boolean> {
    const { index, storage } = this.#parts;
    const known = await index.findBlob(repository, digest);
    const bytes = await this.#bytes(digest);
    if (bytes === null) return false;
    if (known?.sizeBytes === bytes.sizeBytes) return false;
    if ((await storage.stat(layerLinkPath(repository, digest))) === null) {
      return this.manifest(repository, digest);
    }
    const layer: Difference = { kind: "layer", repository, digest, there: true };
    return this.#absorb([...(await this.#blobDifference(digest)), layer]);
  }

  /** The names of a repository's tags; their manifests when somebody asks for them. */
  async repository(repository: RepositoryName): Promise<boolean> {
    const tags = `${repositoryDirectory(repository)}/_manifests/tags`;
    let taken = false;
    let differences: Difference[] = [];
    const flush = async (): Promise<void> => {
      if (await this.#absorb(differences)) taken = true;
      differences = [];
    };
    for await (const { name, kind } of this.#parts.storage.list(tags)) {
      if (kind !== "directory" || !isTag(name)) continue;
      const digest = await this.#link(tagCurrentLinkPath(repository, name));
      if (digest !== null) differences.push(this.#tag(repository, name, digest));
      if (differences.length >= tagsAtOnce) await flush();
    }
    await flush();
    return taken;
  }

  /** Every tag and every manifest of a repository: all that leads to anything there. */
  async everything(repository: RepositoryName): Promise<boolean> {
    let taken = await this.repository(repository);
    let looked = 0;
    for (const algorithm of digestAlgorithms) {
      const revisions = revisionsDirectory(repository, algorithm);
      for await (const { name, kind } of this.#parts.storage.list(revisions)) {
        const digest = kind === "directory" ? digestFromParts(algorithm, name) : null;
        if (digest !== null && (await this.manifest(repository, digest))) taken = true;
        looked += 1;
        if (looked % lookedAtOnce === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    return taken;
  }

  async #absorb(differences: readonly Difference[]): Promise<boolean> {
    if (differences.length === 0) return false;
    const nowMs = this.#parts.clock.now();
    return (await this.#parts.index.absorb(differences, { nowMs, recheck: true })) > 0;
  }

  #tag(repository: RepositoryName, tag: Tag, digest: Digest): Difference {
    return { kind: "tag", repository, tag, digest, modifiedMs: this.#parts.clock.now() };
  }

  /** What the index lacks of a revision that the tree has; one that it knows is not written again. */
  async #revision(repository: RepositoryName, digest: Digest): Promise<Difference[]> {
    const { index, storage } = this.#parts;
    if ((await index.findManifest(repository, digest)) !== null) return [];
    const link = revisionLinkPath(repository, digest);
    if ((await storage.stat(link)) === null) return [];
    // A link that names another manifest may be all that keeps that one: for the walk to judge (INV-7).
    if (((await this.#link(link)) ?? digest) !== digest) return [];
    const blob = await this.#blobDifference(digest);
    const content = await this.#content(digest);
    // Without bytes there is nothing to serve; what it means for collection is for the walk to say.
    if (content === null) return [];
    return [
      ...blob,
      { kind: "revision", repository, digest, there: true, manifest: content, sizeBytes: null },
    ];
  }

  /** Null: its bytes are not there, not its own or no manifest. */
  async #content(digest: Digest): Promise<ParsedManifest | null> {
    const bytes = await this.#read(blobDataPath(digest), manifestBytesMax);
    if (bytes === null || digestOf(bytes, algorithmOf(digest)) !== digest) return null;
    try {
      return readStoredManifest(bytes);
    } catch {
      // The walk reports it, and lets it hold its repository (INV-7).
      return null;
    }
  }

  async #bytes(
    digest: Digest,
  ): Promise<{ readonly sizeBytes: number; readonly modifiedMs: number } | null> {
    const stat = await this.#parts.storage.stat(blobDataPath(digest));
    return stat !== null && maybeHolds(digest, stat.sizeBytes) ? stat : null;
  }

  async #blobDifference(digest: Digest): Promise<Difference[]> {
    const stat = await this.#bytes(digest);
    const known = await this.#parts.index.findBlobAnywhere(digest);
    // Bytes of another size than the index knows are no difference but damage (INV-9).
    if (stat === null || known !== null) return [];
    return [{ kind: "blob", digest, sizeBytes: stat.sizeBytes, modifiedMs: stat.modifiedMs }];
  }

  async #link(path: string): Promise<Digest | null> {
    const bytes = await this.#read(path, linkBytesMax);
    return bytes === null ? null : parseLink(new TextDecoder().decode(bytes));
  }

  async #read(path: string, bytesMax: number): Promise<Uint8Array | null> {
    try {
      return await this.#parts.storage.readSmall(path, bytesMax);
    } catch (error) {
      // Too long for what it should be: then it is not that.
      if (error instanceof StorageError && error.code === "too-large") return null;
      throw error;
    }
  }
}
