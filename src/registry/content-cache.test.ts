import { expect, test } from "bun:test";
import { type Digest, digestOf } from "../oci/index.ts";
import { ContentCache } from "./content-cache.ts";

function filled(count: number, sizeBytes: number): { cache: ContentCache; digests: Digest[] } {
  const cache = new ContentCache();
  const digests = Array.from({ length: count }, (_, n) => digestOf(Buffer.from(String(n))));
  for (const digest of digests) cache.add(digest, new Uint8Array(sizeBytes));
  return { cache, digests };
}

test("the oldest goes first when the bytes are too many", () => {
  const { cache, digests } = filled(40, 1024 * 1024);
  const there = digests.filter((digest) => cache.has(digest));
  expect(there).toEqual(digests.slice(-15));
});

test("tiny contents are bounded in number", () => {
  const { cache, digests } = filled(60_000, 1);
  const there = digests.filter((digest) => cache.has(digest));
  expect(there.length).toBeGreaterThan(30_000);
  expect(there.length).toBeLessThan(45_000);
  expect(there).toEqual(digests.slice(-there.length));
});
