// Reads `n` and `last` of a list request and writes the Link header to the next page.
// Source: distribution-spec, "Content Discovery"; RFC 8288.
import { PaginationNumberInvalidError } from "../oci/index.ts";
import type { Call, Env } from "./context.ts";
import { queryValue } from "./target.ts";

export interface PageQuery {
  /** How many entries are asked for; null: not said. */
  readonly n: number | null;
  readonly last: string | null;
}

/** @throws PaginationNumberInvalidError when `n` is not a whole number from 0. */
export function parsePageQuery(query: string): PageQuery {
  const last = queryValue(query, "last");
  const n = queryValue(query, "n");
  if (n !== null && n !== "" && !/^\d{1,15}$/.test(n)) throw pageNumberInvalid(n);
  return { n: n === null || n === "" ? null : Number(n), last: last === "" ? null : last };
}

export function pageNumberInvalid(n: string | number, most?: number): PaginationNumberInvalidError {
  const expected = most === undefined ? "a whole number from 0" : `at most ${most}`;
  const given = String(n).slice(0, 40);
  return new PaginationNumberInvalidError(`n=${given} cannot be answered; expected ${expected}`, {
    detail: { n },
  });
}

/** Without scheme and host, like the classic registry's: clients resolve it against the URL they asked. */
export function nextLink(
  env: Env,
  call: Call,
  parameters: Readonly<Record<string, string>>,
): string {
  const path = env.locations.path(call.path);
  return `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"`;
}
