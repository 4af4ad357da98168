// The room of the collector. Design: docs/design/garbage-collection.md.
export { CollectionDocument } from "./collection-document.ts";
export type { CollectionEvent, CollectionReport, CollectOptions } from "./collection-events.ts";
export { collectionLines } from "./collection-lines.ts";
export { type CollectionParts, pageMax, pauseFor } from "./collection-parts.ts";
export { parseCollectOptions } from "./collect-options.ts";
export { CollectionRequests } from "./collection-requests.ts";
export { Collector } from "./collector.ts";
export { policyOf } from "./plan.ts";
export { humanBytes } from "./human-bytes.ts";
export { DoomedManifests } from "./planned-manifests.ts";
export { CollectionSchedule, type ScheduleOptions } from "./schedule.ts";
export { CollectionStop } from "./stop-reason.ts";
export { sleepUntil, systemTimers, type Timers } from "./timers.ts";
export { logRun, RunHistory, runLines, tellHistory } from "./run-history.ts";
