// How far a run that reads every byte has come, as the index keeps it, so that a later one goes on.
import { z } from "zod";
import { type Digest, isDigest } from "../oci/index.ts";

const digest = z.custom<Digest>((value) => typeof value === "string" && isDigest(value));

const verifySchema = z.object({
  after: digest,
  counts: z.object({ blobs: z.number(), hashedBytes: z.number() }),
  wrong: z.array(digest),
});

/** Blobs up to and with `after`, in digest order, have been read. */
export interface VerifyPosition {
  readonly after: Digest;
  readonly counts: { readonly blobs: number; readonly hashedBytes: number };
  /** Those of them that something was wrong with: a run that goes on looks at them again first. */
  readonly wrong: readonly Digest[];
}

/** Null: none is kept, or one that another version of the program wrote. */
export function parseVerifyPosition(text: string | null): VerifyPosition | null {
  return parsed(text, verifySchema);
}

function parsed<Value>(text: string | null, schema: z.ZodType<Value>): Value | null {
  if (text === null) return null;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    // Begins again, which costs time and nothing else.
    return null;
  }
}
