// Compares a digest with If-None-Match (RFC 9110 §13.1.2).
import type { Digest } from "../oci/index.ts";

export function etagOf(digest: Digest): string {
  return `"${digest}"`;
}

/**
 * Whether the client has this content already. Bare digests are understood, as the classic does.
 */
export function hasMatch(header: string | null, digest: Digest): boolean {
  if (header === null) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((entry) => {
    const tag = entry.trim().replace(/^W\//, "");
    return tag === etagOf(digest) || tag === digest;
  });
}
