// `retention`: the rules by which the server removes tags and untagged manifests by itself.
import { z } from "zod";
import { GlobError, type NameGlobs, parseGlobs } from "../oci/index.ts";
import type { RetentionRuleConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { parseLongDuration } from "./long-duration.ts";
import { flag, scalar } from "./value-schemas.ts";

/** Each of them is asked for every tag of a repository. */
const rulesMax = 200;
const globsMax = 200;
/** So many tags a repository are held while it is judged, and looked at before each removal. */
const newestMax = 10_000;

const ruleName = scalar("a name of at most 64 letters, digits, _ . and -", (text) =>
  /^[\w.-]{1,64}$/.test(text) ? text : undefined,
);

const globsForm = 'a list of globs such as ["ci/**", "!ci/base"]';

const globs = z.unknown().transform((raw, context): NameGlobs => {
  const refuse = (message: string): never => {
    context.issues.push({ code: "custom", input: raw, message });
    return z.NEVER;
  };
  if (!Array.isArray(raw) || raw.length === 0 || raw.length > globsMax) {
    return refuse(`${globsForm}, at least one and at most ${globsMax}`);
  }
  if (!raw.every((one) => typeof one === "string")) return refuse(globsForm);
  try {
    return parseGlobs(raw);
  } catch (error) {
    if (!(error instanceof GlobError)) throw error;
    return refuse(`${globsForm}: ${error.message}`);
  }
});

const longDuration = scalar("a duration such as 12h, 30d or 1d12h, more than 0", (text) => {
  const ms = parseLongDuration(text);
  return ms !== null && ms > 0 ? ms : undefined;
});

const newest = scalar(`a whole number from 1 to ${newestMax}`, (text) => {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return number >= 1 && number <= newestMax ? number : undefined;
});

/** A slip in a key would keep less than was meant: here an unknown one is an error, not a warning. */
function known<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const unknown = z.unknown().transform((raw, context): never => {
    const message = `no such key, but one of ${Object.keys(shape).join(", ")}`;
    context.issues.push({ code: "custom", input: raw, message });
    return z.NEVER;
  });
  return z.object(shape).catchall(unknown);
}

const keep = known({
  newest: newest.optional(),
  pushedwithin: longDuration.optional(),
  pulledwithin: longDuration.optional(),
  matching: globs.optional(),
});

const { retention } = defaults;

const rule = known({
  name: ruleName,
  repositories: globs,
  tags: globs.optional(),
  keep: keep.optional(),
  untagged: known({ olderthan: longDuration }).optional(),
  interval: longDuration.default(retention.intervalMs),
  onpressure: flag.default(retention.onPressure),
  allowempty: flag.default(retention.allowEmpty),
})
  .superRefine((raw, context) => {
    if (raw.tags !== undefined || raw.keep !== undefined || raw.untagged !== undefined) return;
    const message = "a rule with tags, keep or untagged; this one would do nothing";
    context.addIssue({ code: "custom", input: raw, message });
  })
  .transform((raw): RetentionRuleConfig => ({
    name: raw.name,
    repositories: raw.repositories,
    // Without both, the rule is about untagged manifests alone: it must not take every tag to be meant.
    tags: raw.tags ?? (raw.keep === undefined ? null : parseGlobs(["*"])),
    keep: {
      newest: raw.keep?.newest ?? null,
      pushedWithinMs: raw.keep?.pushedwithin ?? null,
      pulledWithinMs: raw.keep?.pulledwithin ?? null,
      matching: raw.keep?.matching ?? null,
    },
    untaggedOlderThanMs: raw.untagged?.olderthan ?? null,
    intervalMs: raw.interval,
    onPressure: raw.onpressure,
    allowEmpty: raw.allowempty,
  }));

export const retentionSection = z
  .array(rule)
  .max(rulesMax, `at most ${rulesMax} rules`)
  .superRefine((rules, context) => {
    const seen = new Set<string>();
    for (const [n, { name }] of rules.entries()) {
      if (seen.has(name)) {
        const message = "a name that no rule before it has";
        context.addIssue({ code: "custom", input: name, path: [n, "name"], message });
      }
      seen.add(name);
    }
  })
  .default([]);
