// One request from its arrival to its answer: route, health, handler, errors, headers, log.
// Never throws: whatever goes wrong becomes an answer in the OCI error form.
import type { Clock } from "../registry/ports/clock.ts";
import { limitOf } from "./limits/refusal.ts";
import { pacedReply } from "./limits/paced-body.ts";
import type { Api, ApiOutcome, ApiRequest } from "./api/index.ts";
import { authorize } from "./authorize.ts";
import type { Call, Env } from "./context.ts";
import { type Failure, failureOf } from "./error-response.ts";
import type { HealthChecks, LogFields, Logger, PullListener, RequestObserver } from "./ports.ts";
import { HttpError } from "./http-error.ts";
import { answerNotified, forOrigin, nameActor, originOf } from "./notified.ts";
import { type Asked, type HeaderFields, type Reply, toResponse, writtenBytesOf } from "./reply.ts";
import { ClientAddresses } from "./client-address.ts";
import type { Connection } from "./connection.ts";
import type { RequestLog } from "./request-log.ts";
import { type Route, parseRoute } from "./route.ts";
import { splitTarget } from "./target.ts";
import type { Stopping } from "./stopping.ts";
import { isTokenPath, issueToken } from "./token-endpoint.ts";
import { handleV2 } from "./v2/index.ts";

export interface HandlerParts {
  readonly env: Env;
  /** Null: switched off. */
  readonly api: Api | null;
  readonly common: HeaderFields;
  readonly health: HealthChecks;
  readonly log: RequestLog;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Null: nobody counts. */
  readonly observer: RequestObserver | null;
  /** Null: nobody is to be notified. May change between two requests. */
  readonly pulls: PullListener | null;
  readonly stopping: Stopping;
}

/** @param isApiPath the path that the client wrote is one of the API's. */
export type Handler = (
  request: Request,
  connection: Connection,
  isApiPath?: boolean,
) => Promise<Response>;

export function createHandler(parts: HandlerParts): Handler {
  const { env, api, common, log, clock, observer, stopping } = parts;
  const clients = new ClientAddresses(env.options.trustedProxies);
  return async (request, connection, isApiPath = false) => {
    const begunMs = performance.now();
    observer?.begun();
    const { requestId, asked: to } = identified(request);
    const { path, query } = splitTarget(request.url);
    const { address: remoteAddress, remote, caller } = clients.of(request.headers, connection.peer);
    const visitor = env.limits.visitor(caller);
    const isApi = api?.serves(path) === true && !stopping.isOn;
    connection.begins(isApi || visitor !== null || mayTakeTime(request.method, path));
    const asked = { request, path, query, caller, remote, visitor, requestId };
    const { reply, route, user, failure, error } = isApi
      ? await answerApi({ api, env, pulls: parts.pulls }, { ...asked, isAsWritten: isApiPath })
      : await answerOci(parts, asked, connection);
    if (failure !== null) {
      const fields = { path, "http.request.id": requestId };
      tellFailure(parts, { error, kind: failure.kind }, fields);
    }
    const durationMs = performance.now() - begunMs;
    observer?.completed({
      kind: isApi ? "api" : (route?.kind ?? "none"),
      method: request.method,
      status: reply.status,
      durationMs,
      writtenBytes: writtenBytesOf(request.method, reply),
      path,
      requestId,
      headers: request.headers,
    });
    log.completed({
      request,
      requestId,
      uri: query === "" ? path : `${path}?${query}`,
      remoteAddress,
      remote,
      user,
      route,
      reply,
      failure,
      timeMs: clock.now(),
      durationMs,
    });
    connection.answering(reply);
    return stopping.answered(toResponse(reply, to, common));
  };
}

interface Outcome extends ApiOutcome {
  /** Null: one of the API, or refused before its path was looked at. */
  readonly route: Route | null;
}

async function answerApi(
  { api, env, pulls }: Pick<HandlerParts, "env" | "pulls"> & { readonly api: Api },
  asked: ApiRequest,
): Promise<Outcome> {
  const answer = () => api.answer(asked);
  const outcome = await (pulls === null ? answer() : forOrigin(originOf(env, asked), answer));
  return { ...outcome, route: null };
}

/** A request of the OCI API, or for a token. Never rejects. */
async function answerOci(
  parts: HandlerParts,
  asked: Pick<Call, "request" | "path" | "query" | "caller" | "visitor"> & RequestSource,
  connection: Connection,
): Promise<Outcome> {
  const { env, health, stopping } = parts;
  const { request, path, query, caller, visitor } = asked;
  let route: Route | null = null;
  try {
    stopping.refuseNew();
    visitor?.enter(request.body !== null);
    route = parseRoute(path, env.options.prefix);
    if (route.kind !== "root") refuseWhileUnhealthy(health);
    const who = { caller, from: caller, grant: null, visitor, connection };
    const call = { request, path, query, ...who };
    const isPlain = parts.pulls === null && env.access === null && visitor === null;
    const { reply, user } = isPlain
      ? { reply: await handleV2(env, call, route), user: null }
      : await answerWatched(parts, { call, route }, asked);
    return { reply, user, route, failure: null, error: null };
  } catch (error) {
    const failure = failureOf(error);
    const user = error instanceof HttpError ? error.user : null;
    return { reply: failure.reply, user, route, failure, error };
  }
}

interface RequestSource {
  readonly requestId: string;
  /** As in the log: an address, and mostly a port. */
  readonly remote: string;
}

/** Where somebody is to be notified, not everybody may do everything, or what clients use is counted. */
async function answerWatched(
  { env, pulls }: HandlerParts,
  asked: { readonly call: Call; readonly route: Route },
  from: RequestSource,
): Promise<{ readonly reply: Reply; readonly user: string | null }> {
  const { call, route } = asked;
  const { visitor, request, connection } = call;
  const answer = () => answerGuarded(env, asked);
  const { reply, user } =
    pulls === null
      ? await answer()
      : await answerNotified({ env, call, route, pulls }, from, answer);
  if (visitor?.isSendingPaced !== true || !isDownload(route, request, reply)) {
    return { reply, user };
  }
  return { reply: await pacedReply(reply, visitor, connection), user };
}

/** Where not everybody may do everything, or somebody is to be notified. */
async function answerGuarded(
  env: Env,
  { call, route }: { readonly call: Call; readonly route: Route },
): Promise<{ readonly reply: Reply; readonly user: string | null }> {
  const { access } = env;
  if (access === null) return { reply: await handleV2(env, call, route), user: null };
  const { request, query } = call;
  if (isTokenPath(env, call.path)) {
    return { reply: await issueToken(env, access, call), user: null };
  }
  const grant = await authorize(env, access, { request, query, route, caller: call.caller });
  const user = grant?.user ?? null;
  call.visitor?.identify(user);
  nameActor(user);
  const reply = await handleV2(env, { ...call, caller: user ?? call.caller, grant }, route);
  return { reply, user };
}

/** A body is to arrive, or one that arrives is waited for. */
function mayTakeTime(method: string, path: string): boolean {
  return (method !== "GET" && method !== "HEAD") || path.includes("/uploads/");
}

function tellFailure(
  { observer, logger }: HandlerParts,
  { error, kind }: { readonly error: unknown; readonly kind: Failure["kind"] },
  fields: LogFields,
): void {
  const limit = limitOf(error);
  if (limit !== null) observer?.refused?.(limit);
  if (kind === "fault") reportFault(logger, error, fields);
}

function isDownload(route: Route, { method }: Request, { status }: Reply): boolean {
  return route.kind === "blob" && method === "GET" && (status === 200 || status === 206);
}

function refuseWhileUnhealthy(health: HealthChecks): void {
  // An object in a loop, because it is empty on nearly every request and asked for on each.
  for (const _name in health.failing()) {
    throw new HttpError(
      "the registry is not healthy; its log says why, and /debug/health on its debug address",
      {
        status: 503,
        code: "UNAVAILABLE",
        headers: { "Retry-After": "5" },
      },
    );
  }
}

/**
 * By what a proxy made of it, if it is one that a line of a log can hold; else by a new one. Who named it is
 * told by what name it was taken; the classic sends no such header.
 */
function identified(request: Request): { readonly requestId: string; readonly asked: Asked } {
  const given = request.headers.get("x-request-id");
  if (given === null) return { requestId: crypto.randomUUID(), asked: request };
  const requestId = /^[\w.:+/=@-]{1,128}$/.test(given) ? given : crypto.randomUUID();
  return { requestId, asked: { method: request.method, requestId } };
}

function reportFault(logger: Logger, error: unknown, fields: LogFields): void {
  const causes: string[] = [];
  for (let at = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    causes.push(at instanceof Error ? (at.stack ?? at.message) : JSON.stringify(at));
    if (causes.length === 5) break;
  }
  logger.error("a request failed unexpectedly", {
    ...fields,
    error: causes.join("; caused by "),
  });
}
