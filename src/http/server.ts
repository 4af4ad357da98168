// The registry's server: puts the handler behind a socket, and stops it without cutting anybody
// off. Knows the runtime's server; everything else of HTTP is in handler.ts and below.
import { BlobUnknownError } from "../oci/index.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { Registry } from "../registry/registry.ts";
import { Api } from "./api/index.ts";
import type { ApiParts } from "./api/ports.ts";
import type { Access, Env } from "./context.ts";
import { failureOf } from "./error-response.ts";
import { createHandler, type Handler } from "./handler.ts";
import { addressText, listen } from "./listen.ts";
import type { Listener, Stoppable } from "./listener.ts";
import { Locations } from "./locations.ts";
import type { HttpOptions, ListenOn } from "./options.ts";
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
import { Stopping, stopServer } from "./stopping.ts";
import type { TlsParts } from "./tls.ts";
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

export interface RunningServer {
  /** As the configuration writes it (":5000", "127.0.0.1:5000"), or the path of a unix socket. */
  readonly address: string;
  /** 0 on a unix socket. */
  readonly port: number;
  /** Refuses new requests, lets those under way end within the drain timeout, then cuts. */
  stop(): Promise<void>;
}

/** @throws Error when the address is taken or not of this machine. */
export async function startServer(parts: ServerParts): Promise<RunningServer> {
  const { options, logger } = parts;
  const common = commonHeaders(options.headers);
  const env: Env = {
    registry: parts.registry,
    options,
    locations: new Locations(options),
    uploadState: new UploadState(options.secret),
    received: (bytes) => parts.observer?.received(bytes),
    access: parts.access,
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
    pulls: parts.pulls ?? null,
    stopping,
  });
  const probes = new Probes(parts.readiness ?? alwaysReady);
  const answer: Handler = (request, peer, isApiPath) =>
    probes.answer(request) ?? handle(request, peer, isApiPath);
  const listener: Listener = {
    ...answersOf(api, answer),
    error: (error) => bodyFailed(error, logger, common),
  };
  const tls = parts.tls ?? null;
  const server = await listen(options.listen, listener, tls === null ? null : { tls, logger });
  const { drainTimeoutMs } = options;
  return running(server, options.listen, async () => {
    // Streams of events have no end of their own to wait for.
    api?.close();
    await stopServer(server, { stopping, drainTimeoutMs, logger });
  });
}

/**
 * A proxy that passes on what begins with /v2/ must not pass on /v2/../api/v1/: the API answers only where its
 * path is what the client wrote, and only the runtime's routes tell that. (They have signs of their own: a
 * prefix with one of those is not told apart.)
 */
function answersOf(api: Api | null, handle: Handler): Pick<Listener, "fetch" | "routes"> {
  const answer =
    (isApiPath: boolean): Listener["fetch"] =>
    (request, server) =>
      handle(request, server.requestIP(request), isApiPath);
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

export function running(
  server: Pick<Stoppable, "port">,
  on: ListenOn,
  stop: () => Promise<void>,
): RunningServer {
  const port = server.port ?? 0;
  return { address: addressText(on, port), port, stop };
}
