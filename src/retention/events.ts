// What a preview or an application tells: plain data, for lines, documents and programs.
import type { KeptBy } from "./judgement.ts";

export interface RetentionReport {
  /** False: a preview. */
  readonly applied: boolean;
  /** Repositories that some rule matches. */
  readonly repositories: number;
  readonly tagsKept: number;
  /** Tags that went, or would go, attachments that follow their image included. */
  readonly tags: number;
  /** Manifests that went or would go: images, what goes with them, untagged ones. */
  readonly manifests: number;
  /** What a collection will give back, once nothing that was deleted can be brought back any more. */
  readonly bytes: number | null;
  /** There is more than could be counted. */
  readonly atLeast: boolean;
  /** Tags that were left, because they were pushed or pulled meanwhile, or a push may need the image. */
  readonly changed: number;
  readonly leased: number;
  /** Repositories in which a rule would have removed every tag. */
  readonly refused: number;
  /** Repositories that were left alone. */
  readonly skipped: number;
  /** It came to its end. */
  readonly completed: boolean;
  readonly durationMs: number;
}

/** An application that is over. */
export interface RetentionRun {
  /** `interval`, `pressure`, or who gave the command. */
  readonly askedBy: string;
  /** Names of the rules that were applied. */
  readonly rules: readonly string[];
  readonly report: RetentionReport;
}

/** Why a repository was left alone. `unjudgeable`: something in it cannot be read (INV-7). */
export type SkipReason = "unjudgeable" | "toomanytags";

export interface GoingTag {
  readonly kind: "tag";
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly rule: string;
  readonly pushedAtMs: number;
  /** Null: never, as far as is known. */
  readonly pulledAtMs: number | null;
  /** The image stays: another tag that stays names it, or something else needs it. */
  readonly isImageKept: boolean;
}

export interface KeptTag {
  readonly kind: "kept";
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly rule: string | null;
  readonly keptBy: KeptBy;
}

export interface GoingUntagged {
  readonly kind: "untagged";
  readonly repository: string;
  readonly digest: string;
  readonly rule: string;
  readonly untaggedSinceMs: number;
}

/** After all that goes in it. */
export interface RepositoryTold {
  readonly kind: "repository";
  readonly repository: string;
  readonly tags: number;
  readonly manifests: number;
  /** How many tags stay, by what keeps them. */
  readonly kept: Readonly<Partial<Record<KeptBy, number>>>;
  /** Names of rules that would have removed every tag. */
  readonly refused: readonly string[];
}

export type RetentionEvent =
  | GoingTag
  | KeptTag
  | GoingUntagged
  | RepositoryTold
  | { readonly kind: "skipped"; readonly repository: string; readonly reason: SkipReason }
  | { readonly kind: "summary"; readonly report: RetentionReport };

/** Hears events in order; awaited, so that who reads slowly holds the work up and not memory. */
export type RetentionObserver = (event: RetentionEvent) => Promise<void> | void;
