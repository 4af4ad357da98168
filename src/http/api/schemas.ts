// The documents that several operations of the API answer with, as schemas: they make the OpenAPI document, and
// tests hold real answers against it. Amounts of bytes are numbers, times are ISO 8601 in UTC.
import { z } from "zod";

/** Schemas that have a name of their own in the document. */
export const namedSchemas = z.registry<{ readonly id: string }>();

/** Gives the schema its name in the document. */
export function named<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  namedSchemas.add(schema, { id });
  return schema;
}

export const count = z.int().min(0);
export const time = z.string().meta({ format: "date-time" });
export const digest = z
  .string()
  .regex(
    /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/,
    "expected sha256:<64 hex> or sha512:<128 hex>, in lower case",
  )
  .describe("sha256:<64 hex> or sha512:<128 hex>");
export const repositoryName = z.string().max(255).describe("A repository's name");
export const tagName = z.string().max(128).describe("A tag");
export const texts = z.record(z.string(), z.string());

export function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : isoOf(ms);
}

/** A page of a list. */
export function listOf(id: string, item: z.ZodType): z.ZodType {
  return named(
    id,
    z.object({
      items: z.array(item),
      next: z
        .string()
        .nullable()
        .describe("The next page, relative to this one's URL; null: this is the last."),
    }),
  );
}

named(
  "Error",
  z.object({
    error: z.object({
      code: z.string().describe("In capitals; the codes of the OCI specification where one fits."),
      message: z.string().describe("What was wrong, and what was expected."),
      detail: z.unknown().optional(),
    }),
  }),
);

const steppedOver = z.object({ count, atLeast: z.boolean() });

export const runDocument = named(
  "CollectionRun",
  z.object({
    id: count,
    isOver: z.boolean().describe("False: it is under way."),
    startedAt: time,
    durationMs: z.number().nullable().describe("Null while under way, and of one that was killed."),
    askedBy: z.enum(["background", "command", "api"]),
    user: z.string().nullable().describe("Who asked; over this API, the address."),
    trigger: z.string().describe("`request`, or why a run in the background began."),
    untagged: z.boolean(),
    full: z.boolean(),
    candidates: count.describe("What was looked at."),
    manifests: count,
    blobs: count,
    bytesReclaimed: count,
    links: count,
    uploads: count.describe("Abandoned uploads that were ended."),
    repositories: count.describe("Repositories that had become empty."),
    steppedOver,
    errors: z.array(z.string()),
    stopped: z.string().nullable().describe("Why it did not come to its end; null: it did."),
  }),
);
