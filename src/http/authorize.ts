// What a request needs, by its route and method, and the answer to who may not: before anything is
// looked up, so that it never tells what exists. Source: the classic registry's app.go, "authorized";
// docs/access.md has the table.
import { isRepositoryName, type RepositoryName } from "../oci/index.ts";
import type { Challenge, Grant, RepositoryAction, Wanted } from "../registry/ports/access.ts";
import type { Access, Env } from "./context.ts";
import { credentialsOf } from "./credentials.ts";
import { HttpError } from "./http-error.ts";
import type { Route } from "./route.ts";
import { queryValue } from "./target.ts";

export interface Asked {
  readonly request: Request;
  readonly query: string;
  readonly route: Route;
  /** The address: nobody is known yet. */
  readonly caller: string;
}

const toPull: readonly RepositoryAction[] = ["pull"];
const toPush: readonly RepositoryAction[] = ["pull", "push"];
const toDelete: readonly RepositoryAction[] = ["delete"];

/** Null: nothing is needed here. @throws HttpError 401 or 403, UnavailableError, TooManyRequestsError */
export async function authorize(env: Env, access: Access, asked: Asked): Promise<Grant | null> {
  const wanted = wantedBy(asked);
  if (wanted === null) return null;
  const { request, caller } = asked;
  return await granted(env, access, { request, wanted, caller });
}

/** @throws HttpError 401 or 403, UnavailableError, TooManyRequestsError */
export async function granted(
  env: Env,
  access: Access,
  asked: {
    readonly request: Request;
    readonly wanted: readonly Wanted[];
    readonly caller: string;
    /** People ask, whose programs know no token servers: browsers, curl. */
    readonly byPassword?: true;
  },
): Promise<Grant> {
  const { request, wanted, caller } = asked;
  const { controller } = access;
  const credentials = credentialsOf(request.headers.get("authorization"));
  const decision = await env.limits.logins.pass(
    { caller, credentials, controller },
    () => controller.decide(credentials, wanted),
    ({ kind }) => kind === "challenge",
  );
  if (decision.kind === "granted") return decision.grant;
  if (decision.kind === "denied") throw denied(decision.user, wanted);
  const { passwordRealm } = access.controller;
  const challenge: Challenge =
    asked.byPassword === true && passwordRealm !== null
      ? { scheme: "basic", realm: passwordRealm }
      : decision.challenge;
  throw new HttpError("authentication required", {
    status: 401,
    code: "UNAUTHORIZED",
    headers: { "WWW-Authenticate": challengeText(env, request, challenge) },
    detail: classicDetail(wanted),
  });
}

/** Null: everybody may, as in the classic. */
function wantedBy({ request, query, route }: Asked): readonly Wanted[] | null {
  switch (route.kind) {
    case "root":
    case "none":
      return null;
    case "base":
      return [];
    case "catalog":
      return [{ kind: "catalog" }];
    case "upload":
      // Somebody's push, whatever is done with it.
      return [{ kind: "repository", repository: route.repository, actions: toPush }];
    case "uploads":
      return [
        { kind: "repository", repository: route.repository, actions: toPush },
        ...mountSource(query, route.repository),
      ];
    case "manifest":
    case "blob":
    case "tags":
    case "referrers": {
      const actions = actionsOf(request.method);
      return actions === null
        ? []
        : [{ kind: "repository", repository: route.repository, actions }];
    }
  }
}

function mountSource(query: string, target: RepositoryName): readonly Wanted[] {
  const from = queryValue(query, "from");
  if (from === null || from === target || !isRepositoryName(from)) return [];
  return [{ kind: "repository", repository: from, actions: toPull, isOptional: true }];
}

/** Null: a method that does nothing here; it is enough to be known. */
function actionsOf(method: string): readonly RepositoryAction[] | null {
  if (method === "GET" || method === "HEAD") return toPull;
  if (method === "DELETE") return toDelete;
  return method === "POST" || method === "PUT" || method === "PATCH" ? toPush : null;
}

function denied(user: string, wanted: readonly Wanted[]): HttpError {
  const what = wanted
    .filter((one) => one.kind !== "repository" || one.isOptional !== true)
    .map((one) =>
      one.kind === "repository"
        ? `${one.actions.join(" and ")} in ${one.repository}`
        : one.kind === "admin"
          ? "administer the registry"
          : "list the repositories",
    );
  return new HttpError(
    `requested access to the resource is denied: ${user} may not ${what.join(", ")}`,
    { status: 403, code: "DENIED", detail: classicDetail(wanted), user },
  );
}

/** What was needed, in the classic's form; null for nothing. */
function classicDetail(wanted: readonly Wanted[]): readonly object[] | null {
  const records = wanted.flatMap((one): readonly object[] => {
    if (one.kind !== "repository") {
      return [{ Type: "registry", Class: "", Name: one.kind, Action: "*" }];
    }
    return one.actions.map((action) => {
      return { Type: "repository", Class: "", Name: one.repository, Action: action };
    });
  });
  return records.length === 0 ? null : records;
}

/** Parameters in the classic's order; clients have been seen to depend on less. */
function challengeText(env: Env, request: Request, challenge: Challenge): string {
  if (challenge.scheme === "basic") return `Basic realm=${quoted(challenge.realm)}`;
  const { path, service, scope, error } = challenge;
  const realm = challenge.realm ?? env.locations.absolute(request, path);
  const parts = [`realm=${quoted(realm)}`, `service=${quoted(service)}`];
  if (scope !== "") parts.push(`scope=${quoted(scope)}`);
  if (error !== null) parts.push(`error=${quoted(error)}`);
  return `Bearer ${parts.join(",")}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
