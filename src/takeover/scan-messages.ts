// What the main thread and the scanning worker say to each other.
import type { Difference, TreeProblem } from "../registry/ports/index.ts";
import type { Seen, Share } from "./scan.ts";
import type { VerifyPosition } from "./reading-position.ts";
import type { Found, VerifyCounts } from "./verify-findings.ts";

/** `scrub`: looks at the blobs alone. */
export type ScanMode = "first-build" | "compare" | "verify" | "scrub";

export interface ScanJob {
  readonly mode: ScanMode;
  readonly rootDirectory: string;
  readonly indexPath: string;
  readonly nowMs: number;
  /** Null but for `verify` and `scrub`. */
  readonly verify: VerifyJob | null;
}

export interface VerifyJob {
  /** Also reads every byte of every blob. */
  readonly hash: boolean;
  /** Where an earlier run was stopped; null: from the start. */
  readonly resume: VerifyPosition | null;
  /** Positions hold what was found wrong, so that a run which goes on looks at it again. */
  readonly keepsWrong: boolean;
  /** Nobody is served meanwhile: need not leave half of the time to others. */
  readonly isAlone: boolean;
  /** Bytes a second that may be read; null: as fast as it goes. */
  readonly rateBytes: number | null;
}

export type ToScan =
  /** Walk a share of the tree. */
  | { readonly kind: "walk"; readonly job: ScanJob; readonly share: Share }
  /** All shares have been walked and taken in; `seen` is what they saw together. */
  | { readonly kind: "finish"; readonly seen: Seen }
  /** One batch has been dealt with. */
  | { readonly kind: "taken" }
  | { readonly kind: "stop" };

/** Batches are each answered with `taken`. */
export type FromScan =
  | { readonly kind: "differences"; readonly differences: readonly Difference[] }
  | { readonly kind: "problems"; readonly problems: readonly TreeProblem[] }
  | { readonly kind: "findings"; readonly findings: readonly Found[] }
  | { readonly kind: "position"; readonly position: VerifyPosition }
  | { readonly kind: "progress"; readonly seen: Seen; readonly counts: VerifyCounts | null }
  /** The share has been walked, and everything of it dealt with. */
  | { readonly kind: "walked"; readonly seen: Seen }
  /** After `finish`: the worker has let go of everything. */
  | { readonly kind: "done"; readonly counts: VerifyCounts | null }
  /** `isDamage`: of the index, which the walk reads too. */
  | { readonly kind: "failed"; readonly message: string; readonly isDamage: boolean };
