// zod schemas that turn the text of a value into what its key means: yes/no, number, duration, word.
// Types are decided by the key, as the classic does, so quotes around a value never matter.
// Each says what it expects; load.ts adds the key, the value and the line.
import { z } from "zod";
import { parseByteRate } from "./byte-size.ts";
import { parseGoDuration } from "./go-duration.ts";
import { parseGoRegExp } from "./go-regexp.ts";
import type { RawValue } from "./raw-tree.ts";

/** What an issue can carry besides its message; read by load.ts. */
export interface IssueHints extends Readonly<Record<string, unknown>> {
  /** Not an error after all: the warning is given, and the value is read as this one instead. */
  readonly heal?: { readonly warning: string; readonly readAs: RawValue };
  /** The message is a whole sentence and not what was expected. */
  readonly sentence?: true;
}

export function scalar<T>(expected: string, parse: (text: string) => T | undefined) {
  return z.unknown().transform((raw, context): T => {
    const value = typeof raw === "string" ? parse(raw) : undefined;
    if (value !== undefined) return value;
    context.issues.push({ code: "custom", input: raw, message: expected });
    return z.NEVER;
  });
}

/** A list; a text alone is a list of that one. */
export function oneOrMore<T extends z.ZodType>(item: T) {
  return z.preprocess((raw) => (typeof raw === "string" ? [raw] : raw), z.array(item));
}

/** Likewise, where an empty text, as a variable may give it, is an empty list. */
export function noneOrMore<T extends z.ZodType>(item: T) {
  return z.preprocess((raw) => (raw === "" ? [] : raw), oneOrMore(item));
}

/** Of a server that is asked or told something; a login in it has to be one that can be sent. */
export function serverUrl(example: string) {
  return scalar(`a URL such as ${example}`, (value) => {
    const url = URL.parse(value);
    const isUsable = url !== null && /^https?:$/.test(url.protocol) && hasUsableLogin(url);
    return isUsable ? value : undefined;
  });
}

function hasUsableLogin({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    // A percent sign that stands for itself has to be written as %25.
    return false;
  }
}

const headerValue = scalar("a text of Latin letters and signs, without line breaks", (value) =>
  /^[\t\x20-\x7e\x80-\xff]*$/.test(value) ? value : undefined,
);

/** Headers that are sent. What cannot be sent would only be noticed when nobody is told of anything. */
export const sentHeaders = z
  .record(z.string(), oneOrMore(headerValue))
  .superRefine((headers, context) => {
    const odd = Object.keys(headers).filter((name) => !/^[\w!#$%&'*+.^`|~-]+$/.test(name));
    for (const name of odd) {
      const message = "a name of letters, digits and dashes before it, such as X-Api-Key";
      context.addIssue({ code: "custom", path: [name], message });
    }
  });

/** An issue that load.ts turns into a warning, reading `readAs` in place of what was written. */
export function healingIssue(raw: unknown, heal: { warning: string; readAs: RawValue }) {
  const params: IssueHints = { heal };
  return { code: "custom" as const, input: raw, message: heal.warning, params };
}

const trueWords = new Set(["true", "yes", "on", "y"]);
const falseWords = new Set(["false", "no", "off", "n"]);

/** YAML 1.1's words, which the classic reads. */
export function parseFlag(value: string): boolean | undefined {
  const word = value.toLowerCase();
  if (trueWords.has(word)) return true;
  return falseWords.has(word) ? false : undefined;
}

export const flag = scalar("true or false", parseFlag);

export const text = scalar("a text", (value) => value);

export const integer = scalar("a whole number", parseInteger);

/** The classic reads 0 and less as "not given". */
export function positiveOr(defaultValue: number) {
  return integer.transform((value) => (value > 0 ? value : defaultValue)).default(defaultValue);
}

export const natural = scalar("a whole number, 0 or more", (value) => {
  const number = parseInteger(value);
  return number !== undefined && number >= 0 ? number : undefined;
});

function parseInteger(value: string): number | undefined {
  if (!/^[+-]?\d[\d_]*$/.test(value)) return undefined;
  const number = Number(value.replaceAll("_", ""));
  return Number.isSafeInteger(number) ? number : undefined;
}

const durationForm = "a duration such as 30s, 10m or 168h";

/** In milliseconds. */
export const duration = z.unknown().transform((raw, context): number => {
  const value = typeof raw === "string" ? parseGoDuration(raw) : null;
  if (value !== null) return value;
  if (typeof raw === "string" && /^\d{1,18}$/.test(raw)) {
    const warning = `has no unit and is read as nanoseconds, as in the classic registry; expected ${durationForm}`;
    context.issues.push(healingIssue(raw, { warning, readAs: `${raw}ns` }));
  } else {
    context.issues.push({ code: "custom", input: raw, message: durationForm });
  }
  return z.NEVER;
});

/** For what happens again and again. */
export const interval = duration.refine((ms) => ms > 0, {
  message: `${durationForm}, more than 0`,
});

/** Bytes a second, more than 0. */
export const byteRate = scalar("bytes a second such as 20MB or 512KiB, more than 0", (value) => {
  const bytes = parseByteRate(value);
  return bytes !== null && bytes > 0 ? bytes : undefined;
});

/** One of some words, in any case of letters. */
export function oneOf<const W extends string>(...words: readonly W[]) {
  return scalar(`one of ${words.filter((word) => word !== "").join(", ")}`, (value) =>
    words.find((word) => word === value.toLowerCase()),
  );
}

export const regExp = z.unknown().transform((raw, context): RegExp => {
  let reason = "";
  if (typeof raw === "string") {
    try {
      return parseGoRegExp(raw);
    } catch (error) {
      reason = error instanceof Error ? `: ${error.message}` : "";
    }
  }
  const message = `a regular expression${reason}`;
  context.issues.push({ code: "custom", input: raw, message });
  return z.NEVER;
});

/** Accepted whatever it is, because it has no effect here. */
export const ignored = z.unknown().optional();
