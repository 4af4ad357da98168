// Failures of the request itself, before the domain is asked: no such route, method, size.
// They carry their status; failures of the domain do not (error-response.ts gives them one).
import type { ErrorCode, LimitName } from "../oci/index.ts";

export interface HttpErrorOptions {
  readonly status: number;
  readonly code: ErrorCode;
  readonly headers?: Readonly<Record<string, string>>;
  /** The `detail` of the error body; undefined leaves it out. */
  readonly detail?: unknown;
  /** Who is refused, for the log. */
  readonly user?: string;
  /** Of `http.limits`, when it is for one of those. */
  readonly limit?: LimitName;
}

export class HttpError extends Error {
  readonly status: number;
  readonly code: ErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly detail: unknown;
  readonly user: string | null;
  readonly limit: LimitName | null;
  constructor(message: string, options: HttpErrorOptions) {
    super(message);
    this.name = "HttpError";
    this.status = options.status;
    this.code = options.code;
    this.headers = options.headers ?? {};
    this.detail = options.detail;
    this.user = options.user ?? null;
    this.limit = options.limit ?? null;
  }
}
