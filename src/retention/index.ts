// The room of retention: rules by which tags and untagged manifests go. Documentation: docs/retention.md.
export type { RetentionEvent, RetentionReport } from "./events.ts";
export { RetentionLines } from "./lines.ts";
export { parseRetentionRequest, retentionRequest } from "./request.ts";
export { RetentionRequests, type RetentionResult, type RetentionRun } from "./requests.ts";
export { Retention } from "./retention.ts";
export { RetentionSchedule } from "./schedule.ts";
