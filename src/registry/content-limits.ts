// How large what clients push may be, and how much of it may be begun. What is there already is not
// judged by it. May be replaced while the server runs. Documentation: docs/limits.md.
import { type ManifestBounds, manifestBytesMax, manifestBoundsMax } from "../oci/index.ts";

export interface ContentBounds {
  /** Null: any size. */
  readonly blobBytesMax: number | null;
  /** At most `manifestBytesMax`, as large as those can be that are read from a tree. */
  readonly manifestBytesMax: number;
  readonly manifest: ManifestBounds;
  /** Indexes in indexes, as far as they are there; null: any number. */
  readonly indexLevelsMax: number | null;
  /** Open upload sessions of one repository; null: any number. */
  readonly sessionsMax: number | null;
}

export const widestBounds: ContentBounds = {
  blobBytesMax: null,
  manifestBytesMax,
  manifest: manifestBoundsMax,
  indexLevelsMax: null,
  sessionsMax: null,
};

export class ContentLimits {
  #bounds: ContentBounds;

  constructor(bounds: ContentBounds) {
    this.#bounds = bounds;
  }

  get bounds(): ContentBounds {
    return this.#bounds;
  }

  /** From now on these hold. */
  replace(bounds: ContentBounds): void {
    this.#bounds = bounds;
  }
}
