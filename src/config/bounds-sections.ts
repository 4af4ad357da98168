// `immutable` and `quotas`: lists of rules of our own, each for repositories by globs. The classic ignores
// both sections. What they mean: docs/limits.md.
import { z } from "zod";
import { type NameGlobs, parseGlobs } from "../oci/index.ts";
import { parseByteSize } from "./byte-size.ts";
import type { ImmutableConfig, QuotaConfig } from "./config.ts";
import { natural, scalar } from "./value-schemas.ts";

const globsForm = "a list of globs such as [team/**, '!team/tmp']";

/** At least one; who means every name writes `**` (or `*`, for tags). */
const globs = z.unknown().transform((raw, context): NameGlobs => {
  let message = globsForm;
  if (isTexts(raw) && raw.length > 0) {
    try {
      return parseGlobs(raw);
    } catch (error) {
      message = error instanceof Error ? `${globsForm}: ${error.message}` : globsForm;
    }
  }
  context.issues.push({ code: "custom", input: raw, message });
  return z.NEVER;
});

function isTexts(raw: unknown): raw is readonly string[] {
  return Array.isArray(raw) && raw.every((item) => typeof item === "string");
}

/** Goes into error messages and into a header. */
const label = scalar("1 to 100 printable characters of ASCII", (text) =>
  /^[ -~]{1,100}$/.test(text) ? text : undefined,
);

export const byteSize = scalar("an amount of bytes such as 500MB or 10GiB", (text) => {
  return parseByteSize(text) ?? undefined;
});

const immutableRule = z.strictObject({ name: label.optional(), repositories: globs, tags: globs });

export const immutableSection = z
  .array(immutableRule)
  .default([])
  .transform((rules): readonly ImmutableConfig[] =>
    rules.map(({ name, repositories, tags }, n) => ({
      name: name ?? `immutable.${n}`,
      repositories,
      tags,
    })),
  );

const quota = z
  .strictObject({
    name: label,
    repositories: globs,
    bytes: byteSize.optional(),
    manifests: natural.optional(),
    tags: natural.optional(),
    contact: label.optional(),
  })
  .refine(({ bytes, manifests, tags }) => (bytes ?? manifests ?? tags) !== undefined, {
    message: "at least one of bytes, manifests and tags",
  });

export const quotasSection = z
  .array(quota)
  .default([])
  .superRefine((quotas, context) => {
    for (const [n, { name }] of quotas.entries()) {
      if (quotas.findIndex((other) => other.name === name) === n) continue;
      context.addIssue({
        code: "custom",
        path: [n, "name"],
        message: "a name that no other quota has",
      });
    }
  })
  .transform((quotas): readonly QuotaConfig[] =>
    quotas.map(({ name, repositories, bytes, manifests, tags, contact }) => ({
      name,
      repositories,
      limits: {
        ...(bytes === undefined ? {} : { bytes }),
        ...(manifests === undefined ? {} : { manifests }),
        ...(tags === undefined ? {} : { tags }),
      },
      contact: contact ?? null,
    })),
  );
