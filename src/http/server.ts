// The registry's server: puts the handler behind a socket, and stops it without cutting anybody
// off. Knows the runtime's server; everything else of HTTP is in handler.ts and below.
import { BlobUnknownError } from "../oci/index.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { Registry } from "../registry/registry.ts";
import { Api } from "./api/index.ts";
import type { ApiParts } from "./api/ports.ts";
import type { Access, Env } from "./context.ts";
import { Connection, type ConnectionTimes } from "./connection.ts";
import { Descriptors } from "./descriptors.ts";
import { failureOf } from "./error-response.ts";
import { createHandler, type Handler } from "./handler.ts";
import { HttpError } from "./http-error.ts";
import { listen } from "./listen.ts";
import type { Listener } from "./listener.ts";
import { Limits } from "./limits/limits.ts";
import { noLimits } from "./limits/options.ts";
import { Locations } from "./locations.ts";
import type { HttpOptions } from "./options.ts";
import type {
  AccessLog,
  HealthChecks,
  Logger,
  PullListener,
  Readiness,
  RequestObserver,
} from "./ports.ts";
import { alwaysReady, Probes } from "./probes.ts";
import { type HeaderFields, commonHeaders, toResponse } from "./reply.ts";
import { RequestLog } from "./request-log.ts";
import { type RunningServer, running } from "./running-server.ts";
import { Stopping, stopServer } from "./stopping.ts";
import type { TlsParts } from "./tls.ts";
import { Turnstile, walkTurns } from "./turnstile.ts";
import { UploadState } from "./upload-state.ts";

export interface ServerParts {
  readonly registry: Registry;
  readonly options: HttpOptions;
  /** Null: everybody may do everything. */
  readonly access: Access | null;
  readonly health: HealthChecks;
  readonly logger: Logger;
  readonly accessLog: AccessLog;
  readonly clock: Clock;
  /** Absent: there are none. */
  readonly limits?: Limits;
  /** Absent: nobody counts. */
  readonly observer?: RequestObserver;
  /** Absent: nobody is to be notified. */
  readonly pulls?: PullListener;
  /** Absent: ready as long as it listens. */
  readonly readiness?: Readiness;
  /** Absent or null: the API is switched off. */
  readonly api?: ApiParts | null;
  /** Absent or null: no TLS. */
  readonly tls?: TlsParts | null;
}

/** What can be changed while it serves. Requests under way end by what was so when they began. */
export interface ServerSettings {
  readonly access: Access | null;
  /** Null: nobody is to be notified. */
  readonly pulls: PullListener | null;
}

export interface RegistryServer extends RunningServer {
  replace(settings: Partial<ServerSettings>): void;
}

/** @throws Error when the address is taken or not of this machine. */
export async function startServer(parts: ServerParts): Promise<RegistryServer> {
  const { options, logger } = parts;
  const settings = { access: parts.access, pulls: parts.pulls ?? null };
  const common = commonHeaders(options.headers);
  const env: Env = {
    registry: parts.registry,
    options,
    locations: new Locations(options),
    uploadState: new UploadState(options.secret),
    received: (bytes) => parts.observer?.received(bytes),
    get access() {
      return settings.access;
    },
    limits: parts.limits ?? new Limits(noLimits),
    walks: new Turnstile(walkTurns),
  };
  const api = parts.api === undefined || parts.api === null ? null : new Api(parts.api, env, parts);
  const stopping = new Stopping();
  const handle = createHandler({
    env,
    api,
    common,
    health: parts.health,
    log: new RequestLog(logger, parts.accessLog),
    logger,
    clock: parts.clock,
    observer: parts.observer ?? null,
    get pulls() {
      return settings.pulls;
    },
    stopping,
  });
  const probes = new Probes(parts.readiness ?? alwaysReady);
  const observed = observedBy(parts.observer, handle);
  const times: ConnectionTimes = {
    limits: env.limits,
    idleMs: env.limits.options.idleMs,
    stalledMs: options.bodySilenceMs,
  };
  const descriptors = new Descriptors();
  const refuse = refuserOf(parts, common);
  const answer = (isApiPath: boolean): Listener["fetch"] => {
    return (request, server) => {
      const probed = probes.answer(request);
      if (probed !== null) return probed;
      if (descriptors.isScarce()) return refuse(request);
      return observed(request, new Connection(request, server, times), isApiPath);
    };
  };
  const listener: Listener = {
    ...answersOf(api, answer),
    idleSeconds: Math.ceil(times.idleMs / 1000),
    error: (error) => bodyFailed(error, logger, common),
  };
  const tls = parts.tls ?? null;
  const server = await listen(options.listen, listener, tls === null ? null : { tls, logger });
  const { drainTimeoutMs } = options;
  const serving = running(server, options.listen, async () => {
    // Streams of events have no end of their own to wait for.
    api?.close();
    await stopServer(server, { stopping, drainTimeoutMs, logger });
  });
  return {
    ...serving,
    replace: (changed) => {
      Object.assign(settings, changed);
      // They would go on for ever with what their listeners were allowed once; clients come again.
      if (changed.access !== undefined) api?.endStreams();
    },
  };
}

/** Of the log, where a line for each would use what is scarce. */
const refusalsToldEveryMs = 60_000;

/** Refuses requests while descriptors are scarce: each of them closes a connection. */
function refuserOf({ logger, observer }: ServerParts, common: HeaderFields) {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return (request: Request): Response => {
    const limit = "descriptors";
    observer?.refused?.(limit);
    if (performance.now() - toldAtMs >= refusalsToldEveryMs) {
      toldAtMs = performance.now();
      logger.error(
        "descriptors run out, and requests are refused: raise the limit of open files (ulimit -n), or see who keeps so many connections",
      );
    }
    const error = new HttpError("the registry has too many connections; come again in a moment", {
      status: 503,
      code: "UNAVAILABLE",
      headers: { "Retry-After": "1", Connection: "close" },
      limit,
    });
    return toResponse(failureOf(error).reply, request, common);
  };
}

/** Within what the observer wants to know of a request; mostly it wants nothing, and is not asked. */
function observedBy(observer: RequestObserver | undefined, handle: Handler): Handler {
  const within = observer?.within;
  if (within === undefined) return handle;
  return (request, connection, isApiPath) => within(() => handle(request, connection, isApiPath));
}

/**
 * A proxy that passes on what begins with /v2/ must not pass on /v2/../api/v1/: the API answers only where its
 * path is what the client wrote, and only the runtime's routes tell that. (They have signs of their own: a
 * prefix with one of those is not told apart.)
 */
function answersOf(
  api: Api | null,
  answer: (isApiPath: boolean) => Listener["fetch"],
): Pick<Listener, "fetch" | "routes"> {
  if (api === null || !/^[\w./~-]+$/.test(api.base)) return { fetch: answer(true) };
  return {
    fetch: answer(false),
    routes: { [api.base]: answer(true), [`${api.base}/*`]: answer(true) },
  };
}

/**
 * The runtime could not begin to send a body: a file went away after it had been looked at (INV-9).
 */
function bodyFailed(error: Error, logger: Logger, common: HeaderFields): Response {
  const vanished = "code" in error && error.code === "ENOENT";
  logger.warn("a response could not be sent", { error: error.message });
  const told = vanished ? new BlobUnknownError("the blob was removed meanwhile") : error;
  return toResponse(failureOf(told).reply, { method: "GET" }, common);
}
