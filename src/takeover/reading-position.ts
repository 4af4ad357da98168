// How far a run that reads every byte has come, as the index keeps it, so that a later one goes on.
import { z } from "zod";
import { type Digest, isDigest } from "../oci/index.ts";

const digest = z.custom<Digest>((value) => typeof value === "string" && isDigest(value));

const place = { after: digest, counts: z.object({ blobs: z.number(), hashedBytes: z.number() }) };
const verifySchema = z.object({ ...place, wrong: z.array(digest) });
const scrubSchema = z.object({
  startedMs: z.number(),
  isOver: z.boolean(),
  at: z.object(place).nullable(),
  wrong: z.number(),
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

export interface ScrubPosition {
  /** When this round began. */
  readonly startedMs: number;
  /** The round has come to its end. */
  readonly isOver: boolean;
  /** Null: at the start. */
  readonly at: Omit<VerifyPosition, "wrong"> | null;
  /** How many blobs this round has found something wrong with. */
  readonly wrong: number;
}

export function parseScrubPosition(text: string | null): ScrubPosition | null {
  return parsed(text, scrubSchema);
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
