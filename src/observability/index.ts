// The observability room: the log on stderr and the access log on stdout.
export type { Logger } from "./logger.ts";
export { openLogs } from "./open-logs.ts";
export type { Logs } from "./open-logs.ts";
