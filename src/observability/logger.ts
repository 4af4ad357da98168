// The log on stderr: levels, fields, one line an event, in the format that the configuration names.
// Decides what is logged; formatting is in log-format.ts, writing in line-writer.ts. Never throws.
import type { LineFormat, LogLevelName, PreparedFields } from "./log-format.ts";
import type { LineWriter } from "./line-writer.ts";

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";
/** `undefined` is left out. An Error is shown by its message and its causes. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  error(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
  /** A logger that adds the fields to every line; they are formatted once. */
  child(fields: Fields): Logger;
  /** Whether a line of this level would be written: ask before building costly fields. */
  enabled(level: LogLevel): boolean;
  /** Resolves when everything logged so far is written, or has failed to be. */
  flush(): Promise<void>;
}

/** What can be changed while it is in use (`RootLogger.replace`). */
export interface LoggerSettings {
  /** panic and fatal write nothing: no event here has these levels. */
  readonly level: LogLevel | "panic" | "fatal";
  readonly format: LineFormat;
  readonly fields: Fields;
}

export interface LoggerOptions extends LoggerSettings {
  readonly writer: Pick<LineWriter, "write" | "flush">;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const severity: Readonly<Record<LoggerOptions["level"], number>> = {
  panic: 0,
  fatal: 1,
  error: 2,
  warn: 3,
  info: 4,
  debug: 5,
  trace: 6,
};

/** logrus' names. */
const levelNames: Readonly<Record<LogLevel, LogLevelName>> = {
  error: "error",
  warn: "warning",
  info: "info",
  debug: "debug",
  trace: "trace",
};

const noFields: Fields = {};

export interface RootLogger extends Logger {
  /** From the next line on, for its children too; what is written already stays as it is. */
  replace(settings: LoggerSettings): void;
}

export function createLogger(options: LoggerOptions): RootLogger {
  const shared = { ...options };
  const root = new LineLogger(shared, noFields);
  return Object.assign(root, {
    replace: (settings: LoggerSettings) => {
      Object.assign(shared, settings);
    },
  });
}

class LineLogger implements Logger {
  /** Of all loggers of one root, and changed under them. */
  readonly #options: LoggerOptions;
  /** Besides those of the root. */
  readonly #fields: Fields;
  #prepared: PreparedFields;
  /** By which it was prepared, and of which fields. */
  #preparedBy: Pick<LoggerOptions, "format" | "fields">;

  constructor(options: LoggerOptions, fields: Fields) {
    this.#options = options;
    this.#fields = fields;
    this.#preparedBy = { ...options };
    this.#prepared = this.#prepare();
  }

  error(message: string, fields: Fields = noFields): void {
    this.#log("error", message, fields);
  }

  warn(message: string, fields: Fields = noFields): void {
    this.#log("warn", message, fields);
  }

  info(message: string, fields: Fields = noFields): void {
    this.#log("info", message, fields);
  }

  debug(message: string, fields: Fields = noFields): void {
    this.#log("debug", message, fields);
  }

  child(fields: Fields): Logger {
    return new LineLogger(this.#options, { ...this.#fields, ...fields });
  }

  enabled(level: LogLevel): boolean {
    return severity[level] <= severity[this.#options.level];
  }

  flush(): Promise<void> {
    return this.#options.writer.flush();
  }

  #log(level: LogLevel, message: string, fields: Fields): void {
    if (!this.enabled(level)) return;
    const { format, fields: common, writer, now } = this.#options;
    if (this.#preparedBy.format !== format || this.#preparedBy.fields !== common) {
      this.#preparedBy = { format, fields: common };
      this.#prepared = this.#prepare();
    }
    const event = {
      timeMs: now === undefined ? Date.now() : now(),
      level: levelNames[level],
      message,
      fields,
    };
    writer.write(format.line(event, this.#prepared));
  }

  #prepare(): PreparedFields {
    const { format, fields } = this.#preparedBy;
    return format.prepare({ ...fields, ...this.#fields });
  }
}

/** Writes nothing: for tests, and for commands that report in another way. */
export const silentLogger: Logger = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  child: () => silentLogger,
  enabled: () => false,
  flush: () => Promise.resolve(),
};
