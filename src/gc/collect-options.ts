// The options of a collection as they come over the control socket: checked, whoever sent them.
import { z } from "zod";
import type { CollectOptions } from "./collection-events.ts";

const schema = z.strictObject({
  dryRun: z.boolean(),
  untagged: z.boolean(),
  full: z.boolean(),
  foreignGraceMs: z.number().min(0),
  keepDeletedMs: z.number().min(0).default(0),
  untaggedOlderThanMs: z.number().min(0).default(0),
  askedBy: z
    .strictObject({ kind: z.literal("command"), user: z.string().max(200).nullable() })
    .default({ kind: "command", user: null }),
  listing: z.enum(["nothing", "repositories", "marks"]),
});

/** @throws ZodError, when another version of the program asks for what this one does not know. */
export function parseCollectOptions(value: unknown): CollectOptions {
  return schema.parse(value);
}
