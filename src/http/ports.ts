// What the HTTP side asks of others than the domain: logs and health. Implemented in
// observability/.

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
