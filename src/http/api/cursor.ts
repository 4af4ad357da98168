// Cursors: where a list goes on, as one opaque text. A cursor holds the key of the last entry that was shown,
// not a number of entries, so a list stays stable while others change it.
import type { z } from "zod";
import { ApiError } from "./api-error.ts";

/** Longer ones are none of ours: names have at most 255 characters. */
export const cursorLengthMax = 1_000;

export function writeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString("base64url");
}

/** Null: there is none. @throws ApiError */
export function readCursor<Key>(text: string | undefined, schema: z.ZodType<Key>): Key | null {
  if (text === undefined) return null;
  const key = schema.safeParse(parsed(text));
  if (key.success) return key.data;
  throw new ApiError(
    "INVALID_CURSOR",
    "the cursor is none that this list gave out; take it from `next`, with the same other parameters, or begin without one",
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    // Refused like any other that is none of ours.
    return null;
  }
}
