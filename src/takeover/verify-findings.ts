// What verify finds wrong, as values; verify-lines.ts puts them into words.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type { Difference, TreeProblem } from "../registry/ports/index.ts";

/**
 * A blob with something wrong: not there; of another size than the index knows, and other bytes; with
 * `--hash`, bytes that are not those of the digest, or that the disk does not give.
 */
export interface BlobFinding {
  readonly kind: "missing-blob" | "wrong-size" | "wrong-bytes" | "unreadable-blob";
  readonly digest: Digest;
  readonly path: string;
  readonly detail: string;
  /** Images, as "repository:tag" or "repository@digest"; some of them, if there are many. */
  readonly neededBy: readonly string[];
  readonly isNeededByMore: boolean;
}

export type Finding =
  | BlobFinding
  /** Index and tree do not agree on one thing. */
  | {
      readonly kind: "difference";
      readonly what: "blob" | "layer" | "revision" | "tag" | "tag-history";
      readonly path: string;
      readonly detail: string;
    }
  /** A manifest's config or layer is not linked in its repository: the image cannot be pulled. */
  | {
      readonly kind: "missing-link";
      readonly repository: RepositoryName;
      readonly digest: Digest;
      readonly path: string;
      readonly detail: string;
      readonly neededBy: readonly string[];
    }
  /** What the index keeps about space is not what a count finds. Null: the totals. */
  | {
      readonly kind: "usage-drift";
      readonly repository: RepositoryName | null;
      readonly path: string;
      readonly detail: string;
    }
  /** Nothing refers to it and no queue knows it: no collection but one with `--full` would see it. */
  | {
      readonly kind: "orphan";
      readonly digest: Digest;
      readonly path: string;
      readonly detail: string;
    };

/** A finding on its way to whoever may mend it. */
export interface Found {
  readonly finding: Finding;
  /** What the tree says, where the finding is that the index says something else. */
  readonly difference: Difference | null;
}

/** What was done about a finding. */
export interface Repair {
  /** Nothing is left to do. */
  readonly isMended: boolean;
  /** Looked at again, nothing was wrong. */
  readonly isFalseAlarm?: true;
  readonly text: string;
}

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
  "quarantined-file",
]);

export function isHarmless(kind: TreeProblem["kind"]): boolean {
  return harmless.has(kind);
}
