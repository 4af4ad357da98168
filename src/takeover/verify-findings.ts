// What verify finds wrong, as values; verify-lines.ts puts them into words.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type { TreeProblem } from "../registry/ports/index.ts";

export type Finding =
  /** Index and tree do not agree on one thing. */
  | {
      readonly kind: "difference";
      readonly what: "blob" | "layer" | "revision" | "tag" | "tag-history";
      readonly path: string;
      readonly detail: string;
    }
  /** A blob that manifests need is not there, or has another size than the index knows. */
  | {
      readonly kind: "missing-blob" | "wrong-size";
      readonly digest: Digest;
      readonly path: string;
      readonly detail: string;
      readonly neededBy: readonly string[];
    }
  /** With `--hash`: the bytes are not those of the digest, or cannot be read. */
  | {
      readonly kind: "wrong-bytes";
      readonly digest: Digest;
      readonly path: string;
      readonly detail: string;
      readonly neededBy: readonly string[];
    }
  /** A manifest's config or layer is not linked in its repository: the image cannot be pulled. */
  | {
      readonly kind: "missing-link";
      readonly repository: RepositoryName;
      readonly digest: Digest;
      readonly path: string;
      readonly detail: string;
    };

export interface VerifyCounts {
  /** Blobs whose presence and size were checked. */
  readonly blobs: number;
  /** Bytes read and hashed; 0 without `hash`. */
  readonly hashedBytes: number;
}

/** Odd but harmless: told, and nothing is wrong on their account. */
const harmless: ReadonlySet<TreeProblem["kind"]> = new Set([
  "leftover-file",
  "abandoned-upload",
  "unknown-name",
  "unknown-algorithm",
  "missing-directory",
  "missing-data",
  "dangling-link",
]);

export function isHarmless(kind: TreeProblem["kind"]): boolean {
  return harmless.has(kind);
}
