// The log as most rooms want it: lines, and nothing beside them.
import type { Logger } from "../observability/index.ts";

export type LineLog = Readonly<Record<"info" | "warn" | "error", (line: string) => void>>;

export function logTo(logger: Pick<Logger, "info" | "warn" | "error">): LineLog {
  return {
    info: (line) => {
      logger.info(line);
    },
    warn: (line) => {
      logger.warn(line);
    },
    error: (line) => {
      logger.error(line);
    },
  };
}
