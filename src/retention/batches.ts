// Cuts what goes into transactions that are short: a few images, and a bounded number of tags. Pure.
import type { GoingImage } from "./judgement.ts";
import { imagesAtOnce, tagsAtOnce } from "./parts.ts";

/** An image, or some of its tags where it has very many. */
export interface BatchImage extends GoingImage {
  /** More of its tags go in a later batch: the image goes with the last of them. */
  readonly hasMore: boolean;
}

export function* batchesOf(going: Iterable<GoingImage>): Generator<readonly BatchImage[]> {
  let batch: BatchImage[] = [];
  let tags = 0;
  for (const image of going) {
    for (let at = 0; at < image.tags.length; at += tagsAtOnce) {
      const some = image.tags.slice(at, at + tagsAtOnce);
      if (batch.length === imagesAtOnce || tags + some.length > tagsAtOnce) {
        if (batch.length > 0) yield batch;
        [batch, tags] = [[], 0];
      }
      batch.push({ ...image, tags: some, hasMore: at + tagsAtOnce < image.tags.length });
      tags += some.length;
    }
  }
  if (batch.length > 0) yield batch;
}
