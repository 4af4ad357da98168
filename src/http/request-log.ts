// Writes the two lines that every request leaves: "response completed", with the classic registry's
// fields, and the access log's. Written when the answer is decided; how much of a long body a
// client takes afterwards is not known here.
import type { Failure } from "./error-response.ts";
import type { AccessLog, LogFields, Logger } from "./ports.ts";
import { type Reply, writtenBytesOf } from "./reply.ts";
import type { Route } from "./route.ts";

export interface CompletedRequest {
  readonly request: Request;
  readonly requestId: string;
  readonly uri: string;
  /** Without the port; "" on a unix socket. */
  readonly remoteAddress: string;
  /** "address:port", or "unix". */
  readonly remote: string;
  /** Null: nobody is logged in. */
  readonly user: string | null;
  readonly route: Route | null;
  readonly reply: Reply;
  readonly failure: Failure | null;
  readonly timeMs: number;
  readonly durationMs: number;
}

export class RequestLog {
  readonly #logger: Logger;
  readonly #accessLog: AccessLog;

  constructor(logger: Logger, accessLog: AccessLog) {
    this.#logger = logger;
    this.#accessLog = accessLog;
  }

  completed(entry: CompletedRequest): void {
    const { request, reply, failure, uri } = entry;
    const { headers, method } = request;
    const writtenBytes = writtenBytesOf(method, reply);
    this.#accessLog.write({
      timeMs: entry.timeMs,
      remoteAddress: entry.remoteAddress,
      ...(entry.user === null ? {} : { user: entry.user }),
      method,
      uri,
      status: reply.status,
      writtenBytes,
      referer: headers.get("referer") ?? "",
      userAgent: headers.get("user-agent") ?? "",
    });
    const level = failure === null || failure.kind === "gone" ? "info" : "error";
    // Building the fields is dear, and most of what is asked for is fine.
    if (!this.#logger.enabled(level)) return;
    const fields = fieldsOf(entry, writtenBytes);
    if (failure === null) this.#logger.info("response completed", fields);
    else if (failure.kind === "gone") this.#logger.info(failure.message, fields);
    else
      this.#logger.error("response completed with error", { ...fields, ...errorFields(failure) });
  }
}

/** In the order of their names, which the log would have to sort otherwise. */
function fieldsOf(entry: CompletedRequest, writtenBytes: number): LogFields {
  const { request, reply } = entry;
  const { headers } = request;
  const fields: Record<string, string | number | undefined> = {
    "auth.user.name": entry.user ?? undefined,
    "http.request.contenttype": headers.get("content-type") ?? undefined,
    "http.request.host": headers.get("host") ?? "",
    "http.request.id": entry.requestId,
    "http.request.method": request.method,
    "http.request.referer": headers.get("referer") ?? undefined,
    "http.request.remoteaddr": entry.remote,
    "http.request.uri": entry.uri,
    "http.request.useragent": headers.get("user-agent") ?? "",
    "http.response.contenttype": reply.headers["Content-Type"],
    "http.response.duration": goDuration(entry.durationMs),
    "http.response.status": reply.status,
    "http.response.written": writtenBytes,
  };
  addRoute(fields, entry.route);
  return fields;
}

function addRoute(fields: Record<string, string | number | undefined>, route: Route | null): void {
  if (route === null || !("repository" in route)) return;
  fields["vars.name"] = route.repository;
  if (route.kind === "manifest") fields["vars.reference"] = route.reference;
  if (route.kind === "blob" || route.kind === "referrers") fields["vars.digest"] = route.digest;
  if (route.kind === "upload") fields["vars.uuid"] = route.id;
}

function errorFields(failure: Failure): Record<string, string> {
  const { code, message, detail } = failure;
  return {
    "err.code": code.toLowerCase().replaceAll("_", " "),
    "err.message": message,
    ...(detail === undefined ? {} : { "err.detail": JSON.stringify(detail) }),
  };
}

/** As Go prints a duration, because people's log rules read it. */
export function goDuration(ms: number): string {
  if (ms < 1) return `${trim(ms * 1000, 3)}µs`;
  if (ms < 1000) return `${trim(ms, 6)}ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${trim(seconds, 9)}s`;
  const minutes = Math.floor(seconds / 60);
  const rest = `${trim(seconds - minutes * 60, 9)}s`;
  if (minutes < 60) return `${minutes}m${rest}`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${rest}`;
}

function trim(value: number, digits: number): string {
  const parts = 10 ** digits;
  return String(Math.round(value * parts) / parts);
}
