// What a collection is asked for, what it tells while it runs, and what it reports at its end. All of it
// is plain data, so that it can go through the control socket as one JSON document a line.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { RunRecord, TreeProblem } from "../registry/ports/index.ts";
import type { BackgroundPace } from "./pace.ts";
import type { StopReason } from "./stop-reason.ts";

export interface CollectOptions {
  /** Says what would go, and changes nothing. */
  readonly dryRun: boolean;
  /** Also manifests that no tag leads to (`-m`). */
  readonly untagged: boolean;
  /** Looks at every fact instead of the queue alone (`--full`). */
  readonly full: boolean;
  /** Unreferenced bytes taken in from the tree that are younger than this are spared (`--grace`). */
  readonly foreignGraceMs: number;
  /** Deletions younger than this can still be undone, and hold what that needs; absent: none. */
  readonly keepDeletedMs?: number;
  /** With `untagged`: only manifests that have had no tag for this long; absent: any. */
  readonly untaggedOlderThanMs?: number;
  /** Absent: a command, of nobody in particular. */
  readonly askedBy?: Pick<RunRecord, "user"> & { readonly kind: RunRecord["askedBy"] };
  /** Nobody waits for it: it takes its time, tells nothing beforehand, and gives way to who does. */
  readonly background?: BackgroundPace & { readonly trigger: string };
  /** Of a run that somebody waits for: what made it begin; absent: a request. */
  readonly trigger?: string;
  /**
   * What to tell of that stays: the names of the repositories, or also every manifest and blob that is
   * marked (`--marks`), which walks the whole registry.
   */
  readonly listing: "nothing" | "repositories" | "marks";
}

interface InRepository {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

export type CollectionEvent =
  /** `attached`: the run was under way for somebody else already. */
  | {
      readonly kind: "started";
      readonly startedAtMs: number;
      readonly dryRun: boolean;
      readonly attached: boolean;
    }
  | { readonly kind: "repository"; readonly repository: RepositoryName }
  | ({ readonly kind: "manifest-marked" | "blob-marked" } & InRepository)
  | ({ readonly kind: "manifest-eligible" } & InRepository)
  | ({ readonly kind: "manifest-removed"; readonly tagHistory: readonly Tag[] } & InRepository)
  | ({ readonly kind: "link-eligible" | "link-removed" } & InRepository)
  /** Before the first blob goes. `atLeast`: there were more than are counted beforehand. */
  | {
      readonly kind: "counted";
      readonly blobsMarked: number;
      readonly blobs: number;
      readonly bytes: number;
      readonly manifests: number;
      readonly atLeast: boolean;
    }
  | {
      readonly kind: "blob-eligible" | "blob-removed";
      readonly digest: Digest;
      readonly sizeBytes: number;
    }
  | { readonly kind: "blob-failed"; readonly digest: Digest; readonly message: string }
  | {
      readonly kind: "repository-eligible" | "repository-removed";
      readonly repository: RepositoryName;
    }
  | { readonly kind: "stepped-over"; readonly problem: TreeProblem }
  | { readonly kind: "summary"; readonly report: CollectionReport };

/** Awaited, so that who reads slowly holds the run up and not its events in memory. */
export type CollectionObserver = (event: CollectionEvent) => void | Promise<void>;

/** A number of things and what they hold. */
export interface Amount {
  readonly count: number;
  readonly bytes: number;
}

export interface Spared {
  /** A client may be about to refer to them (INV-5). */
  readonly leased: Amount & { readonly untilMs: number | null };
  /** Perhaps a push of somebody else who writes to the tree (design §5). */
  readonly foreign: Amount & { readonly untilMs: number | null };
  readonly atLeast: boolean;
}

export interface CollectionReport {
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly dryRun: boolean;
  /** False: it was stopped; what is left stays in the queue for the next run. */
  readonly completed: boolean;
  /** Why it was stopped; null: it was not. */
  readonly stopped: StopReason | null;
  /** Nothing failed and nothing stood in the way: exit 0. */
  readonly ok: boolean;
  /** What was removed or, in a dry run, would be. */
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly links: number;
  readonly repositories: number;
  /** Abandoned uploads that expired; 0 in a dry run. */
  readonly uploads: number;
  /** Candidates that were looked at; 0 in a dry run. */
  readonly candidates: number;
  /** With `atLeast` a dry run found more than it holds in memory. */
  readonly atLeast: boolean;
  /** What `full` found that the queue had missed; null when it was not asked. */
  readonly queueMissed: number | null;
  /** Untagged manifests that stay, and the bytes that `-m` would free beyond. */
  readonly untaggedKept: Amount & { readonly atLeast: boolean };
  readonly spared: Spared;
  /** Deletions that can still be undone, the bytes that only they hold, until when the youngest can. */
  readonly restorable: Amount & { readonly untilMs: number | null; readonly atLeast: boolean };
  readonly steppedOver: { readonly count: number; readonly atLeast: boolean };
  /** Why it is not ok; at most `errorsMax`, in a person's words. */
  readonly errors: readonly string[];
}
