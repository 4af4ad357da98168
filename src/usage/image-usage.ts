// One image: what a pull of it moves, and what deleting it would free.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { RepositoryManifest } from "../registry/ports/index.ts";
import { DoomedSet } from "./doomed-set.ts";
import { findFreed } from "./freed-blobs.ts";
import { findHanging, type Going } from "./hanging-manifests.ts";
import { entriesMax, type ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

export interface ImageBytes {
  readonly logicalBytes: number;
  /** Referrers that go with it are counted, so it may be more than a pull moves. */
  readonly exclusiveBytes: number;
  /** Of `logicalBytes`: what something else holds, too. */
  readonly sharedBytes: number;
  readonly atLeast: boolean;
}

/** `going`: the image as a tag that goes, or as a manifest that goes whatever names it. */
export async function imageBytes(
  parts: ReadingParts,
  image: RepositoryManifest,
  going: Going,
): Promise<ImageBytes> {
  const content = await contentOf(parts, image);
  const hanging = await findHanging(parts, going);
  const doomed = new DoomedSet();
  for (const digest of hanging.manifests) doomed.add({ repository: image.repository, digest });
  let exclusiveOfContent = 0;
  const freed = await findFreed(parts, doomed, (blobs) => {
    for (const { digest, sizeBytes } of blobs) {
      if (content.blobs.has(digest)) exclusiveOfContent += sizeBytes;
    }
  });
  return {
    logicalBytes: content.bytes,
    exclusiveBytes: freed.bytes,
    sharedBytes: content.bytes - exclusiveOfContent,
    atLeast: content.atLeast || hanging.atLeast || freed.atLeast,
  };
}

export function tagGoing(repository: RepositoryName, tag: Tag, digest: Digest): Going {
  return { repository, deleted: new Set(), tags: new Map([[tag, digest]]) };
}

interface Content {
  readonly blobs: ReadonlySet<Digest>;
  readonly bytes: number;
  readonly atLeast: boolean;
}

/** The manifest, its config and layers, its children and all of theirs; each blob once. */
export async function contentOf(
  parts: Pick<ReadingParts, "index" | "pause">,
  { repository, digest }: RepositoryManifest,
): Promise<Content> {
  const { index } = parts;
  const own = await index.findManifest(repository, digest);
  const blobs = new Set<Digest>([digest]);
  const manifests = new Set<Digest>([digest]);
  let bytes = own?.sizeBytes ?? 0;
  let atLeast = false;
  // Also over what is added on the way.
  for (const manifest of manifests) {
    const look = { repository, digest: manifest };
    for await (const page of walk(parts, (at) => index.scanNamed(look, at))) {
      for (const named of page) {
        const isChild = named.kind === "manifest" && named.isManifest;
        if (named.kind !== "blob" && !isChild) continue;
        if (isChild) manifests.add(named.digest);
        if (blobs.has(named.digest)) continue;
        blobs.add(named.digest);
        bytes += named.sizeBytes;
      }
      atLeast = blobs.size >= entriesMax;
      if (atLeast) return { blobs, bytes, atLeast };
    }
  }
  return { blobs, bytes, atLeast };
}
