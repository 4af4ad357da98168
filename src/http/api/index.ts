// The JSON API under api/v1/: finds the operation that a request asks for, checks what every request has to
// keep to, and leaves an audit line of those that change something. Knows nothing of the OCI endpoints, and
// they nothing of it: server and handler alone hold both. How to use it: docs/api.md.
import type { Env } from "../context.ts";
import type { Failure } from "../error-response.ts";
import { nameActor } from "../notified.ts";
import type { HealthChecks, Logger } from "../ports.ts";
import { emptyReply, type HeaderFields, jsonReply, type Reply } from "../reply.ts";
import { ApiError, apiFailureOf } from "./api-error.ts";
import { type Audited, audit } from "./audit.ts";
import { refuseCrossSite } from "./changes.ts";
import { HttpError } from "../http-error.ts";
import { guard } from "./guard.ts";
import type { Visitor } from "../limits/limits.ts";
import { EventFeed } from "./event-feed.ts";
import { collectionStatus } from "./collection-view.ts";
import { openApiDocument } from "./openapi.ts";
import type { ApiCall, Operation } from "./operation.ts";
import { operations } from "./operations/index.ts";
import { matchOf, segmentsOf, type Template, templateOf } from "./path.ts";
import type { ApiParts } from "./ports.ts";
import { reportTurns, Turnstile } from "../turnstile.ts";

export interface ApiRequest {
  readonly request: Request;
  readonly path: string;
  readonly query: string;
  readonly caller: string;
  /** "address:port", or "unix". */
  readonly remote: string;
  readonly requestId: string;
  /** False: the path led here by dot segments, past whoever looked at its beginning. */
  readonly isAsWritten: boolean;
  /** Null: nobody counts what whoever asks uses. */
  readonly visitor: Visitor | null;
}

/** What came of it. */
export interface ApiOutcome {
  readonly reply: Reply;
  readonly failure: Failure | null;
  /** Null: nobody who is logged in. */
  readonly user: string | null;
  /** What was thrown; null: nothing was. */
  readonly error: unknown;
}

/** What is known of a request by the time that it is answered or refused. */
interface Trail {
  entry: Audited | null;
  user: string | null;
}

interface Place {
  readonly template: Template;
  readonly methods: ReadonlyMap<string, Operation>;
}

interface Found {
  readonly place: Place;
  readonly parameters: Readonly<Record<string, string>>;
}

const places: readonly Place[] = [...Map.groupBy(operations, ({ path }) => path)].map(
  ([path, here]) => ({
    template: templateOf(path),
    methods: new Map(here.map((one) => [one.method, one])),
  }),
);

export class Api {
  readonly #parts: ApiParts;
  readonly #env: Env;
  readonly #around: { readonly logger: Logger; readonly health: HealthChecks };
  readonly #base: string;
  readonly #feed: EventFeed;
  readonly #reports = new Turnstile(reportTurns);
  #document: string | null = null;

  constructor(
    parts: ApiParts,
    env: Env,
    around: { readonly logger: Logger; readonly health: HealthChecks },
  ) {
    this.#parts = parts;
    this.#env = env;
    this.#around = around;
    this.#base = `${env.options.prefix}api/v1`;
    const { collection } = parts;
    this.#feed = new EventFeed({
      changes: collection.changes,
      ending: collection.last,
      status: () => collectionStatus(parts),
    });
  }

  /** The path that all of it is below, without a slash at its end. */
  get base(): string {
    return this.#base;
  }

  /** Whether the path is one of the API's, though there may be nothing. */
  serves(path: string): boolean {
    return (
      path.startsWith(this.#base) &&
      (path.length === this.#base.length || path[this.#base.length] === "/")
    );
  }

  /** Never throws. */
  async answer(asked: ApiRequest): Promise<ApiOutcome> {
    const audited: Trail = { entry: null, user: null };
    let outcome: ApiOutcome;
    try {
      const reply = await this.#answer(asked, audited);
      outcome = { reply, failure: null, user: audited.user, error: null };
    } catch (error) {
      const failure = apiFailureOf(error);
      if (error instanceof HttpError && error.user !== null) audited.user = error.user;
      outcome = { reply: failure.reply, failure, user: audited.user, error };
    }
    const { entry } = audited;
    if (entry !== null && (!entry.operation.isAudited || outcome.failure !== null)) {
      audit(this.#around.logger, { ...entry, caller: audited.user ?? entry.caller }, outcome);
    }
    return { ...outcome, reply: withOwnHeaders(outcome.reply, asked.requestId) };
  }

  /** Ends the streams of events that are open now. */
  endStreams(): void {
    this.#feed.endAll();
  }

  /** Ends the streams of events: the server stops. */
  close(): void {
    this.#feed.close();
  }

  async #answer(asked: ApiRequest, audited: Trail): Promise<Reply> {
    const { request, path, query, remote, visitor } = asked;
    const { method } = request;
    visitor?.enter(false);
    if (!asked.isAsWritten) {
      throw new ApiError("INVALID_PATH", "the path holds dot segments; give it without them");
    }
    const below = path.slice(this.#base.length + 1);
    if (below === "openapi.json") {
      await guard(this.#env, { ...asked, operation: null, parameters: {} });
      return this.#describe(method);
    }
    const { place, parameters } = found(below);
    const operation = place.methods.get(method === "HEAD" ? "GET" : method);
    const allow = allowed(place);
    if (method === "OPTIONS") return emptyReply(200, { Allow: allow });
    if (operation === undefined) throw notAllowed(method, allow);
    const isChange = operation.method !== "GET";
    if (isChange) audited.entry = { ...asked, operation, parameters };
    const grant = await guard(this.#env, { ...asked, operation, parameters });
    audited.user = grant?.user ?? null;
    visitor?.identify(audited.user);
    nameActor(audited.user);
    const caller = audited.user ?? asked.caller;
    if (isChange) {
      refuseCrossSite(request);
      this.#refuse(operation);
    }
    const call: ApiCall = {
      request,
      path,
      query,
      caller,
      grant,
      mayStill: () => isLetIn(guard(this.#env, { ...asked, operation, parameters })),
      remote,
      parameters,
      env: this.#env,
      api: this.#parts,
      feed: this.#feed,
      reports: this.#reports,
      failing: this.#around.health.failing(),
    };
    return await operation.run(call);
  }

  #refuse({ needs }: Operation): void {
    const { readOnly, deleteEnabled } = this.#env.options;
    if (needs === null) return;
    if (readOnly) {
      throw new ApiError(
        "READ_ONLY",
        "the registry is read-only (storage.maintenance.readonly.enabled is true)",
      );
    }
    if (needs === "deleting" && !deleteEnabled) {
      throw new ApiError(
        "DELETE_DISABLED",
        "deleting is disabled; set storage.delete.enabled to true in the configuration to enable it",
      );
    }
  }

  #describe(method: string): Reply {
    const allow = "GET, HEAD";
    if (method === "OPTIONS") return emptyReply(200, { Allow: allow });
    if (method !== "GET" && method !== "HEAD") throw notAllowed(method, allow);
    const { version } = this.#parts;
    this.#document ??= JSON.stringify(openApiDocument(operations, { base: this.#base, version }));
    const reply = jsonReply(200, null);
    const sizeBytes = Buffer.byteLength(this.#document);
    return { ...reply, body: this.#document, sizeBytes };
  }
}

/** Not told by what keeps it from being known just now: an index that is busy, too many logins. */
async function isLetIn(guarded: Promise<unknown>): Promise<boolean> {
  try {
    await guarded;
    return true;
  } catch (error) {
    return !(error instanceof HttpError && (error.status === 401 || error.status === 403));
  }
}

/** @throws ApiError */
function found(below: string): Found {
  const segments = segmentsOf(below);
  for (const place of places) {
    const parameters = matchOf(place.template, segments);
    if (parameters !== null) return { place, parameters };
  }
  throw new ApiError(
    "NOT_FOUND",
    "there is nothing at this path; see openapi.json for what there is",
  );
}

function allowed({ methods }: Place): string {
  const heads = methods.has("GET") ? ["HEAD"] : [];
  return [...methods.keys(), ...heads].sort().join(", ");
}

function notAllowed(method: string, allow: string): ApiError {
  return new ApiError("METHOD_NOT_ALLOWED", `${method.slice(0, 20)} is not supported here`, {
    headers: { Allow: allow },
  });
}

function withOwnHeaders(reply: Reply, requestId: string): Reply {
  const own: HeaderFields = {
    // It is for whoever asked, as it is now.
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": requestId,
  };
  return { ...reply, headers: { ...own, ...reply.headers } };
}
