// The room of the reports on space: who uses the disk, and what deleting would give back. docs/usage.md.
export { parseTarget, targetsMax } from "./delete-preview.ts";
export { tellUsage } from "./tell-usage.ts";
export { UsageDocument } from "./usage-document.ts";
export { usageLines } from "./usage-lines.ts";
export { UsageRecorder } from "./usage-recorder.ts";
export { UsageReports } from "./usage-reports.ts";
export {
  topMax,
  type UsageEvent,
  type UsageOrder,
  usageOrders,
  type UsageRequest,
} from "./usage-request.ts";
