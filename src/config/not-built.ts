// Keys of the classic that mean something which this registry cannot do yet. Configured, they are an
// error that says so: never silently ignored. Empty or switched off, they are accepted.
import { z } from "zod";
import { isRawMap } from "./raw-tree.ts";
import type { RawValue } from "./raw-tree.ts";
import { parseFlag } from "./value-schemas.ts";
import type { IssueHints } from "./value-schemas.ts";

const notBuiltHints: IssueHints = { sentence: true };

/** @param isOff whether what was written asks for nothing; by default, when all of it is empty. */
export function notBuilt(what: string, isOff: (raw: RawValue) => boolean = isEmpty) {
  return z
    .unknown()
    .superRefine((raw, context) => {
      if (isOff(raw as RawValue)) return;
      context.addIssue(notBuiltIssue(what, raw));
    })
    .optional();
}

export function notBuiltIssue(what: string, raw: unknown) {
  const message = `${what} is not built yet in this version; remove or disable it`;
  return { code: "custom" as const, input: raw, message, params: notBuiltHints };
}

/** Nothing in it but empty values, "false" and 0. */
export function isEmpty(raw: RawValue): boolean {
  if (raw === undefined) return true;
  if (typeof raw === "string") return raw === "" || raw === "0" || isFalse(raw);
  return (Array.isArray(raw) ? raw : Object.values(raw)).every(isEmpty);
}

function isFalse(raw: RawValue): boolean {
  return typeof raw === "string" && parseFlag(raw) === false;
}

/** `enabled` is absent or false. */
export function isNotEnabled(raw: RawValue): boolean {
  if (!isRawMap(raw)) return isEmpty(raw);
  const { enabled } = raw;
  return enabled === undefined || isFalse(enabled);
}

/** A list (or a map of lists) of which every item says `disabled: true`. */
export function isAllDisabled(raw: RawValue): boolean {
  if (isEmpty(raw)) return true;
  if (isRawMap(raw)) return Object.values(raw).every(isAllDisabled);
  if (!Array.isArray(raw)) return false;
  return raw.every((item) => isEmpty(item) || (isRawMap(item) && isTrue(item["disabled"])));
}

function isTrue(raw: RawValue): boolean {
  return typeof raw === "string" && parseFlag(raw) === true;
}

/** None of the keys that switch the section on has a value. */
export function lacks(...keys: readonly string[]): (raw: RawValue) => boolean {
  return (raw) => (isRawMap(raw) ? keys.every((key) => isEmpty(raw[key])) : isEmpty(raw));
}
