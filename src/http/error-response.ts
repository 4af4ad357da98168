// Turns what was thrown into an answer: the only place that gives the domain's errors an HTTP
// status. Never shows paths, stacks or messages of unexpected errors to a client; those go to the
// log.
import {
  BlobTooLargeError,
  DiskFullError,
  type ErrorCode,
  ManifestTooLargeError,
  RangeInvalidError,
  RegistryError,
  TooManyRequestsError,
  UnavailableError,
} from "../oci/index.ts";
import { StorageError } from "../registry/ports/storage.ts";
import { HttpError } from "./http-error.ts";
import { uploadRange } from "./range.ts";
import { type HeaderFields, type Reply, emptyReply, jsonReply } from "./reply.ts";

/** Statuses of the classic registry, which go beyond the specification's table. */
const statusOf: Readonly<Record<ErrorCode, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 404,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  RANGE_INVALID: 416,
  SIZE_INVALID: 400,
  TAG_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
};

/** Nobody reads this answer; the status is what the log says of a client that went away. */
const clientGoneStatus = 499;

/** What is said of a failure, to the client and in the log. */
export interface Failure {
  readonly reply: Reply;
  /** An `ErrorCode`; the API has some of its own. */
  readonly code: string;
  readonly message: string;
  readonly detail: unknown;
  /** `gone`: the client went away. `fault`: something is wrong with the registry itself. */
  readonly kind: "refused" | "gone" | "fault";
}

export function failureOf(error: unknown): Failure {
  if (error instanceof RegistryError) return registryFailure(error);
  if (error instanceof HttpError) {
    return failure(error.status, error, { kind: "refused", headers: error.headers });
  }
  if (error instanceof StorageError) return storageFailure(error);
  if (isAbort(error)) {
    const message = "the client went away before its request was complete";
    return {
      reply: emptyReply(clientGoneStatus),
      code: "UNKNOWN",
      message,
      detail: undefined,
      kind: "gone",
    };
  }
  return failure(500, { code: "UNKNOWN", message: "an unexpected error" }, { kind: "fault" });
}

function registryFailure(error: RegistryError): Failure {
  const headers: Record<string, string> = {};
  if (
    error instanceof UnavailableError ||
    error instanceof DiskFullError ||
    error instanceof TooManyRequestsError
  ) {
    headers["Retry-After"] = String(Math.max(1, Math.ceil(error.retryAfterSeconds)));
  }
  if (error instanceof RangeInvalidError && error.size !== undefined) {
    headers["Range"] = uploadRange(error.size);
  }
  return failure(statusOfError(error), error, { kind: "refused", headers });
}

function statusOfError(error: RegistryError): number {
  if (error instanceof ManifestTooLargeError || error instanceof BlobTooLargeError) return 413;
  if (error instanceof DiskFullError) return 507;
  return statusOf[error.code];
}

function storageFailure(error: StorageError): Failure {
  if (error.code === "full") {
    const message =
      "the registry's disk is full, and nothing was stored: delete images and run registry garbage-collect, or make room, then try again";
    const said = { code: "UNAVAILABLE", message } as const;
    return failure(507, said, { kind: "fault" });
  }
  if (error.code === "busy") {
    const message = "the registry has no descriptor left for a file; come again in a moment";
    const headers = { "Retry-After": "1" };
    return failure(503, { code: "UNAVAILABLE", message }, { kind: "fault", headers });
  }
  const said = { code: "UNKNOWN", message: "the registry's storage failed" } as const;
  return failure(500, said, { kind: "fault" });
}

function failure(
  status: number,
  said: { readonly code: ErrorCode; readonly message: string; readonly detail?: unknown },
  options: { readonly kind: Failure["kind"]; readonly headers?: HeaderFields },
): Failure {
  const { code, message, detail } = said;
  const entry = detail === undefined ? { code, message } : { code, message, detail };
  const reply = jsonReply(status, { errors: [entry] }, options.headers);
  return { reply, code, message, detail, kind: options.kind };
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
