// What a verification tells while it runs, as plain data: it may run in another process.
import { z } from "zod";
import type { TreeProblem } from "../registry/ports/index.ts";
import type { VerifyReport } from "./verify.ts";
import type { Finding } from "./verify-findings.ts";

export type VerifyEvent =
  | { readonly kind: "finding"; readonly finding: Finding }
  | { readonly kind: "problem"; readonly problem: TreeProblem; readonly isHarmless: boolean }
  | { readonly kind: "summary"; readonly report: VerifyReport };

export interface VerifyRequest {
  /** Reads and checks every byte. */
  readonly hash: boolean;
}

const schema = z.strictObject({ hash: z.boolean() });

/** @throws ZodError, when another version of the program asks for what this one does not know. */
export function parseVerifyOptions(value: unknown): VerifyRequest {
  return schema.parse(value);
}
