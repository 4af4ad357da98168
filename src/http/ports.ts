// What the HTTP side asks of others than the domain: logs and health. Implemented in
// observability/.

import type { Digest, LimitName, RepositoryName, Tag } from "../oci/index.ts";
import type { RequestOrigin } from "../registry/ports/request-origin.ts";

/** `undefined` is left out. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Logger {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether a line of this level would be written. */
  enabled(level: "info" | "error"): boolean;
}

/** One request, as the Apache combined format tells it. */
export interface AccessEntry {
  readonly timeMs: number;
  /** "" on a unix socket. */
  readonly remoteAddress: string;
  /** Absent: nobody is logged in. */
  readonly user?: string;
  readonly method: string;
  /** Path and query as the runtime hands them over: dot segments already resolved. */
  readonly uri: string;
  readonly status: number;
  /** Bytes of the body; 0 where the length is not known beforehand. */
  readonly writtenBytes: number;
  readonly referer: string;
  readonly userAgent: string;
}

export interface AccessLog {
  write(entry: AccessEntry): void;
}

export interface HealthChecks {
  /**
   * Name and message of every check that fails now; empty when all is well. Cheap: no check is run.
   */
  failing(): Readonly<Record<string, string>>;
}

/** One request, as it is counted. */
export interface ObservedRequest {
  /** The endpoint (`Route.kind`); "none" where there is none, or the path could not be read. */
  readonly kind: string;
  readonly method: string;
  readonly status: number;
  /** Until the answer was decided. */
  readonly durationMs: number;
  /** Of the body; 0 where the length is not known beforehand. */
  readonly writtenBytes: number;
  /** Without the query. */
  readonly path: string;
  readonly requestId: string;
  readonly headers: Headers;
}

/** Counts or traces requests. Told of every one: cheap, and never throws. */
export interface RequestObserver {
  /** Does a request, so that what is done in it is known to be its; absent: nobody wants to know. */
  readonly within?: <Result>(work: () => Promise<Result>) => Promise<Result>;
  begun(): void;
  /** Bytes of a blob or manifest that arrived. */
  received(bytes: number): void;
  completed(request: ObservedRequest): void;
  /** One was refused for this limit. */
  refused?(limit: LimitName): void;
}

export interface Readiness {
  /** Why requests should go elsewhere now; null: they are welcome. Never rejects. */
  notReady(): Promise<string | null>;
}

/** Metrics in Prometheus' text format. */
export interface MetricsText {
  /** Where they are served. */
  readonly path: string;
  readonly contentType: string;
  text(): Promise<string>;
}

/** Fails with an error that has `retryAfterSeconds` while another profile is made. */
export interface ProfileMaker {
  readonly secondsMax: number;
  cpu(seconds: number, signal: AbortSignal): Promise<string>;
  heap(): Promise<string>;
}

/** Something that was pulled. */
export interface Pull {
  readonly what: "manifest" | "blob";
  readonly repository: RepositoryName;
  readonly digest: Digest;
  /** By which it was asked for; null: by its digest. */
  readonly tag: Tag | null;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly origin: RequestOrigin;
}

/** Whoever is to be notified. Cheap, and never throws. */
export interface PullListener {
  pulled(pull: Pull): void;
}
