// A preview or an application as it comes over the control socket: plain data, checked, whoever sent it.
// The rules come with it: they are those of the configuration that the command was given, so that a change
// can be looked at before the server is started with it.
import { z } from "zod";
import { parseGlobs } from "../oci/index.ts";
import type { RetentionWork } from "./retention.ts";
import type { RetentionRule } from "./rules.ts";

const patterns = z.array(z.string().max(600)).min(1).max(200);
const ms = z.number().min(0);

const ruleSchema = z.strictObject({
  name: z.string().min(1).max(64),
  repositories: patterns,
  tags: patterns.nullable(),
  keep: z.strictObject({
    newest: z.number().int().min(1).max(10_000).nullable(),
    pushedWithinMs: ms.nullable(),
    pulledWithinMs: ms.nullable(),
    matching: patterns.nullable(),
  }),
  untaggedOlderThanMs: ms.nullable(),
  intervalMs: ms,
  onPressure: z.boolean(),
  allowEmpty: z.boolean(),
});

const schema = z.strictObject({
  rules: z.array(ruleSchema).max(200),
  /** Only the rule of this name is applied; null: all. */
  rule: z.string().nullable(),
  /** Only repositories that these globs match; null: all. */
  repository: patterns.nullable(),
  tellsKept: z.boolean(),
  /** Of the command line. */
  user: z.string().max(200).nullable(),
});

export type RetentionRequest = z.infer<typeof schema>;

/** @throws ZodError, GlobError, when another version of the program asks for what this one does not know. */
export function parseRetentionRequest(value: unknown): RetentionWork {
  const { rules, rule, repository, tellsKept, user } = schema.parse(value);
  const wanted = repository === null ? null : parseGlobs(repository);
  return {
    rules: rules.map((one): RetentionRule => ({
      ...one,
      repositories: parseGlobs(one.repositories),
      tags: one.tags === null ? null : parseGlobs(one.tags),
      keep: {
        ...one.keep,
        matching: one.keep.matching === null ? null : parseGlobs(one.keep.matching),
      },
    })),
    ...(rule === null ? {} : { applies: ({ name }) => name === rule }),
    ...(wanted === null ? {} : { isWanted: (name) => wanted.matches(name) }),
    tellsKept,
    askedBy: user === null ? "command" : `command (${user})`,
    actor: { caller: user ?? "command", from: "command line" },
  };
}

/** @throws Error that names the rules there are, when none has the name. */
export function retentionRequest(
  rules: readonly RetentionRule[],
  asked: Omit<RetentionRequest, "rules">,
): RetentionRequest {
  const { rule, repository } = asked;
  const names = rules.map(({ name }) => name);
  if (rules.length === 0) throw new Error("the configuration has no retention rules");
  if (rule !== null && !names.includes(rule)) {
    throw new Error(`no retention rule is named "${rule}"; there are ${names.join(", ")}`);
  }
  if (repository !== null) parseGlobs(repository);
  return {
    rules: rules.map((one) => ({
      ...one,
      repositories: [...one.repositories.patterns],
      tags: one.tags === null ? null : [...one.tags.patterns],
      keep: {
        ...one.keep,
        matching: one.keep.matching === null ? null : [...one.keep.matching.patterns],
      },
    })),
    ...asked,
  };
}
