import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  DigestInvalidError,
  isDigestReference,
  isRepositoryName,
  isTag,
  NameInvalidError,
  parseDigest,
  parseReference,
  parseRepositoryName,
  parseTag,
  repositoryNameLengthMax,
  TagInvalidError,
} from "./index.ts";

/** Letter for letter from the distribution specification, "Pulling manifests". */
const specifiedName = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const specifiedTag = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

const from = (letters: string, lengthMax: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...letters.split("")), { maxLength: lengthMax })
    .map((parts) => parts.join(""));

describe("repository names", () => {
  test("are what the specification's expression takes, up to 255 characters", () => {
    fc.assert(
      fc.property(from("ab0.._--/", 12), (text) => {
        expect(isRepositoryName(text)).toBe(specifiedName.test(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each(["a", "library/alpine", "a/b/c/d/e/f", "a__b", "a---b", "0", "a.b_c-d/e"])(
    "%p is one",
    (text) => {
      expect(String(parseRepositoryName(text))).toBe(text);
    },
  );

  test.each([
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "A",
    "a/B",
    "..",
    "a/../b",
    "a/./b",
    "_uploads",
    "a/_layers",
    "a/_manifests",
    "a___b",
    "a..b",
    "a._b",
    "-a",
    "a-",
    "a b",
    "a\n",
    "a\0b",
    "ä",
    "a%2fb",
    "a\\b",
    "a:b",
    "a@sha256",
  ])("%p is none", (text) => {
    expect(isRepositoryName(text)).toBe(false);
    expect(() => parseRepositoryName(text)).toThrow(NameInvalidError);
  });

  test("the 255th character is the last", () => {
    expect(isRepositoryName("a".repeat(repositoryNameLengthMax))).toBe(true);
    expect(isRepositoryName("a".repeat(repositoryNameLengthMax + 1))).toBe(false);
  });

  test("no text takes more than an instant to be told", () => {
    const nasty = [
      "a".repeat(254) + "!",
      "a-".repeat(127) + "!",
      "-".repeat(255),
      "a" + "-".repeat(253) + "!",
      "a" + "_".repeat(253),
      "a/".repeat(127) + "!",
      "a__".repeat(84) + "!",
      "0".repeat(5_000_000) + "!",
    ];
    // An expression that backtracks would not come back from these for years.
    for (const text of nasty) {
      expect(isRepositoryName(text)).toBe(false);
      expect(isTag(text)).toBe(false);
    }
  });
});

describe("tags", () => {
  test("are what the specification's expression takes", () => {
    fc.assert(
      fc.property(from("aZ0_.-:/ ", 6), (text) => {
        expect(isTag(text)).toBe(specifiedTag.test(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each(["latest", "v1.0.0", "_", "A-b.c_d", "x".repeat(128), "sha256-0a"])(
    "%p is one",
    (text) => {
      expect(String(parseTag(text))).toBe(text);
    },
  );

  test.each(["", ".", "..", "-a", ".a", "a/b", "a:b", "a b", "latest\n", "ä", "x".repeat(129)])(
    "%p is none",
    (text) => {
      expect(isTag(text)).toBe(false);
      expect(() => parseTag(text)).toThrow(TagInvalidError);
    },
  );
});

describe("references", () => {
  const digest = parseDigest(`sha256:${"0a".repeat(32)}`);

  test("a digest is told from a tag", () => {
    expect(isDigestReference(parseReference(digest))).toBe(true);
    expect(isDigestReference(parseReference("latest"))).toBe(false);
    // 71 characters without a colon: a tag, whatever it looks like.
    expect(isDigestReference(parseReference(digest.replace(":", "-")))).toBe(false);
  });

  test("what has a colon is meant as a digest, and said to be a wrong one", () => {
    expect(() => parseReference("sha256:short")).toThrow(DigestInvalidError);
    expect(() => parseReference("md5:abc")).toThrow(DigestInvalidError);
    expect(() => parseReference("-bad")).toThrow(TagInvalidError);
    expect(() => parseReference("")).toThrow(TagInvalidError);
  });
});
