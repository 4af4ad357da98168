// The words in which a wrong or unknown key is reported: key, value, what was expected.
// Never shows the value of a secret.
import type { z } from "zod";
import { isSecretKey, maskLogin } from "./secrets.ts";
import { dotted, isRawMap, rawAt } from "./raw-tree.ts";
import type { RawMap, RawPath, RawValue } from "./raw-tree.ts";

const valueCharactersMax = 80;

export function describeProblem(
  issue: z.core.$ZodIssue,
  options: { readonly tree: RawMap; readonly sentence: boolean },
): string {
  const key = dotted(issue.path);
  if (options.sentence) return `${key}: ${issue.message}`;
  const raw = rawAt(options.tree, issue.path);
  const expected = expectation(issue);
  if (raw === undefined) return `${key} is missing; expected ${expected}`;
  return `${key}: ${maskedText(issue.path, raw)} is not valid; expected ${expected}`;
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_type") return issue.message;
  if (issue.expected === "array") return "a list";
  const keyed = issue.expected === "object" || issue.expected === "record";
  return keyed ? "keys and values below it" : String(issue.expected);
}

/** The value as it can be shown: shortened, and not at all when it is a secret. */
export function maskedText(path: RawPath, raw: RawValue): string {
  // The names of the kinds of access (auth.token, auth.htpasswd) say nothing of what is below them.
  const named = path[0] === "auth" ? path.slice(2) : path;
  // Sent to somebody else's server: any header may be what it knows us by.
  const isOurs = path[0] !== "notifications" && path[0] !== "health";
  const isSecret = (key: string): boolean => isSecretKey(key) || (key === "headers" && !isOurs);
  if (named.some((key) => isSecret(String(key)))) return "(a secret)";
  const shown =
    JSON.stringify(raw, (key, value: unknown) => shownValue(value, isSecret(key))) ?? "";
  return shown.length <= valueCharactersMax ? shown : `${shown.slice(0, valueCharactersMax)}…`;
}

function shownValue(value: unknown, isSecret: boolean): unknown {
  if (isSecret) return "…";
  return typeof value === "string" ? maskLogin(value) : value;
}

/** Names the key; where the key before it is empty, the indentation has probably slipped. */
export function unknownKeyText(tree: RawMap, path: RawPath): string {
  const text = `${dotted(path)} is not a known key and is ignored`;
  const key = String(path.at(-1));
  const holder = rawAt(tree, path.slice(0, -1));
  if (!isRawMap(holder)) return text;
  const keys = Object.keys(holder);
  const empty = keys.slice(0, keys.indexOf(key)).findLast((name) => holder[name] === undefined);
  if (empty === undefined) return text;
  const meant = dotted([...path.slice(0, -1), empty, key]);
  return `${text}; if ${meant} is meant, indent it further`;
}
