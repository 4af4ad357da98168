// Failures of the API, all in one form: {"error": {"code", "message", "detail"}}. What the domain throws
// keeps its code and status; only the form differs from that of the OCI endpoints.
import { type Failure, failureOf } from "../error-response.ts";
import { type HeaderFields, jsonReply } from "../reply.ts";

/** Codes beyond those of the OCI specification. */
export type ApiErrorCode =
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "INVALID_PATH"
  | "INVALID_PARAMETER"
  | "INVALID_CURSOR"
  | "INVALID_BODY"
  | "BODY_TOO_LARGE"
  | "BODY_TOO_SLOW"
  | "UNSUPPORTED_MEDIA_TYPE"
  | "CROSS_SITE"
  | "READ_ONLY"
  | "DELETE_DISABLED"
  | "BUSY"
  | "CHANGED"
  | "TAG_TAKEN"
  | "CONTENT_MISSING"
  | "GONE"
  | "NOTHING_TO_RESTORE"
  | "NOTHING_TO_STOP"
  | "NOTHING_TO_VERIFY"
  | "TOO_MANY_STREAMS";

const statusOf: Readonly<Record<ApiErrorCode, number>> = {
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  INVALID_PATH: 400,
  INVALID_PARAMETER: 400,
  INVALID_CURSOR: 400,
  INVALID_BODY: 400,
  BODY_TOO_LARGE: 413,
  BODY_TOO_SLOW: 408,
  UNSUPPORTED_MEDIA_TYPE: 415,
  CROSS_SITE: 403,
  READ_ONLY: 403,
  DELETE_DISABLED: 403,
  BUSY: 409,
  CHANGED: 409,
  TAG_TAKEN: 409,
  CONTENT_MISSING: 409,
  GONE: 410,
  NOTHING_TO_RESTORE: 404,
  NOTHING_TO_STOP: 409,
  NOTHING_TO_VERIFY: 409,
  TOO_MANY_STREAMS: 503,
};

export class ApiError extends Error {
  readonly code: ApiErrorCode;
  readonly detail: unknown;
  readonly headers: HeaderFields;
  constructor(
    code: ApiErrorCode,
    message: string,
    options: { readonly detail?: unknown; readonly headers?: HeaderFields } = {},
  ) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.detail = options.detail;
    this.headers = options.headers ?? {};
  }
}

export function apiFailureOf(error: unknown): Failure {
  if (error instanceof ApiError) {
    const { code, message, detail, headers } = error;
    const reply = errorReply(statusOf[code], { code, message, detail }, headers);
    return { reply, code, message, detail, kind: "refused" };
  }
  const failure = failureOf(error);
  // Nobody reads what a client that went away is answered.
  if (failure.kind === "gone") return failure;
  const { "Content-Type": _, ...headers } = failure.reply.headers;
  return { ...failure, reply: errorReply(failure.reply.status, failure, headers) };
}

function errorReply(
  status: number,
  said: { readonly code: string; readonly message: string; readonly detail: unknown },
  headers: HeaderFields,
) {
  const { code, message, detail } = said;
  const error = detail === undefined ? { code, message } : { code, message, detail };
  return jsonReply(status, { error }, headers);
}
