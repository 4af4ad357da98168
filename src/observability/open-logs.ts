// Puts the logs of a process together: the log on stderr, the access log on stdout, and what is
// still waiting written when the process exits. Called once, by the composition root.
import { createAccessLog, silentAccessLog } from "./access-log.ts";
import type { AccessLog } from "./access-log.ts";
import { descriptorTarget, type LineTarget, LineWriter } from "./line-writer.ts";
import { createLineFormat } from "./log-format.ts";
import { createLogger } from "./logger.ts";
import type { Fields, Logger, LoggerOptions } from "./logger.ts";

const stdout = 1;
const stderr = 2;

/** Long enough to gather a hundred requests under load, too short to be noticed in `tail -f`. */
const gatherMs = 20;

/** What can be changed while they are in use. */
export interface LogsSettings {
  readonly level: LoggerOptions["level"];
  readonly formatter: "text" | "json" | "logstash";
  /** `log.fields`; they win over the fields of the process. */
  readonly fields: Fields;
  readonly accessLogDisabled: boolean;
}

export interface LogsOptions extends LogsSettings {
  readonly version: string;
  /** A server gathers lines for a moment; a command writes them in step with what it prints. */
  readonly gather: boolean;
  /** Where log lines go; stderr unless something else is there that must not be mixed with them. */
  readonly target?: LineTarget;
}

export interface Logs {
  readonly logger: Logger;
  readonly accessLog: AccessLog;
  /** Resolves when everything is written. Call at the end of a clean stop. */
  flush(): Promise<void>;
}

export interface ReplaceableLogs extends Logs {
  /** For all lines from now on. */
  replace(settings: LogsSettings): void;
}

export function openLogs(options: LogsOptions): ReplaceableLogs {
  let format = createLineFormat(options.formatter);
  const delayMs = options.gather ? gatherMs : 0;
  const logWriter = new LineWriter(options.target ?? descriptorTarget(stderr), {
    delayMs,
    describeDropped: (count) => {
      const message = `${count} log lines were lost: they could not be written fast enough`;
      return format.line({ timeMs: Date.now(), level: "warning", message, fields: {} }, []);
    },
  });
  const accessWriter = new LineWriter(descriptorTarget(stdout), { delayMs });
  process.once("exit", () => {
    logWriter.flushSync();
    accessWriter.flushSync();
  });
  const processFields: Fields = {
    "instance.id": crypto.randomUUID(),
    service: "registry",
    version: options.version,
  };
  const fieldsOf = ({ fields }: LogsSettings): Fields => ({ ...processFields, ...fields });
  const logger = createLogger({
    level: options.level,
    format,
    fields: fieldsOf(options),
    writer: logWriter,
  });
  const toStdout = createAccessLog(accessWriter);
  let accessLog = options.accessLogDisabled ? silentAccessLog : toStdout;
  return {
    logger,
    accessLog: {
      write: (entry) => {
        accessLog.write(entry);
      },
    },
    replace: (settings) => {
      format = createLineFormat(settings.formatter);
      logger.replace({ level: settings.level, format, fields: fieldsOf(settings) });
      accessLog = settings.accessLogDisabled ? silentAccessLog : toStdout;
    },
    flush: async () => {
      await Promise.all([logWriter.flush(), accessWriter.flush()]);
    },
  };
}
