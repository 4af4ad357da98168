// The observability room: the log on stderr, the access log on stdout, health checks. Metrics, which bring a
// package of their own, are loaded by themselves (metrics/index.ts).
export type { Logger } from "./logger.ts";
export { openLogs } from "./open-logs.ts";
export type { Logs, LogsSettings } from "./open-logs.ts";
export { configuredChecks } from "./health/checks.ts";
export { HealthMonitor, type HealthSource } from "./health/health-monitor.ts";
export { Profiles } from "./profiles.ts";
export { tracingSettings } from "./tracing/settings.ts";
