// The domain's face: what http/ may ask for, in the specification's words. Knows no HTTP.
// Every method throws the RegistryError of oci/errors.ts that fits; nothing else is part of the contract
// but StorageError (a full or broken disk) and AbortError of a body that its sender gave up.
import type { Digest, DigestAlgorithm, Reference, RepositoryName, Tag } from "../oci/index.ts";
import type { Actor } from "./audit.ts";
import type {
  BlobFact,
  Caller,
  ManifestFact,
  Page,
  ReferrerFact,
  UploadFact,
} from "./ports/index.ts";
import type { BlobBody } from "./ports/storage.ts";

export interface Registry {
  readonly blobs: Blobs;
  readonly uploads: Uploads;
  readonly manifests: Manifests;
  readonly catalog: Catalog;
}

export interface Blobs {
  /** @throws BlobUnknownError also when the bytes are missing or of the wrong size (INV-9). */
  find(repository: RepositoryName, digest: Digest): Promise<BlobFact>;
  /** As find, and leases the blob to a caller who may push (INV-5). */
  findForPush(repository: RepositoryName, digest: Digest, caller: Caller): Promise<BlobFact>;
  /**
   * The bytes [start, end) of a blob that `find` has just returned.
   * @throws BlobUnknownError when they are gone meanwhile, or are found to be altered.
   */
  read(
    blob: BlobFact,
    range?: { readonly start: number; readonly end: number },
  ): Promise<BlobBody | Uint8Array>;
  /** @throws BlobUnknownError, DeniedError naming the manifests that need it. */
  delete(repository: RepositoryName, digest: Digest, by: Caller | Actor): Promise<void>;
  /** A repository that the blob can be mounted from, of those that are asked for; null: none is known. */
  findHolder(
    digest: Digest,
    isWanted: (repository: RepositoryName) => boolean,
  ): Promise<RepositoryName | null>;
  /** Null: it cannot be mounted, so upload it. `from` null: from wherever the blob is known. */
  mount(mount: {
    readonly digest: Digest;
    readonly from: RepositoryName | null;
    readonly to: RepositoryName;
    readonly caller: Caller;
  }): Promise<BlobFact | null>;
}

/** Bytes on their way in. `from`, `lengthBytes`: what Content-Range and Content-Length announced. */
export interface UploadBody {
  /** A chunk is there until the next one is asked for, and no longer. */
  readonly stream: AsyncIterable<Uint8Array>;
  /** Must be where the upload stands, else RangeInvalidError with its size; null: append. */
  readonly from: number | null;
  /** Must be what arrives, else SizeInvalidError and the upload stays as it was before; null: unknown. */
  readonly lengthBytes: number | null;
}

/** Who pushes: for leases, and as the user whose the session is (null: nobody who is logged in). */
export interface Uploader {
  readonly caller: Caller;
  readonly user: string | null;
}

/** A session, and who asks for it. */
export interface UploadAsked extends Uploader {
  readonly repository: RepositoryName;
  readonly id: string;
}

/** To whom a session does not belong it is unknown: see docs/design/upload-sessions.md. */
export interface Uploads {
  /** `algorithm`: of the digest that the client will finish with; a hint, to hash while receiving. */
  begin(
    repository: RepositoryName,
    options: Uploader & { readonly algorithm: DigestAlgorithm },
  ): Promise<UploadFact>;
  /** @throws BlobUploadUnknownError. Waits until a write that is under way is over. */
  status(upload: UploadAsked): Promise<{ readonly sizeBytes: number }>;
  /** When the sender goes away, what arrived stays and can be continued. Returns the new size. */
  append(upload: UploadAsked, body: UploadBody): Promise<{ readonly sizeBytes: number }>;
  /**
   * Ends the upload with a last part (null: none).
   * @throws DigestInvalidError, SizeInvalidError: then nothing is left behind.
   */
  finish(upload: UploadAsked, digest: Digest, body: UploadBody | null): Promise<BlobFact>;
  /** @throws BlobUploadUnknownError */
  cancel(upload: UploadAsked): Promise<void>;
}

export interface PutManifest {
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** `?tag=` of a push by digest. */
  readonly tags: readonly Tag[];
  /** Content-Type without parameters; "" when there was none. */
  readonly contentType: string;
  readonly bytes: Uint8Array;
  /** For a push by tag. */
  readonly algorithm: DigestAlgorithm;
  readonly caller: Caller;
}

export interface AcceptedManifest {
  readonly digest: Digest;
  readonly subject: Digest | null;
  readonly tags: readonly Tag[];
  /** What the client should hear though it was accepted, in printable ASCII; absent: nothing. */
  readonly warnings?: readonly string[];
}

export interface ManifestContent extends ManifestFact {
  readonly bytes: Uint8Array;
}

export interface Manifests {
  /** @throws ManifestUnknownError, NameUnknownError */
  find(repository: RepositoryName, reference: Reference): Promise<ManifestFact>;
  /** As find, and leases a manifest that is asked for by digest to a caller who may push (INV-5). */
  findForPush(
    repository: RepositoryName,
    reference: Reference,
    caller: Caller,
  ): Promise<ManifestFact>;
  /** The manifest with its bytes. @throws ManifestUnknownError also when they are gone or altered. */
  get(repository: RepositoryName, reference: Reference): Promise<ManifestContent>;
  /**
   * @throws ManifestInvalidError, ManifestBlobUnknownError, DigestInvalidError, DeniedError by an
   * immutable tag or a quota, DiskFullError above the load line
   */
  put(put: PutManifest): Promise<AcceptedManifest>;
  /**
   * By digest: its tags go too. By tag: only the tag. Either can be brought back for a while.
   * @throws ManifestUnknownError, NameUnknownError, DeniedError by an immutable tag
   */
  delete(repository: RepositoryName, reference: Reference, by: Caller | Actor): Promise<void>;
  /** In digest order; unknown repositories and subjects have none. */
  listReferrers(
    repository: RepositoryName,
    subject: Digest,
    page: Page<Digest> & { readonly artifactType: string | null },
  ): Promise<readonly ReferrerFact[]>;
}

export interface Catalog {
  listRepositories(page: Page): Promise<readonly RepositoryName[]>;
  /** @throws NameUnknownError */
  listTags(repository: RepositoryName, page: Page): Promise<readonly Tag[]>;
}
