// What a digest is: `<algorithm>:<hex>`, parsed once at the border and branded from there on.
// Only algorithms that this registry can compute are digests here; the tree walker steps over others.
// Source: OCI image-spec descriptor.md, "Digests".
import { DigestInvalidError } from "./errors.ts";

export type Digest = string & { readonly __brand: "Digest" };
export type DigestAlgorithm = "sha256" | "sha512";

/** Length of the encoded part, in lower-case hex characters. */
const hexLength: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };

/** The first byte of the binary form; never renumber, it is stored in the index. */
const algorithmByte: Readonly<Record<DigestAlgorithm, number>> = { sha256: 1, sha512: 2 };

export const digestAlgorithms: readonly DigestAlgorithm[] = ["sha256", "sha512"];

const digestPattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigestAlgorithm(text: string): text is DigestAlgorithm {
  return text === "sha256" || text === "sha512";
}

export function isDigest(text: string): text is Digest {
  return digestPattern.test(text);
}

/** @throws DigestInvalidError when the text is not a digest of a known algorithm. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new DigestInvalidError(
    `"${text.slice(0, 160)}" is not a digest; expected sha256:<64 hex> or sha512:<128 hex>, in lower case`,
  );
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

export function hexOf(digest: Digest): string {
  return digest.slice(7);
}

/** Builds a digest from its parts, or null when they do not make one (names of directories). */
export function digestFromParts(algorithm: string, hex: string): Digest | null {
  const text = `${algorithm}:${hex}`;
  return isDigest(text) ? text : null;
}

/** The binary form: one byte for the algorithm, then the raw digest. Sorts as the text does. */
export function digestToBytes(digest: Digest): Uint8Array {
  const algorithm = algorithmOf(digest);
  const bytes = new Uint8Array(1 + hexLength[algorithm] / 2);
  bytes[0] = algorithmByte[algorithm];
  bytes.set(Uint8Array.fromHex(hexOf(digest)), 1);
  return bytes;
}

export function digestFromBytes(bytes: Uint8Array): Digest {
  const algorithm = bytes[0] === algorithmByte.sha512 ? "sha512" : "sha256";
  return `${algorithm}:${bytes.subarray(1).toHex()}` as Digest;
}

export class DigestHasher {
  readonly #hasher: Bun.CryptoHasher;
  constructor(readonly algorithm: DigestAlgorithm) {
    this.#hasher = new Bun.CryptoHasher(algorithm);
  }
  update(chunk: Uint8Array): void {
    this.#hasher.update(chunk);
  }
  /** Finishes; the hasher must not be used afterwards. */
  digest(): Digest {
    return `${this.algorithm}:${this.#hasher.digest("hex")}` as Digest;
  }
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = "sha256"): Digest {
  return `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}` as Digest;
}
