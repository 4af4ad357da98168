// Ranked tags in pages are the sorted list cut into pages, whatever the order in which they come.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Digest, Tag } from "../oci/index.ts";
import type { ListedTag } from "./ports/index.ts";
import { RankedTags, rankOf, type TagRanking } from "./ranked-tags.ts";

function tagOf(name: string, imageBytes: number | null): ListedTag {
  return {
    tag: name as Tag,
    digest: "sha256:" as Digest,
    pushedAtMs: 0,
    sizeBytes: 1,
    mediaType: null,
    imageBytes,
    pulledAtMs: null,
  };
}

const tags = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-c]{1,3}$/),
    size: fc.option(fc.nat(5)),
  }),
  { selector: ({ name }) => name, maxLength: 20 },
);

test("every page by page is the whole, sorted by size and then by name", () => {
  const ranked = (given: readonly ListedTag[], ranking: TagRanking) => {
    const best = new RankedTags(ranking);
    for (const tag of given) best.add(tag);
    return best.page();
  };
  fc.assert(
    fc.property(tags, fc.integer({ min: 1, max: 7 }), fc.boolean(), (given, limit, descending) => {
      const all = given.map(({ name, size }) => tagOf(name, size));
      const sign = descending ? -1 : 1;
      const expected = all.toSorted((a, b) => {
        const by = rankOf(a, "size") - rankOf(b, "size");
        return sign * (by === 0 ? (a.tag < b.tag ? -1 : 1) : by);
      });
      const seen: ListedTag[] = [];
      let after: TagRanking["after"] = null;
      for (;;) {
        const page: ReturnType<typeof ranked> = ranked(all, {
          by: "size",
          descending,
          after,
          limit,
        });
        expect(page.tags.length).toBeLessThanOrEqual(limit);
        seen.push(...page.tags);
        if (page.next === null) break;
        after = { rank: rankOf(page.next, "size"), tag: page.next.tag };
      }
      expect(seen.map(({ tag }) => tag)).toEqual(expected.map(({ tag }) => tag));
    }),
  );
});
