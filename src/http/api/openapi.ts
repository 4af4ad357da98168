// The OpenAPI 3.1 document, made from the table of operations and the schemas that check requests. Nothing is
// said here that is not done there.
import { z } from "zod";
import { changeHeader } from "./changes.ts";
import type { Operation } from "./operation.ts";
import { namedSchemas } from "./schemas.ts";

type Json = Record<string, unknown>;

const schemaPath = (id: string): string => `#/components/schemas/${id}`;

/** @param base the path of the API, without a slash at its end. */
export function openApiDocument(
  operations: readonly Operation[],
  { base, version }: { readonly base: string; readonly version: string },
): Json {
  const paths: Record<string, Json> = {};
  for (const one of operations) {
    paths[one.path] = { ...paths[one.path], [one.method.toLowerCase()]: operationObject(one) };
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Plimsoll",
      version,
      summary: "See, bound and win back the space of a container registry.",
      description:
        "Beside the OCI endpoints under /v2/. A repository's name stands in a path as it is or with its slashes encoded; what belongs to it follows after `/-/`. Lists come in pages: follow `next`. Errors have one form. Requests that change something carry the header `X-Plimsoll`.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: base }],
    tags: [...new Set(operations.map(({ group }) => group))].map((name) => ({ name })),
    paths,
    components: { schemas: componentSchemas() },
  };
}

function componentSchemas(): Json {
  const { schemas } = z.toJSONSchema(namedSchemas, { uri: schemaPath });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [id, opened(bare(schema))]),
  );
}

/** What is answered may have more members in a later version; what is asked for may not. */
function opened(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(opened);
  if (typeof schema !== "object" || schema === null) return schema;
  const entries = Object.entries(schema).filter(
    ([key, value]) => key !== "additionalProperties" || value !== false,
  );
  return Object.fromEntries(entries.map(([key, value]) => [key, opened(value)]));
}

/** Without what only a schema in a file of its own needs. */
function bare(schema: object): Json {
  const { $schema: _, $id: __, ...rest } = schema as Json;
  return rest;
}

function schemaObject(schema: z.ZodType): Json {
  const id = namedSchemas.get(schema)?.id;
  return id === undefined
    ? bare(z.toJSONSchema(schema, { io: "input" }))
    : { $ref: schemaPath(id) };
}

function operationObject(one: Operation): Json {
  const parameters = [
    ...pathParameters(one.path),
    ...queryParameters(one.query),
    ...(one.method === "GET" ? [] : [changeParameter]),
  ];
  return {
    operationId: one.id,
    tags: [one.group],
    summary: one.summary,
    ...(one.description === undefined ? {} : { description: one.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(one.body === null ? {} : { requestBody: bodyObject(one.body) }),
    responses: responsesOf(one),
  };
}

function bodyObject(schema: z.ZodObject): Json {
  const required = !schema.safeParse({}).success;
  return { required, content: { "application/json": { schema: schemaObject(schema) } } };
}

const changeParameter = {
  name: changeHeader,
  in: "header",
  required: true,
  description: "Any value, `1` say: a form on another page cannot send it.",
  schema: { type: "string", minLength: 1 },
};

const pathTexts: Readonly<Record<string, string>> = {
  name: "A repository's name; its slashes may be encoded.",
  reference: "A tag or a digest.",
  tag: "A tag.",
  id: "A number.",
};

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    description: pathTexts[name] ?? name,
    schema: { type: "string" },
  }));
}

function queryParameters(query: z.ZodObject | null): Json[] {
  if (query === null) return [];
  return Object.entries(query.shape).map(([name, schema]) => {
    const { description, ...rest } = schemaObject(schema as z.ZodType);
    const required = !(schema as z.ZodType).safeParse(undefined).success;
    return { name, in: "query", required, description: description ?? name, schema: rest };
  });
}

const refusalTexts: Readonly<Record<number, string>> = {
  400: "A parameter, the body or the path is not valid.",
  401: "A login is needed, or the password is wrong (where `auth` is configured).",
  403: "The user may not; or read-only, deleting is disabled, an immutable tag, a quota, or a change without its header.",
  404: "There is no such thing.",
  405: "No such method here.",
  408: "The body did not arrive in time.",
  409: "Not as things are now.",
  410: "It was, and is gone for good.",
  413: "The body is too large.",
  415: "The body is not application/json.",
  429: "A limit of `http.limits`, or many reports being made: see Retry-After.",
  500: "The log says more.",
  503: "Come again: see Retry-After.",
  507: "The disk is full: collect, and try again.",
};

function responsesOf(one: Operation): Json {
  const { answer, method } = one;
  const reading = [400, 401, 403, 429, 500, 503];
  const always = method === "GET" ? reading : [...reading, 408, 413, 415, 507];
  const statuses = [...new Set([...always, ...one.refusals])].sort((a, b) => a - b);
  const content =
    answer.schema === null
      ? { "text/event-stream": { schema: { type: "string" } } }
      : { "application/json": { schema: schemaObject(answer.schema) } };
  const responses: Json = {
    [String(answer.status)]: { description: answer.description, content },
  };
  for (const status of statuses) {
    responses[String(status)] = {
      description: refusalTexts[status] ?? "Refused.",
      content: { "application/json": { schema: { $ref: schemaPath("Error") } } },
    };
  }
  return responses;
}
