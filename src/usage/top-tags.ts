// The largest images, by tag. The walk knows a bound of each image's size at once; the exact size, each
// shared blob once, is counted for those that may be among the largest, and what deleting the tag would
// free for those that are shown.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { Scan, ScanPage, TaggedImage } from "../registry/ports/index.ts";
import { contentOf, imageBytes, tagGoing } from "./image-usage.ts";
import { Largest } from "./largest.ts";
import type { TopOptions } from "./top-repositories.ts";
import type { ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

export interface TagRow {
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly digest: Digest;
  readonly pushedAtMs: number;
  /** What a pull moves. */
  readonly logicalBytes: number;
  /** What deleting the tag, and with it what then hangs on nothing, would free. */
  readonly exclusiveBytes: number;
  readonly sharedBytes: number;
  readonly atLeast: boolean;
}

export async function topTags(parts: ReadingParts, options: TopOptions): Promise<TagRow[]> {
  const rows: TagRow[] = [];
  for (const image of await largestImages(parts, options)) {
    const { repository, tag, digest, pushedAtMs } = image;
    const bytes = await imageBytes(parts, image, tagGoing(repository, tag, digest));
    rows.push({ repository, tag, digest, pushedAtMs, ...bytes });
  }
  return rows;
}

async function largestImages(
  parts: ReadingParts,
  options: TopOptions,
): Promise<readonly TaggedImage[]> {
  const { limit } = options;
  // Bounds are close to sizes: once the first are counted, what is beyond can seldom be larger.
  for (let held = 2 * limit; ; held *= 4) {
    const bounded = await largestByBound(parts, { ...options, limit: held });
    const largest = new Largest<{ image: TaggedImage; bytes: number }>(limit, ({ bytes }) => bytes);
    for (const image of bounded.items) {
      if (image.bytesAtMost <= largest.sizeMin) break;
      largest.add({ image, bytes: (await contentOf(parts, image)).bytes });
      await parts.pause(0);
    }
    const isSure = bounded.items.length < held || bounded.sizeMin <= largest.sizeMin;
    if (isSure) return largest.items.map(({ image }) => image);
  }
}

async function largestByBound(
  parts: ReadingParts,
  { limit, globs }: TopOptions,
): Promise<Largest<TaggedImage>> {
  const { index } = parts;
  const bounded = new Largest<TaggedImage>(limit, ({ bytesAtMost }) => bytesAtMost);
  const look = (page: ScanPage): Promise<Scan<TaggedImage>> =>
    index.scanTaggedImages({ ...page, bytesMin: bounded.sizeMin });
  for await (const page of walk(parts, look)) {
    for (const image of page) {
      if (globs?.matches(image.repository) !== false) bounded.add(image);
    }
  }
  return bounded;
}
