// One class per error code of the distribution specification (and the classic registry's additions).
// Says what went wrong in the domain's words; HTTP statuses are chosen in http/error-response.ts.
// Source: OCI distribution-spec, "Error Codes"; classic registry/api/errcode.

export type ErrorCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "PAGINATION_NUMBER_INVALID"
  | "RANGE_INVALID"
  | "SIZE_INVALID"
  | "TAG_INVALID"
  | "UNAUTHORIZED"
  | "DENIED"
  | "UNSUPPORTED"
  | "TOOMANYREQUESTS"
  | "UNAVAILABLE"
  | "UNKNOWN";

export interface RegistryErrorOptions {
  readonly cause?: unknown;
  /** The `detail` of the error body: anything that JSON can hold. */
  readonly detail?: unknown;
}

export abstract class RegistryError extends Error {
  abstract readonly code: ErrorCode;
  readonly detail: unknown;
  constructor(message: string, options: RegistryErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.detail = options.detail;
  }
}

export class BlobUnknownError extends RegistryError {
  readonly code = "BLOB_UNKNOWN";
}
export class BlobUploadInvalidError extends RegistryError {
  readonly code = "BLOB_UPLOAD_INVALID";
}
export class BlobUploadUnknownError extends RegistryError {
  readonly code = "BLOB_UPLOAD_UNKNOWN";
}
export class DigestInvalidError extends RegistryError {
  readonly code = "DIGEST_INVALID";
}
/** `missing`: the digests that the manifest refers to and that the repository does not hold. */
export class ManifestBlobUnknownError extends RegistryError {
  readonly code = "MANIFEST_BLOB_UNKNOWN";
}
export class ManifestInvalidError extends RegistryError {
  readonly code = "MANIFEST_INVALID";
}
/** The manifest is larger than is accepted; the same code as an invalid one, another status (413). */
export class ManifestTooLargeError extends RegistryError {
  readonly code = "MANIFEST_INVALID";
}
export class ManifestUnknownError extends RegistryError {
  readonly code = "MANIFEST_UNKNOWN";
}
export class NameInvalidError extends RegistryError {
  readonly code = "NAME_INVALID";
}
export class NameUnknownError extends RegistryError {
  readonly code = "NAME_UNKNOWN";
}
export class PaginationNumberInvalidError extends RegistryError {
  readonly code = "PAGINATION_NUMBER_INVALID";
}
/** `size`: how many bytes the upload holds, so that the answer can say where to go on. */
export class RangeInvalidError extends RegistryError {
  readonly code = "RANGE_INVALID";
  readonly size: number | undefined;
  constructor(message: string, options: RegistryErrorOptions & { size?: number } = {}) {
    super(message, options);
    this.size = options.size;
  }
}
export class SizeInvalidError extends RegistryError {
  readonly code = "SIZE_INVALID";
}
/** The blob is larger than is accepted (`http.limits.blobsize`); the code of a wrong size, another status (413). */
export class BlobTooLargeError extends RegistryError {
  readonly code = "SIZE_INVALID";
}
export class TagInvalidError extends RegistryError {
  readonly code = "TAG_INVALID";
}
export class DeniedError extends RegistryError {
  readonly code = "DENIED";
}
/**
 * The storage is loaded to its line (`storage.watermark.refuse`). Of the specification's codes, of which none
 * speaks of space, the one with which clients give up at once and show the message.
 */
export class DiskFullError extends RegistryError {
  readonly code = "DENIED";
  readonly retryAfterSeconds: number;
  constructor(message: string, options: { readonly retryAfterSeconds: number }) {
    super(message);
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
/** Try again later: the index or the disk could not take the change in time, or is full. */
export class UnavailableError extends RegistryError {
  readonly code = "UNAVAILABLE";
  readonly retryAfterSeconds: number;
  constructor(
    message: string,
    options: RegistryErrorOptions & { retryAfterSeconds?: number } = {},
  ) {
    super(message, options);
    this.retryAfterSeconds = options.retryAfterSeconds ?? 5;
  }
}

/** What is counted, or bounded, and was refused for it: few and fixed, for they name series of metrics. */
export type LimitName =
  | "address.requests"
  | "address.uploads"
  | "user.requests"
  | "user.uploads"
  | "logins"
  | "sessions"
  | "reports"
  | "minrate"
  | "blobsize"
  | "manifestsize"
  | "descriptors";

/** A limit of `http.limits` is used up for now. The message says which, and what to do. */
export class TooManyRequestsError extends RegistryError {
  readonly code = "TOOMANYREQUESTS";
  readonly limit: LimitName;
  readonly retryAfterSeconds: number;
  constructor(
    message: string,
    options: { readonly limit: LimitName; readonly retryAfterSeconds: number },
  ) {
    super(message, { detail: { limit: options.limit } });
    this.limit = options.limit;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
