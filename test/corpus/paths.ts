// Paths of the base tree's things, for those who bend them.
import { parseDigest, parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import {
  blobDataPath,
  blobDirectory,
  layerLinkPath,
  repositoryDirectory,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagDirectory,
} from "../../src/storage/layout.ts";
import { base, baseGarbage } from "../fixtures/classic-tree.ts";
import type { Image } from "../support/images.ts";

export const app = parseRepositoryName("team/app");
export const other = parseRepositoryName("team/other");
export const multi = parseRepositoryName("multi");
export const old = parseRepositoryName("old/app");

export const blobOf = (digest: string): string => blobDataPath(parseDigest(digest));
export const blobDirectoryOf = (digest: string): string => blobDirectory(parseDigest(digest));

/** Of team/app unless said otherwise. */
export const layerOf = (digest: string, repository: string = app): string =>
  layerLinkPath(parseRepositoryName(repository), parseDigest(digest));
export const revisionOf = (digest: string, repository: string = app): string =>
  revisionLinkPath(parseRepositoryName(repository), parseDigest(digest));
export const tagOf = (tag: string, repository: string = app): string =>
  tagCurrentLinkPath(parseRepositoryName(repository), parseTag(tag));
export const tagDirectoryOf = (tag: string, repository: string = app): string =>
  tagDirectory(parseRepositoryName(repository), parseTag(tag));
export const directoryOf = (repository: string): string =>
  repositoryDirectory(parseRepositoryName(repository));

function layersOf(image: Image): string[] {
  return image.layers.map(({ digest }) => digest);
}

/** Garbage that team/app links: what stays when all of the repository does. */
export const linkedGarbage = [
  ...baseGarbage.untagged,
  base.lone.digest,
  base.deleted.config.digest,
  ...layersOf(base.deleted),
] as const;

/** Digests of team/app:bent. */
export const bent = {
  manifest: base.bent.manifest.digest,
  config: base.bent.config.digest,
  layer: base.bent.layers[0]?.digest ?? "",
  rest: base.bent.layers.slice(1).map(({ digest }) => digest),
} as const;
