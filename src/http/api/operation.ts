// What an operation of the API is: its place, what it takes, what it answers, what it does. The table of them
// routes requests and makes the OpenAPI document, so that the two cannot differ.
import { z } from "zod";
import {
  parseRepositoryName,
  type Reference,
  type RepositoryName,
  UnavailableError,
} from "../../oci/index.ts";
import type { Actor } from "../../registry/audit.ts";
import type { Grant } from "../../registry/ports/access.ts";
import type { Env } from "../context.ts";
import { type HeaderFields, jsonReply, type Reply } from "../reply.ts";
import { parseKnownReference } from "../route.ts";
import { ApiError } from "./api-error.ts";
import { readJsonBody } from "./body.ts";
import { cursorLengthMax } from "./cursor.ts";
import type { EventFeed } from "./event-feed.ts";
import type { ApiParts } from "./ports.ts";
import type { Turnstile } from "../turnstile.ts";

export interface ApiCall {
  readonly request: Request;
  /** With the prefix, as it came. */
  readonly path: string;
  readonly query: string;
  /** Who asks: the user, or else the address. */
  readonly caller: string;
  /** What whoever asks may do; null: everything. */
  readonly grant: Grant | null;
  /** Whether whoever asks would be let in now, for what takes long. Never rejects. */
  readonly mayStill: () => Promise<boolean>;
  /** "address:port", or "unix". */
  readonly remote: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly env: Env;
  readonly api: ApiParts;
  readonly feed: EventFeed;
  /** What walks over the whole registry goes through here. */
  readonly reports: Turnstile;
  /** What fails now; empty when all is well. */
  readonly failing: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly description: string;
  /** Null: server-sent events, each of which has `events` as its data. */
  readonly schema: z.ZodType | null;
  readonly events?: z.ZodType;
}

export interface Operation {
  readonly id: string;
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly group: string;
  readonly summary: string;
  readonly description?: string;
  readonly query: z.ZodObject | null;
  readonly body: z.ZodObject | null;
  readonly answer: Answer;
  /** Statuses of refusals, beyond those that every operation may have. */
  readonly refusals: readonly number[];
  /** `deleting`: only with `storage.delete.enabled`; both: not in read-only mode. Null: see the handler. */
  readonly needs: "deleting" | "writing" | null;
  /** Who did what is logged where it is done; here only what is refused. */
  readonly isAudited: boolean;
  readonly run: (call: ApiCall) => Promise<Reply>;
}

interface Definition<Query extends z.ZodObject, Body extends z.ZodObject> extends Omit<
  Partial<Operation>,
  "run" | "query" | "body"
> {
  readonly id: string;
  readonly path: string;
  readonly group: string;
  readonly summary: string;
  readonly query?: Query;
  readonly body?: Body;
  readonly answer: Answer;
  readonly handle: (
    call: ApiCall,
    given: { readonly query: z.output<Query>; readonly body: z.output<Body> },
  ) => Reply | Promise<Reply>;
}

const nothing = z.strictObject({});

/** Reads and checks what the operation takes, and hands it on. */
export function operation<
  Query extends z.ZodObject = typeof nothing,
  Body extends z.ZodObject = typeof nothing,
>(definition: Definition<Query, Body>): Operation {
  const { handle, ...said } = definition;
  const {
    method = "GET",
    refusals = [],
    needs = null,
    isAudited = false,
    query = null,
    body = null,
  } = said;
  return {
    ...said,
    method,
    refusals,
    needs,
    isAudited,
    query,
    body,
    run: async (call) => {
      const readQuery = checked(query ?? nothing, queryIn(call.query), "INVALID_PARAMETER");
      const given = method === "POST" ? await readJsonBody(call.request) : {};
      const readBody = checked(body ?? nothing, given, "INVALID_BODY");
      return await handle(call, {
        query: readQuery as z.output<Query>,
        body: readBody as z.output<Body>,
      });
    },
  };
}

/** @throws ApiError for a parameter that is given twice. */
function queryIn(query: string): Record<string, string> {
  // Without a prototype: `__proto__` is a name like any other, and not known.
  const values = Object.create(null) as Record<string, string>;
  for (const [key, value] of new URLSearchParams(query)) {
    if (Object.hasOwn(values, key)) {
      throw new ApiError("INVALID_PARAMETER", `${key.slice(0, 80)}: given more than once`);
    }
    values[key] = value;
  }
  return values;
}

function checked(
  schema: z.ZodType,
  value: unknown,
  code: "INVALID_PARAMETER" | "INVALID_BODY",
): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => problemOf(issue, value));
  throw new ApiError(code, problems.slice(0, 5).join("; "));
}

function problemOf(issue: z.core.$ZodIssue, whole: unknown): string {
  if (issue.code === "unrecognized_keys") {
    return `${issue.keys.map((key) => key.slice(0, 80)).join(", ")}: not known here`;
  }
  const key = issue.path.join(".");
  const given = textAt(whole, issue.path);
  if (issue.code === "invalid_type" && given === null) {
    return `${key} is missing; expected: ${issue.expected}`;
  }
  const input = given === null ? "" : ` (given: ${given})`;
  return `${key === "" ? "" : `${key}: `}${issue.message}${input}`;
}

/** As it came, before anything was read into it; null: nothing is there. */
function textAt(whole: unknown, path: readonly PropertyKey[]): string | null {
  let value = whole;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  return value === undefined ? null : JSON.stringify(value).slice(0, 80);
}

const limitMax = 1_000;
const limitDefault = 100;
const limitForm = `expected a whole number from 1 to ${limitMax}`;

/** Of every list. */
export const pageQuery = {
  limit: z.coerce
    .number(limitForm)
    .int(limitForm)
    .min(1, limitForm)
    .max(limitMax, limitForm)
    .default(limitDefault)
    .describe("Entries of one page, at most."),
  cursor: z
    .string()
    .max(cursorLengthMax)
    .optional()
    .describe("Where to go on: from `next` of the page before, with the same other parameters."),
};

/** A page with its way to the next, in the document and as a Link header. `cursor` null: the last one. */
export function pageReply(call: ApiCall, items: readonly unknown[], cursor: string | null): Reply {
  const next = cursor === null ? null : nextTarget(call, cursor);
  const headers: HeaderFields = next === null ? {} : { Link: `<${next}>; rel="next"` };
  return jsonReply(200, { items, next }, headers);
}

/** Without scheme and host: clients resolve it against the URL that they asked. */
function nextTarget(call: ApiCall, cursor: string): string {
  const parameters = new URLSearchParams(call.query);
  parameters.set("cursor", cursor);
  return `${call.env.locations.path(call.path)}?${parameters.toString()}`;
}

/** The repository that the path names. @throws NameInvalidError */
export function repositoryOf(call: ApiCall): RepositoryName {
  return parseRepositoryName(call.parameters["name"] ?? "");
}

/** What is deleted and restored by the index has to know all that the tree has (INV-8). @throws UnavailableError */
export function requireAgreement({ api }: ApiCall): void {
  if (api.isAgreed()) return;
  throw new UnavailableError(
    "index and tree are being compared since the start; try again when isIndexChecked is true",
  );
}

/** Who asks, and from where: the connection, and the program as it calls itself. */
export function actorOf({ caller, remote, request }: ApiCall): Actor {
  const agent = (request.headers.get("user-agent") ?? "").slice(0, agentLengthMax);
  return { caller, from: agent === "" ? remote : `${remote} ${agent}` };
}

const agentLengthMax = 200;

/** The tag or digest that the path names. @throws DigestInvalidError, ManifestUnknownError */
export function referenceOf(call: ApiCall): Reference {
  return parseKnownReference(call.parameters["reference"] ?? "");
}
