// Right requests of the JSON API, made from the description that the server itself gives out: so an
// operation that is added is fuzzed too. Also those of the token endpoint.
import { type Asked, withHeaders } from "./asked.ts";
import type { Chance } from "./chance.ts";
import { nastyJson } from "./manifests.ts";
import { nastyDigests, nastyNames, nastyNumbers, nastyTags, secretMark } from "./nasty.ts";
import { Violation } from "./oracle.ts";
import type { Shot } from "./session.ts";
import { plainRequest, playground, type Player } from "./valid.ts";

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema?: Schema;
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: Schema }>> };
}

export interface ApiOperation {
  readonly method: string;
  /** As the description writes it, with names in braces. */
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Schema | null;
}

/** @param text the description */
export function operationsOf(text: string): readonly ApiOperation[] {
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, Operation>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      // A stream of events has no end; it has shots of its own.
      .filter(() => !path.endsWith("/events"))
      .map(([method, { parameters = [], requestBody }]) => ({
        method: method.toUpperCase(),
        path,
        parameters,
        body: requestBody?.content["application/json"]?.schema ?? null,
      })),
  );
}

/** How often: what reads or rewrites the whole registry seldom. */
function weightOf({ path }: ApiOperation): number {
  return /start|stop|apply|preview|\/usage/.test(path) ? 1 : 4;
}

export function apiShot(player: Player, operations: readonly ApiOperation[]): Shot {
  const { chance, prefix, session } = player;
  const operation = chance.weighted(operations.map((one) => [weightOf(one), one]));
  const repository = chance.percent(75) ? chance.pick(playground) : chance.pick(nastyNames);
  const held = session.of(repository);
  const values: Readonly<Record<string, string>> = {
    name: chance.percent(50) ? repository : encodeURIComponent(repository.toWellFormed()),
    reference: chance.percent(80)
      ? chance.pick([...held.manifests, ...held.tags, "latest"])
      : chance.pick([...nastyDigests, ...nastyTags]),
    tag: chance.percent(80) ? chance.pick([...held.tags, "latest"]) : chance.pick(nastyTags),
  };
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => values[name] ?? "x");
  const parameters = operation.parameters
    .filter((one) => one.in === "query" && chance.percent(50))
    .map(
      ({ name, schema = {} }) => `${name}=${encodeURIComponent(queryText(player, name, schema))}`,
    );
  const query = parameters.length === 0 ? "" : `?${parameters.join("&")}`;
  const body =
    operation.body === null || chance.percent(20)
      ? null
      : Buffer.from(JSON.stringify(valueOf(player, operation.body, "body")));
  const target = `${prefix}/api/v1${path === "/" ? "" : path}${query}`.replaceAll(/[\r\n ]/g, "");
  let asked: Asked = plainRequest(operation.method, target, body);
  if (body !== null) asked = withHeaders(asked, ["Content-Type", "application/json"]);
  if (operation.method !== "GET") asked = withHeaders(asked, ["X-Plimsoll", "1"]);
  return { asked };
}

/** The stream of what a collection does, which is left again. */
export function eventsShot({ prefix }: Player): Shot {
  return { asked: plainRequest("GET", `${prefix}/api/v1/collection/events`) };
}

function queryText(player: Player, name: string, schema: Schema): string {
  const { chance, session } = player;
  if (name === "cursor") return cursor(chance, session.cursors);
  if (name === "of" || name === "repositories" || name === "repository" || name === "search") {
    return chance.pick([
      ...playground,
      "play/**",
      "!play/**",
      "{a,{b,{c",
      "[",
      "**",
      "play/a:latest",
    ]);
  }
  if (chance.percent(30)) return chance.pick([...nastyNumbers, ...nastyNames]).toWellFormed();
  const value = valueOf(player, schema, name);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** One that a list gave out, one that is bent, one that is made up. */
function cursor(chance: Chance, given: readonly string[]): string {
  const right = given.length === 0 ? "WyJhIl0" : chance.pick(given);
  const made = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return chance.pick([
    () => right,
    () => chance.garble(right).toWellFormed(),
    () => made([chance.pick<unknown>([null, -1, 2 ** 60, "x", {}, [], "\0", "\ud800"])]),
    () => made([chance.below(1_000_000), "play/a"]),
    () => made({ length: 1 }),
    () => made(Array.from({ length: 100 }, () => 1)),
    () => Buffer.from(nastyJson(chance).slice(0, 700)).toString("base64url"),
  ])();
}

function valueOf(player: Player, schema: Schema, name: string): unknown {
  const { chance, session } = player;
  if (chance.percent(6)) return chance.pick<unknown>([null, -1, 1.5, "", [], {}, "x", 2 ** 60]);
  if (schema.enum !== undefined) return chance.pick(schema.enum);
  switch (schema.type) {
    case "object": {
      const named = Object.entries(schema.properties ?? {}).filter(() => chance.percent(60));
      const members = named.map(([key, inner]) => [key, valueOf(player, inner, key)] as const);
      return Object.fromEntries(chance.percent(5) ? [...members, ["more", 1]] : members);
    }
    case "array":
      return Array.from({ length: chance.below(4) }, () =>
        valueOf(player, schema.items ?? {}, name),
      );
    case "boolean":
      return chance.percent(50);
    case "integer":
    case "number":
      return name === "id" && session.deletionIds.length > 0
        ? chance.pick(session.deletionIds)
        : (schema.minimum ?? 0) + chance.below(100);
    default: {
      const repository = chance.pick(playground);
      const held = session.of(repository);
      if (name === "digest") return chance.pick([...held.manifests, ...nastyDigests]);
      if (name === "tag") return chance.pick([...held.tags, "latest", ...nastyTags]);
      return chance.percent(70) ? repository : chance.pick(nastyNames);
    }
  }
}

const scopes = [
  "repository:play/a:pull,push",
  "repository:play/a:pull,push,delete repository:play/b:pull",
  "registry:catalog:*",
  "repository:../..:pull",
  "repository::",
  ":::",
  "repository(plugin):a:*",
  `repository:${"a".repeat(3_000)}:pull`,
  "registry:admin:*",
  "é:é:é",
];

/** The registry's own token endpoint; elsewhere there is nothing, which is an answer too. */
export function tokenShot({ chance, prefix }: Player): Shot {
  const asked = Array.from({ length: chance.pick([0, 1, 1, 2, 100]) }, () => {
    return `scope=${encodeURIComponent(chance.pick(scopes))}`;
  });
  const path = `${prefix}/auth/token`;
  if (chance.percent(60)) {
    const query = ["service=plimsoll", ...asked.slice(0, 60)].join("&").slice(0, 6_000);
    return { asked: plainRequest("GET", `${path}?${query}`) };
  }
  const grant = chance.pick(["password", "password", "refresh_token", "", "é"]);
  const user = chance.pick(["alice", "ci", "", "nobody", "é", "a:b", "x".repeat(20_000)]);
  const password =
    secretMark + chance.pick(["", "\0", ":", "é", "p".repeat(50_000), "p".repeat(100_000)]);
  const login = `username=${encodeURIComponent(user)}&password=${encodeURIComponent(password)}`;
  const body = Buffer.from(
    [`grant_type=${grant}`, "client_id=fuzz", "service=plimsoll", login, ...asked].join("&"),
  );
  const type = "application/x-www-form-urlencoded";
  return {
    asked: withHeaders(plainRequest("POST", path, body), ["Content-Type", type]),
    heard: ({ status }) => {
      if (status < 300) throw new Violation(`${status} to a form with a wrong password`);
    },
  };
}
