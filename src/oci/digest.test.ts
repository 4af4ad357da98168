import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import * as fc from "fast-check";
import {
  algorithmOf,
  type Digest,
  digestAlgorithms,
  digestFromBytes,
  digestFromParts,
  DigestHasher,
  DigestInvalidError,
  digestOf,
  digestToBytes,
  hexOf,
  isDigest,
  isDigestAlgorithm,
  parseDigest,
} from "./index.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: length / 2, maxLength: length / 2 })
    .map((bytes) => Buffer.from(bytes).toString("hex"));
const anyDigest: fc.Arbitrary<Digest> = fc
  .oneof(
    hex(64).map((text) => `sha256:${text}`),
    hex(128).map((text) => `sha512:${text}`),
  )
  .map((text) => parseDigest(text));

describe("what a digest is", () => {
  const sha256 = `sha256:${"0a".repeat(32)}`;
  const sha512 = `sha512:${"0a".repeat(64)}`;

  test.each([sha256, sha512])("%p is one", (text) => {
    expect(isDigest(text)).toBe(true);
    expect(String(parseDigest(text))).toBe(text);
  });

  test.each([
    "",
    "sha256:",
    "sha256",
    sha256.toUpperCase(),
    `sha256:${"0A".repeat(32)}`,
    sha256.slice(0, -1),
    `${sha256}0`,
    `${sha256}\n`,
    ` ${sha256}`,
    `sha512:${"0a".repeat(32)}`,
    `sha256:${"0a".repeat(64)}`,
    `sha384:${"0a".repeat(48)}`,
    `md5:${"0a".repeat(16)}`,
    `sha256:../${"0a".repeat(31)}`,
    `sha256:${"0g".repeat(32)}`,
    `sha256+b64:${"0a".repeat(32)}`,
    `${sha256},${sha256}`,
  ])("%p is none", (text) => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text)).toThrow(DigestInvalidError);
  });

  test("the error shows what was there, but never all of a long text", () => {
    const long = "x".repeat(100_000);
    expect(() => parseDigest("sha1:abc")).toThrow('"sha1:abc" is not a digest; expected sha256:');
    try {
      parseDigest(long);
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message.length).toBeLessThan(300);
    }
  });

  test("a digest is told from any text as the specification's expression tells it", () => {
    const specified = /^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;
    const near = fc
      .tuple(
        fc.constantFrom("sha256", "sha512", "sha384", "SHA256", ""),
        fc.constantFrom(":", "", "::"),
        fc.oneof(hex(64), hex(128), hex(62), fc.string()),
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(near, (text) => {
        expect(isDigest(text)).toBe(specified.test(text));
      }),
    );
  });
});

describe("parts of a digest", () => {
  test("algorithm and hex make it up again", () => {
    fc.assert(
      fc.property(anyDigest, (digest) => {
        const algorithm = algorithmOf(digest);
        expect(digestFromParts(algorithm, hexOf(digest))).toBe(digest);
        expect(`${algorithm}:${hexOf(digest)}`).toBe(digest);
      }),
    );
  });

  test("names of directories that make none are null", () => {
    expect(digestFromParts("sha256", "ab")).toBeNull();
    expect(digestFromParts("_uploads", "0a".repeat(32))).toBeNull();
    expect(digestFromParts("sha512", "0a".repeat(32))).toBeNull();
  });

  test("the algorithms that can be computed are known by name, others are not", () => {
    expect(digestAlgorithms.every(isDigestAlgorithm)).toBe(true);
    expect(isDigestAlgorithm("sha384")).toBe(false);
    expect(isDigestAlgorithm("constructor")).toBe(false);
  });
});

describe("the binary form", () => {
  test("goes there and back", () => {
    fc.assert(
      fc.property(anyDigest, (digest) => {
        const bytes = digestToBytes(digest);
        expect(bytes.length).toBe(algorithmOf(digest) === "sha256" ? 33 : 65);
        expect(digestFromBytes(bytes)).toBe(digest);
      }),
    );
  });

  test("is what the index has stored since its first version", () => {
    expect(digestToBytes(parseDigest(`sha256:${"ff".repeat(32)}`))[0]).toBe(1);
    expect(digestToBytes(parseDigest(`sha512:${"ff".repeat(64)}`))[0]).toBe(2);
  });

  test("sorts as the text does", () => {
    const near = fc.tuple(anyDigest, anyDigest, fc.nat(63)).map(([a, b, n]): [Digest, Digest] => {
      const mixed = `${algorithmOf(a)}:${hexOf(a).slice(0, n)}${hexOf(b)}`;
      return [a, parseDigest(mixed.slice(0, a.length).padEnd(a.length, "0"))];
    });
    fc.assert(
      fc.property(fc.oneof(near, fc.tuple(anyDigest, anyDigest)), ([a, b]) => {
        const byText = Math.sign(Number(a > b) - Number(a < b));
        expect<number>(Buffer.compare(digestToBytes(a), digestToBytes(b))).toBe(byText);
      }),
    );
  });
});

describe("computing", () => {
  test.each(["sha256", "sha512"] as const)("%s of any bytes, in any parts", (algorithm) => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array(), { maxLength: 5 }), (chunks) => {
        const whole = Buffer.concat(chunks);
        const expected = `${algorithm}:${createHash(algorithm).update(whole).digest("hex")}`;
        const hasher = new DigestHasher(algorithm);
        for (const chunk of chunks) hasher.update(chunk);
        expect(String(hasher.digest())).toBe(expected);
        expect(String(digestOf(whole, algorithm))).toBe(expected);
      }),
    );
  });

  test("sha256 unless asked otherwise", () => {
    expect(String(digestOf(bytesOf("{}")))).toBe(
      "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    );
  });
});
