// The best of many tags by size or by the time of their last pull, after a place that was reached before. Holds
// no more of them than are asked for.
import type { Tag } from "../oci/index.ts";
import type { ListedTag } from "./ports/index.ts";

export interface TagRanking {
  readonly by: "size" | "pulled";
  readonly descending: boolean;
  /** Rank and name of the last tag of the page before; null: from the start. */
  readonly after: { readonly rank: number; readonly tag: Tag } | null;
  readonly limit: number;
}

/** What is not known comes before everything: nobody has pulled it, nothing is there. */
export function rankOf(tag: ListedTag, by: TagRanking["by"]): number {
  return (by === "size" ? tag.imageBytes : tag.pulledAtMs) ?? -1;
}

export class RankedTags {
  readonly #ranking: TagRanking;
  /** Sorted; one more than is asked for tells whether there is a next page. */
  readonly #best: ListedTag[] = [];

  constructor(ranking: TagRanking) {
    this.#ranking = ranking;
  }

  add(tag: ListedTag): void {
    const { after, by, limit } = this.#ranking;
    const rank = rankOf(tag, by);
    if (after !== null && this.#compare(rank, tag.tag, after) <= 0) return;
    let start = 0;
    let end = this.#best.length;
    while (start < end) {
      const middle = (start + end) >> 1;
      const other = this.#best[middle];
      const isAfter =
        other !== undefined &&
        this.#compare(rank, tag.tag, { rank: rankOf(other, by), tag: other.tag }) > 0;
      if (isAfter) start = middle + 1;
      else end = middle;
    }
    if (start > limit) return;
    this.#best.splice(start, 0, tag);
    if (this.#best.length > limit + 1) this.#best.pop();
  }

  page(): { readonly tags: readonly ListedTag[]; readonly next: ListedTag | null } {
    const { limit } = this.#ranking;
    const tags = this.#best.slice(0, limit);
    return { tags, next: this.#best.length > limit ? (tags.at(-1) ?? null) : null };
  }

  /** Positive: comes after the other one. */
  #compare(rank: number, tag: Tag, other: { readonly rank: number; readonly tag: Tag }): number {
    const names = tag < other.tag ? -1 : tag > other.tag ? 1 : 0;
    const order = rank === other.rank ? names : rank - other.rank;
    return this.#ranking.descending ? -order : order;
  }
}
