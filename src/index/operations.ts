// The table of everything that writes: name → function on the open transaction. A writer, in this thread
// or in a worker, runs an entry inside a savepoint and answers when the transaction around it is durable.
import type { TreeProbe } from "../registry/ports/index.ts";
import * as collecting from "./collecting.ts";
import * as comparing from "./comparing.ts";
import * as deleting from "./deleting.ts";
import * as deletingImages from "./deleting-images.ts";
import * as deletions from "./deletions.ts";
import * as events from "./events.ts";
import { beginPullTimes, recordPulls } from "./pulls.ts";
import * as pushing from "./pushing.ts";
import { clearRedo } from "./redo.ts";
import { restoreDeletion } from "./restoring.ts";
import type { Room } from "./room.ts";
import * as retaining from "./retaining.ts";
import * as runRecords from "./run-records.ts";
import { enqueuePage } from "./snapshots.ts";
import type { Sql } from "./sql.ts";
import { recordUsage } from "./usage.ts";
import { countStep } from "./usage-count.ts";
import { recountUsage } from "./usage-drift.ts";
import * as tokens from "./tokens.ts";

/** What an operation runs on. */
export interface WriteContext {
  readonly sql: Sql;
  readonly probe: TreeProbe;
  /** Null: an index in memory, for which no space is kept. */
  readonly room: Room | null;
}

/** Turns `(sql, ...arguments)` into the form that a writer calls. */
function on<Args extends readonly unknown[], Result>(
  operation: (sql: Sql, ...args: Args) => Result,
): (context: WriteContext, ...args: Args) => Result {
  return ({ sql }, ...args) => operation(sql, ...args);
}

export const operations = {
  beginUpload: on(pushing.beginUpload),
  touchUpload: on(pushing.touchUpload),
  endUpload: on(pushing.endUpload),
  expireUpload: on(pushing.expireUpload),
  finishUpload: on(pushing.finishUpload),
  mountBlob: on(pushing.mountBlob),
  findAndLeaseBlob: on(pushing.findAndLeaseBlob),
  findAndLeaseManifest: on(pushing.findAndLeaseManifest),
  acceptManifest: on(pushing.acceptManifest),
  deleteManifest: on(deleting.deleteManifest),
  deleteRestorably: on(deletions.deleteRestorably),
  deleteTagRestorably: on(deletingImages.deleteTagRestorably),
  deleteImage: on(deletingImages.deleteImage),
  deleteRepository: on(deletingImages.deleteRepository),
  restoreDeletion: on(restoreDeletion),
  releaseDeletions: on(deletions.releaseDeletions),
  deleteTag: on(deleting.deleteTag),
  unlinkBlob: on(deleting.unlinkBlob),
  clearRedo: on(clearRedo),
  removeManifests: on(collecting.removeManifests),
  condemn: on(collecting.condemn),
  forget: on(collecting.forget),
  dropEmptyRepositories: on(collecting.dropEmptyRepositories),
  expireLeases: on(collecting.expireLeases),
  beginRun: on(runRecords.beginRun),
  endRun: on(runRecords.endRun),
  interruptRuns: on(runRecords.interruptRuns),
  createToken: on(tokens.createToken),
  revokeToken: on(tokens.revokeToken),
  noteTokenUse: on(tokens.noteTokenUse),
  enqueuePage: on(enqueuePage),
  beginPullTimes: on(beginPullTimes),
  recordPulls: on(recordPulls),
  retireImages: on(retaining.retireImages),
  retireUntagged: on(retaining.retireUntagged),
  setRetentionRuns: on(retaining.setRetentionRuns),
  startRebuild: on(comparing.startRebuild),
  loseBytes: on(comparing.loseBytes),
  recordProblems: on(comparing.recordProblems),
  setMeta: on(comparing.setMeta),
  setEventEndpoints: on(events.setEventEndpoints),
  settleEvents: on(events.settleEvents),
  forgetEvents: on(events.forgetEvents),
  queueEvents: on(events.queueEvents),
  countUsage: on(countStep),
  recountUsage: on(recountUsage),
  recordUsage: on(recordUsage),
  absorb: ({ sql, probe }: WriteContext, work: Parameters<typeof comparing.absorb>[2]): number =>
    comparing.absorb(sql, probe, work),
} as const;

export type OperationName = keyof typeof operations;

/** What clients add with, and what a full disk may do without. Everything else may use the space that is kept for a full disk. */
export const adding: ReadonlySet<OperationName> = new Set<OperationName>([
  "beginUpload",
  "touchUpload",
  "finishUpload",
  "mountBlob",
  "findAndLeaseBlob",
  "findAndLeaseManifest",
  "acceptManifest",
  "queueEvents",
  "restoreDeletion",
  "recordPulls",
  "recordUsage",
  "createToken",
  "noteTokenUse",
]);

type WithoutContext<F> = F extends (context: WriteContext, ...args: infer Args) => unknown
  ? Args
  : never;
export type OperationArguments<Name extends OperationName> = WithoutContext<
  (typeof operations)[Name]
>;
export type OperationResult<Name extends OperationName> = ReturnType<(typeof operations)[Name]>;

/** Runs the operations of a sqlite index, one transaction each or many sharing one. */
export interface Writer {
  /** How many operations it was ever asked to run. */
  readonly begun: number;
  /** How many of them are over, whether anybody still waited for them or not. */
  readonly answered: number;
  /** Resolves when the operation is durable. @throws UnavailableError when it waits too long. */
  run<Name extends OperationName>(
    name: Name,
    ...args: OperationArguments<Name>
  ): Promise<OperationResult<Name>>;
  checkpoint(): Promise<void>;
  close(): Promise<void>;
}
