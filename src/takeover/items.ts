// What a walk yields, step by step. Everything here is plain data.
import type { Difference, TreeProblem } from "../registry/ports/index.ts";
import type { VerifyPosition } from "./reading-position.ts";
import type { Found } from "./verify-findings.ts";

/** Something odd in the tree. */
export interface ProblemItem {
  readonly kind: "problem";
  readonly problem: TreeProblem;
}

/** Something that the tree has and the index has not, or the other way round. */
export interface DifferenceItem {
  readonly kind: "difference";
  readonly difference: Difference;
}

/** Nothing to tell, but a moment to breathe: something has been read. */
export interface PulseItem {
  readonly kind: "pulse";
  /** Bytes of a blob, where it was those. */
  readonly readBytes?: number;
}

/** One more blob or manifest was looked at, for the progress. */
export interface SeenItem {
  readonly kind: "seen";
}

/** Something that verify finds wrong. */
export interface FindingItem {
  readonly kind: "finding";
  readonly found: Found;
}

/** A run that reads all bytes has come this far, and everything that it found before is told. */
export interface PositionItem {
  readonly kind: "position";
  readonly position: VerifyPosition;
}
