// A registry in memory, to try the HTTP side against: just enough of the domain to answer every
// request. Keeps none of the invariants. With a directory, blobs are files, so that the runtime
// sends files.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  BlobUnknownError,
  BlobUploadUnknownError,
  DeniedError,
  type Digest,
  DigestInvalidError,
  ManifestBlobUnknownError,
  ManifestUnknownError,
  NameUnknownError,
  type ParsedManifest,
  RangeInvalidError,
  type Reference,
  type RepositoryName,
  SizeInvalidError,
  type Tag,
  algorithmOf,
  digestOf,
  hexOf,
  isDigestReference,
  parseManifest,
} from "../../src/oci/index.ts";
import type { BlobFact, ManifestFact, Page } from "../../src/registry/ports/index.ts";
import type { Registry, UploadAsked, UploadBody } from "../../src/registry/registry.ts";

interface StoredManifest {
  readonly fact: ManifestFact;
  readonly bytes: Uint8Array;
  readonly parsed: ParsedManifest;
}
interface Repository {
  readonly blobs: Set<Digest>;
  readonly manifests: Map<Digest, StoredManifest>;
  readonly tags: Map<Tag, Digest>;
}
interface Upload {
  readonly repository: RepositoryName;
  readonly owner: string | null;
  bytes: Uint8Array;
}

export interface FakeOptions {
  /** Where blobs are kept as files; null: in memory. */
  readonly directory?: string;
}

/** What the fake was asked that its answers do not show. */
export interface FakeRegistry extends Registry {
  /** `<caller> <repository> <digest>` of every look-up that leases. */
  readonly leased: string[];
  readonly openUploads: () => number;
}

export function createFakeRegistry(options: FakeOptions = {}): FakeRegistry {
  const store = new Store(options.directory ?? null);
  return {
    blobs: blobsOf(store),
    uploads: uploadsOf(store),
    manifests: manifestsOf(store),
    catalog: {
      listRepositories: async (page) => store.listRepositories(page),
      listTags: async (repository, page) => {
        const known = store.repositories.get(repository);
        if (known === undefined) throw new NameUnknownError(`${repository} is not known`);
        return pageOf([...known.tags.keys()], page);
      },
    },
    leased: store.leased,
    openUploads: () => store.uploads.size,
  };
}

class Store {
  readonly repositories = new Map<RepositoryName, Repository>();
  readonly bytes = new Map<Digest, Uint8Array>();
  readonly uploads = new Map<string, Upload>();
  readonly leased: string[] = [];
  readonly directory: string | null;

  constructor(directory: string | null) {
    this.directory = directory;
  }

  repository(name: RepositoryName): Repository {
    let repository = this.repositories.get(name);
    if (repository === undefined) {
      repository = { blobs: new Set(), manifests: new Map(), tags: new Map() };
      this.repositories.set(name, repository);
    }
    return repository;
  }

  keep(digest: Digest, bytes: Uint8Array): BlobFact {
    this.bytes.set(digest, bytes);
    if (this.directory !== null) {
      mkdirSync(join(this.directory, hexOf(digest)), { recursive: true });
      writeFileSync(this.file(digest), bytes);
    }
    return { digest, sizeBytes: bytes.byteLength };
  }

  file(digest: Digest): string {
    return join(this.directory ?? "", hexOf(digest), "data");
  }

  blob(name: RepositoryName, digest: Digest): BlobFact {
    const bytes = this.bytes.get(digest);
    const known = this.repositories.get(name);
    const there = known?.blobs.has(digest) === true || known?.manifests.has(digest) === true;
    if (bytes === undefined || !there)
      throw new BlobUnknownError("blob unknown", { detail: digest });
    return { digest, sizeBytes: bytes.byteLength };
  }

  manifest(name: RepositoryName, reference: Reference): StoredManifest {
    const known = this.repositories.get(name);
    if (known === undefined) throw new NameUnknownError(`${name} is not known`);
    const digest = isDigestReference(reference) ? reference : known.tags.get(reference);
    const manifest = digest === undefined ? undefined : known.manifests.get(digest);
    if (manifest === undefined) throw new ManifestUnknownError("manifest unknown");
    return manifest;
  }

  upload({ repository, id, user }: UploadAsked): Upload {
    const upload = this.uploads.get(id);
    if (upload?.repository === repository && (upload.owner === null || upload.owner === user)) {
      return upload;
    }
    throw new BlobUploadUnknownError("upload unknown");
  }

  listRepositories(page: Page): RepositoryName[] {
    const full = [...this.repositories].filter(([, { manifests }]) => manifests.size > 0);
    return pageOf(
      full.map(([name]) => name),
      page,
    );
  }
}

function pageOf<T extends string>(all: readonly T[], page: Page): T[] {
  const { after, limit } = page;
  const sorted = [...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const later = after === null ? sorted : sorted.filter((entry) => entry > after);
  return later.slice(0, limit);
}

function blobsOf(store: Store): Registry["blobs"] {
  return {
    find: async (name, digest) => store.blob(name, digest),
    findForPush: async (name, digest, caller) => {
      store.leased.push(`${caller} ${name} ${digest}`);
      return store.blob(name, digest);
    },
    read: async (blob, range) => {
      const { start, end } = range ?? { start: 0, end: blob.sizeBytes };
      if (store.directory !== null) return Bun.file(store.file(blob.digest)).slice(start, end);
      return new Blob([(store.bytes.get(blob.digest) ?? new Uint8Array(0)).slice(start, end)]);
    },
    delete: async (name, digest) => {
      store.blob(name, digest);
      for (const { fact, parsed } of store.repository(name).manifests.values()) {
        if (!parsed.references.some((reference) => reference.digest === digest)) continue;
        throw new DeniedError(`needed by ${fact.digest}`, { detail: [fact.digest] });
      }
      store.repository(name).blobs.delete(digest);
    },
    findHolder: async (digest, isWanted) => {
      const holders = [...store.repositories].filter(([, { blobs }]) => blobs.has(digest));
      return holders.map(([name]) => name).find(isWanted) ?? null;
    },
    mount: async ({ digest, from, to }) => {
      const sources = from === null ? [...store.repositories.keys()] : [from];
      const bytes = store.bytes.get(digest);
      const held = sources.some((name) => store.repositories.get(name)?.blobs.has(digest) === true);
      if (bytes === undefined || !held) return null;
      store.repository(to).blobs.add(digest);
      return { digest, sizeBytes: bytes.byteLength };
    },
  };
}

async function received(upload: Upload, body: UploadBody): Promise<Uint8Array> {
  const standing = upload.bytes.byteLength;
  if (body.from !== null && body.from !== standing) {
    throw new RangeInvalidError(`the upload stands at ${standing}`, { size: standing });
  }
  let bytes = upload.bytes;
  try {
    for await (const chunk of body.stream) bytes = Buffer.concat([bytes, chunk]);
  } catch (error) {
    upload.bytes = bytes;
    throw error;
  }
  if (body.lengthBytes !== null && bytes.byteLength - standing !== body.lengthBytes) {
    throw new SizeInvalidError(
      `${bytes.byteLength - standing} bytes came, not ${body.lengthBytes}`,
    );
  }
  return bytes;
}

function uploadsOf(store: Store): Registry["uploads"] {
  return {
    begin: async (repository, { user: owner }) => {
      const id = crypto.randomUUID();
      store.uploads.set(id, { repository, owner, bytes: new Uint8Array(0) });
      return { id, repository, owner, startedAtMs: 0 };
    },
    status: async (asked) => ({ sizeBytes: store.upload(asked).bytes.byteLength }),
    append: async (asked, body) => {
      const upload = store.upload(asked);
      upload.bytes = await received(upload, body);
      return { sizeBytes: upload.bytes.byteLength };
    },
    finish: async (asked, digest, body) => {
      const { repository, id } = asked;
      const upload = store.upload(asked);
      const bytes = body === null ? upload.bytes : await received(upload, body);
      store.uploads.delete(id);
      if (digestOf(bytes, algorithmOf(digest)) !== digest) {
        throw new DigestInvalidError("the content has another digest");
      }
      store.repository(repository).blobs.add(digest);
      return store.keep(digest, bytes);
    },
    cancel: async (asked) => {
      store.upload(asked);
      store.uploads.delete(asked.id);
    },
  };
}

function manifestsOf(store: Store): Registry["manifests"] {
  return {
    find: async (name, reference) => store.manifest(name, reference).fact,
    findForPush: async (name, reference, caller) => {
      const { fact } = store.manifest(name, reference);
      store.leased.push(`${caller} ${name} ${fact.digest}`);
      return fact;
    },
    get: async (name, reference) => {
      const { fact, bytes } = store.manifest(name, reference);
      return { ...fact, bytes };
    },
    put: async (put) => {
      const parsed = parseManifest(put.bytes, put.contentType);
      const byDigest = isDigestReference(put.reference);
      const algorithm = byDigest ? algorithmOf(put.reference) : put.algorithm;
      const digest = digestOf(put.bytes, algorithm);
      if (byDigest && digest !== put.reference) throw new DigestInvalidError("another digest");
      const known = store.repositories.get(put.repository);
      const missing = parsed.references
        .filter(({ kind }) => kind === "blob")
        .filter((reference) => known?.blobs.has(reference.digest) !== true)
        .map((reference) => reference.digest);
      if (missing.length > 0) {
        throw new ManifestBlobUnknownError("content is missing", { detail: missing });
      }
      const tags = byDigest ? put.tags : [put.reference];
      const repository = store.repository(put.repository);
      const { sizeBytes } = store.keep(digest, put.bytes);
      const fact = { digest, sizeBytes, mediaType: parsed.mediaType };
      repository.manifests.set(digest, { fact, bytes: put.bytes, parsed });
      for (const tag of tags) repository.tags.set(tag, digest);
      return { digest, subject: parsed.subject, tags };
    },
    delete: async (name, reference) => {
      const { fact } = store.manifest(name, reference);
      const { tags, manifests } = store.repository(name);
      if (!isDigestReference(reference)) {
        tags.delete(reference);
        return;
      }
      manifests.delete(reference);
      for (const [tag, digest] of tags) if (digest === fact.digest) tags.delete(tag);
    },
    listReferrers: async (name, subject, page) => {
      const all = [...(store.repositories.get(name)?.manifests.values() ?? [])]
        .filter(({ parsed }) => parsed.subject === subject)
        .map(({ fact, parsed: { artifactType, annotations } }) => {
          return { ...fact, artifactType, annotations };
        })
        .filter(({ artifactType }) => [null, artifactType].includes(page.artifactType));
      const digests = pageOf(
        all.map(({ digest }) => digest),
        page,
      );
      return all
        .filter(({ digest }) => digests.includes(digest))
        .sort((a, b) => (a.digest < b.digest ? -1 : 1));
    },
  };
}
