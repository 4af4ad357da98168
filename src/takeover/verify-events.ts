// What a verification tells while it runs, as plain data: it may run in another process.
import { z } from "zod";
import type { TreeProblem } from "../registry/ports/index.ts";
import type { VerifyReport } from "./verify.ts";
import type { Finding, Repair } from "./verify-findings.ts";

/** How far it has come; totals are those of its start. */
export interface VerifyProgress {
  readonly kind: "progress";
  /** Walking the tree, or looking at the blobs one by one. */
  readonly phase: "tree" | "blobs";
  readonly blobs: number;
  readonly blobsTotal: number;
  readonly bytes: number;
  /** 0: no bytes are read. */
  readonly bytesTotal: number;
}

export type VerifyEvent =
  | { readonly kind: "finding"; readonly finding: Finding; readonly repair: Repair | null }
  | { readonly kind: "problem"; readonly problem: TreeProblem; readonly isHarmless: boolean }
  /** Asked to go on where a run was stopped, but none was: it begins at the start. */
  | { readonly kind: "nothing-to-resume" }
  | VerifyProgress
  | { readonly kind: "summary"; readonly report: VerifyReport };

export interface VerifyRequest {
  /** Reads and checks every byte. */
  readonly hash: boolean;
  /** Mends what can be mended without losing anything. */
  readonly repair: boolean;
  /** With `hash`: goes on where a run was stopped. */
  readonly resume: boolean;
  /** Somebody looks at a progress bar. */
  readonly progress: boolean;
  /** Of the command line; null: the system does not tell. */
  readonly user?: string | null;
}

const schema = z.strictObject({
  hash: z.boolean(),
  repair: z.boolean().default(false),
  resume: z.boolean().default(false),
  progress: z.boolean().default(false),
  user: z.string().max(200).nullable().default(null),
});

/** @throws ZodError, when another version of the program asks for what this one does not know. */
export function parseVerifyOptions(value: unknown): VerifyRequest {
  return schema.parse(value);
}
