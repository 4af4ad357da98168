// Draws distribution's tree, and owns every path in it. Pure: makes paths, never looks at a disk.
// Design: docs/design/storage-layout.md. Paths are the storage port's: "/" is the root directory.
//
// /docker/registry/v2/
//   blobs/<algorithm>/<first 2 hex>/<hex>/data          bytes of a layer, a config or a manifest
//   repositories/<name>/                                <name> may hold "/"; a "_" part ends it
//     _layers/<algorithm>/<hex>/link                    the repository has this blob
//     _manifests/revisions/<algorithm>/<hex>/link       the repository has this manifest
//     _manifests/tags/<tag>/current/link                what the tag names
//     _manifests/tags/<tag>/index/<algorithm>/<hex>/link  what the tag named at some time
//     _uploads/<id>/data                                bytes received so far
//     _uploads/<id>/startedat                           when, as RFC 3339 text
//   plimsoll-root-id                                    ours: binds the root to its index (INV-8)
// /plimsoll/                                            ours: index, lock, socket
//   quarantine/<algorithm>/<hex>                        bytes that are not those of the digest; of a
//                                                       second time <hex>.2, and so on
//
// A link holds the digest as text, without a newline.
import { algorithmOf, type Digest, type DigestAlgorithm, hexOf, isDigest } from "../oci/index.ts";
import type { RepositoryName, Tag } from "../oci/index.ts";
import type { TreePlace } from "../registry/ports/index.ts";

const layoutRoot = "/docker/registry/v2";
export const blobsRoot = `${layoutRoot}/blobs`;
export const repositoriesRoot = `${layoutRoot}/repositories`;
/** Beside the blobs and not in `plimsoll/`, which may lie on another disk than they do. */
export const rootIdPath = `${layoutRoot}/plimsoll-root-id`;
/** Holds what the classic registry does not know of. */
export const ownRoot = "/plimsoll";

/** What verify and the scrub have moved away; only an operator removes anything here. */
export const quarantineRoot = `${ownRoot}/quarantine`;

/** `<algorithm>/<hex>`: how a digest stands in a path. */
function digestPath(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`;
}

/** The directory that blobs with the same first two hex digits share; never removed. */
export function blobShardDirectory(digest: Digest): string {
  return `${blobsRoot}/${algorithmOf(digest)}/${hexOf(digest).slice(0, 2)}`;
}

export function blobDirectory(digest: Digest): string {
  return `${blobShardDirectory(digest)}/${hexOf(digest)}`;
}

export function blobDataPath(digest: Digest): string {
  return `${blobDirectory(digest)}/data`;
}

export function repositoryDirectory(repository: RepositoryName): string {
  return `${repositoriesRoot}/${repository}`;
}

export function layerLinkPath(repository: RepositoryName, digest: Digest): string {
  return `${repositoryDirectory(repository)}/_layers/${digestPath(digest)}/link`;
}

export function revisionLinkPath(repository: RepositoryName, digest: Digest): string {
  return `${repositoryDirectory(repository)}/_manifests/revisions/${digestPath(digest)}/link`;
}

export function revisionsDirectory(repository: RepositoryName, algorithm: DigestAlgorithm): string {
  return `${repositoryDirectory(repository)}/_manifests/revisions/${algorithm}`;
}

/** Stays, empty too, while the repository has a manifest: without it the classic's `-m` aborts. */
export function tagsDirectory(repository: RepositoryName): string {
  return `${repositoryDirectory(repository)}/_manifests/tags`;
}

export function tagDirectory(repository: RepositoryName, tag: Tag): string {
  return `${tagsDirectory(repository)}/${tag}`;
}

export function tagCurrentLinkPath(repository: RepositoryName, tag: Tag): string {
  return `${tagDirectory(repository, tag)}/current/link`;
}

export function tagIndexLinkPath(repository: RepositoryName, tag: Tag, digest: Digest): string {
  return `${tagDirectory(repository, tag)}/index/${digestPath(digest)}/link`;
}

/** `id` must have been checked to be a session's id: it becomes a part of the path. */
export function uploadDirectory(repository: RepositoryName, id: string): string {
  return `${repositoryDirectory(repository)}/_uploads/${id}`;
}

export function uploadDataPath(repository: RepositoryName, id: string): string {
  return `${uploadDirectory(repository, id)}/data`;
}

export function uploadStartedAtPath(repository: RepositoryName, id: string): string {
  return `${uploadDirectory(repository, id)}/startedat`;
}

/** Where altered bytes go, the `round`-th time (from 1) that this digest has any. */
export function quarantinePath(digest: Digest, round: number): string {
  return `${quarantineRoot}/${digestPath(digest)}${round === 1 ? "" : `.${round}`}`;
}

/** The link of a place in the tree; for a repository, which has none, its directory. */
export function treePlacePath(place: TreePlace): string {
  switch (place.kind) {
    case "layer":
      return layerLinkPath(place.repository, place.digest);
    case "revision":
      return revisionLinkPath(place.repository, place.digest);
    case "tag":
      return tagCurrentLinkPath(place.repository, place.tag);
    case "tag-history":
      return tagIndexLinkPath(place.repository, place.tag, place.digest);
    case "repository":
      return repositoryDirectory(place.repository);
  }
}

/** What a link holds, or null when that is no digest (a zero-byte link, for one). */
export function parseLink(text: string): Digest | null {
  // Old tools and people's editors leave a newline.
  const trimmed = text.trim();
  return isDigest(trimmed) ? trimmed : null;
}
