// Holds answers of the API against its own description: the operation is in it, the status is, and the body is
// what the schema says and has nothing beyond. Reads the document as any client would.
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

type Json = Record<string, unknown>;

interface Described {
  readonly responses: Record<string, { readonly content: Record<string, { schema: Json }> }>;
}

export interface OpenApi extends Json {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Described & { readonly operationId: string }>>;
  readonly components?: { readonly schemas: Record<string, Json> };
}

export class Description {
  readonly #ajv = new Ajv2020({ strict: true, allErrors: true });
  readonly #compiled = new Map<Json, ValidateFunction>();
  readonly #seen = new Set<string>();
  readonly #error: Json = { $ref: "#/components/schemas/Error" };

  constructor(readonly document: OpenApi) {
    this.#ajv.addFormat("date-time", (text) => new Date(text).toISOString() === text);
    // Of an answer everything has to be described.
    // (Switched off, the API has no description, and nothing of it is asked for.)
    const schemas = closed(document.components?.schemas ?? {}) as Json;
    this.#ajv.addSchema({ $id: "api", components: { schemas } });
    for (const keyword of ["components"]) this.#ajv.addKeyword(keyword);
  }

  /** "operationId status" of every answer that was checked. */
  get seen(): ReadonlySet<string> {
    return this.#seen;
  }

  /** @param path below the API's base, without the query. @throws what is not as it is described */
  check(
    asked: { readonly method: string; readonly path: string },
    status: number,
    body: unknown,
  ): void {
    const { method, path } = asked;
    const operation = this.#operationOf(method, path);
    if (operation === null) {
      if (status < 400) throw new Error(`${method} ${path} is not described and answers ${status}`);
      this.#checkBody(this.#error, body, `${method} ${path} ${status}`);
      return;
    }
    this.#seen.add(`${operation.operationId} ${status}`);
    const content = operation.responses[String(status)]?.content;
    if (content === undefined) {
      throw new Error(`${operation.operationId} answers ${status}, which is not described`);
    }
    const schema = content["application/json"]?.schema;
    if (schema === undefined) return;
    this.#checkBody(schema, body, `${operation.operationId} ${status}`);
  }

  /** The data of an event, which has the schema of another operation's answer. */
  checkAs(schemaName: string, body: unknown): void {
    this.#checkBody({ $ref: `#/components/schemas/${schemaName}` }, body, schemaName);
  }

  #operationOf(method: string, path: string): (Described & { operationId: string }) | null {
    for (const [template, methods] of Object.entries(this.document.paths)) {
      const pattern = template
        .replace("{name}", "(?:[^/]|/(?!-/))+")
        .replaceAll(/\{\w+\}/g, "[^/]+");
      if (new RegExp(`^${pattern}$`).test(path === "" ? "/" : path)) {
        return methods[method === "HEAD" ? "get" : method.toLowerCase()] ?? null;
      }
    }
    return null;
  }

  #checkBody(schema: Json, body: unknown, what: string): void {
    let validate = this.#compiled.get(schema);
    if (validate === undefined) {
      validate = this.#ajv.compile(absolute(schema) as Json);
      this.#compiled.set(schema, validate);
    }
    if (validate(body)) return;
    throw new Error(`${what}: ${this.#ajv.errorsText(validate.errors)}: ${JSON.stringify(body)}`);
  }
}

/** References within the document lead to the schemas that were added under its name. */
function absolute(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/'));
}

/** Objects with named members have no others. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, closed(value)]),
  );
  return "properties" in copy && copy["type"] === "object"
    ? { additionalProperties: false, ...copy }
    : copy;
}
