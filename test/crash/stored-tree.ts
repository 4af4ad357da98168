// The tree as it is stored, whatever the driver: the blobs' bytes, and every file of the repositories.
import { type Digest, digestFromParts, type RepositoryName } from "../../src/oci/index.ts";
import type { Index, RepositoryFacts } from "../../src/registry/ports/index.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import {
  blobsRoot,
  layerLinkPath,
  repositoriesRoot,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagIndexLinkPath,
} from "../../src/storage/layout.ts";

const bytesMax = 1024 * 1024;

/** Every file below, with what it holds. */
async function filesBelow(storage: Storage, directory: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for await (const { name, kind } of storage.list(directory)) {
    const path = `${directory}/${name}`;
    if (kind === "directory") {
      for (const [below, bytes] of await filesBelow(storage, path)) files.set(below, bytes);
    } else {
      files.set(path, (await storage.readSmall(path, bytesMax)) ?? new Uint8Array());
    }
  }
  return files;
}

export async function storedBlobs(storage: Storage): Promise<Map<Digest, Uint8Array>> {
  const blobs = new Map<Digest, Uint8Array>();
  for (const [path, bytes] of await filesBelow(storage, blobsRoot)) {
    const [algorithm = "", , hex = "", file] = path.slice(blobsRoot.length + 1).split("/");
    const digest = digestFromParts(algorithm, hex);
    if (digest !== null && file === "data") blobs.set(digest, bytes);
  }
  return blobs;
}

/** What a writer was killed over: a file that waits for its rename. */
function isTemporary(path: string): boolean {
  return path.endsWith(".tmp");
}

/** Links by path, as text. */
export async function storedLinks(storage: Storage): Promise<Map<string, string>> {
  const links = new Map<string, string>();
  for (const [path, bytes] of await filesBelow(storage, repositoriesRoot)) {
    if (path.includes("/_uploads/") || isTemporary(path)) continue;
    links.set(path, Buffer.from(bytes).toString());
  }
  return links;
}

/** Sessions by id; also one of which nothing is left but its directory. */
export async function storedUploads(
  storage: Storage,
  directory = repositoriesRoot,
): Promise<Map<string, RepositoryName>> {
  const uploads = new Map<string, RepositoryName>();
  const repository = directory.slice(repositoriesRoot.length + 1) as RepositoryName;
  for await (const { name, kind } of storage.list(directory)) {
    if (kind !== "directory") continue;
    const path = `${directory}/${name}`;
    if (name === "_uploads") {
      for await (const { name: id } of storage.list(path)) uploads.set(id, repository);
    } else if (!name.startsWith("_")) {
      for (const [id, below] of await storedUploads(storage, path)) uploads.set(id, below);
    }
  }
  return uploads;
}

/** Gets rid of what a comparison only reports. */
export async function removeTemporaryFiles(storage: Storage): Promise<void> {
  for (const path of (await filesBelow(storage, "/docker")).keys()) {
    if (isTemporary(path)) await storage.remove(path);
  }
}

export interface KnownRepository {
  readonly repository: RepositoryName;
  readonly facts: RepositoryFacts;
}

export async function knownRepositories(index: Index): Promise<KnownRepository[]> {
  const names = await index.listKnownRepositories({ after: null, limit: 100 });
  return Promise.all(
    names.map(async (repository) => ({
      repository,
      facts: await index.repositoryFacts(repository),
    })),
  );
}

const everyPrefix = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, "0"));

/**
 * Present blobs by the facts, condemned ones left out. `prefixes`: the first two digits of all digests
 * that there can be, where they are known; the totals tell of any other.
 */
export async function knownBlobs(
  index: Index,
  prefixes: Iterable<string> = everyPrefix,
): Promise<Map<Digest, number>> {
  const blobs = new Map<Digest, number>();
  for (const prefix of prefixes) {
    for (const [digest, size] of await index.blobsWithPrefix("sha256", prefix)) {
      blobs.set(digest, size);
    }
  }
  return blobs;
}

/** For `knownBlobs`. */
export function prefixesOf(digests: Iterable<Digest>): ReadonlySet<string> {
  return new Set([...digests].map((digest) => digest.slice("sha256:".length).slice(0, 2)));
}

/** The links that the facts call for (INV-2). */
export function linksOf(known: readonly KnownRepository[]): Map<string, string> {
  const links = new Map<string, string>();
  for (const { repository, facts } of known) {
    for (const digest of facts.layers) links.set(layerLinkPath(repository, digest), digest);
    for (const digest of facts.revisions) links.set(revisionLinkPath(repository, digest), digest);
    for (const [tag, digest] of facts.tags) links.set(tagCurrentLinkPath(repository, tag), digest);
    for (const [tag, digests] of facts.tagHistory) {
      for (const digest of digests) links.set(tagIndexLinkPath(repository, tag, digest), digest);
    }
  }
  return links;
}
