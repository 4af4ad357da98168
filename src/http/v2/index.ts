// The endpoints of the OCI API, by route, and what is asked of a request before its handler runs:
// a known method, a registry that takes writes, deletions that are enabled.
import type { Call, Endpoint, Env, Method } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { type Reply, emptyReply } from "../reply.ts";
import type { Route } from "../route.ts";
import { baseEndpoint, rootEndpoint } from "./base.ts";
import { blobEndpoint } from "./blobs.ts";
import { catalogEndpoint } from "./catalog.ts";
import { manifestEndpoint } from "./manifests.ts";
import { referrersEndpoint } from "./referrers.ts";
import { tagsEndpoint } from "./tags.ts";
import { uploadEndpoint, uploadsEndpoint } from "./uploads.ts";

/** Of each kind of route. test/authz asks every method of each on behalf of every kind of caller. */
export const endpoints = {
  manifest: manifestEndpoint,
  blob: blobEndpoint,
  upload: uploadEndpoint,
  uploads: uploadsEndpoint,
  tags: tagsEndpoint,
  referrers: referrersEndpoint,
  catalog: catalogEndpoint,
  base: baseEndpoint,
  root: rootEndpoint,
} as const satisfies Readonly<Record<Exclude<Route["kind"], "none">, object>>;

export function handleV2(env: Env, call: Call, route: Route): Reply | Promise<Reply> {
  switch (route.kind) {
    case "manifest":
      return run(endpoints.manifest, route, { env, call });
    case "blob":
      return run(endpoints.blob, route, { env, call });
    case "upload":
      return run(endpoints.upload, route, { env, call });
    case "uploads":
      return run(endpoints.uploads, route, { env, call });
    case "tags":
      return run(endpoints.tags, route, { env, call });
    case "referrers":
      return run(endpoints.referrers, route, { env, call });
    case "catalog":
      return run(endpoints.catalog, route, { env, call });
    case "base":
      return run(endpoints.base, route, { env, call });
    case "root":
      return run(endpoints.root, route, { env, call });
    case "none":
      throw new HttpError("there is nothing at this path", { status: 404, code: "UNSUPPORTED" });
  }
}

function run<R extends Route>(
  endpoint: Endpoint<R>,
  route: R,
  given: { readonly env: Env; readonly call: Call },
): Reply | Promise<Reply> {
  const { env, call } = given;
  const { method } = call.request;
  const handle = endpoint.methods[method as Method];
  const reads = method === "GET" || method === "HEAD";
  if (handle !== undefined && reads) return handle(env, call, route);
  const allow = allowed(env, endpoint);
  if (method === "OPTIONS") return emptyReply(200, { Allow: allow });
  if (handle === undefined) {
    throw notAllowed(`${method.slice(0, 20)} is not supported here`, allow);
  }
  if (env.options.readOnly) {
    throw notAllowed(
      "the registry is read-only (storage.maintenance.readonly.enabled is true); pulls go on",
      allow,
    );
  }
  if (method === "DELETE" && endpoint.deletes === true && !env.options.deleteEnabled) {
    throw notAllowed(
      "deleting is disabled; set storage.delete.enabled to true in the configuration to enable it",
      allow,
    );
  }
  return handle(env, call, route);
}

function notAllowed(message: string, allow: string): HttpError {
  return new HttpError(message, { status: 405, code: "UNSUPPORTED", headers: { Allow: allow } });
}

/** What the endpoint takes with these settings. */
function allowed<R>(env: Env, endpoint: Endpoint<R>): string {
  const { readOnly, deleteEnabled } = env.options;
  return Object.keys(endpoint.methods)
    .filter((method) => !readOnly || method === "GET" || method === "HEAD")
    .filter((method) => method !== "DELETE" || endpoint.deletes !== true || deleteEnabled)
    .sort()
    .join(", ");
}
