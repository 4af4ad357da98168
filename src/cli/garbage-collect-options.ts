// The flags of `registry garbage-collect` as what the collector understands. Pure.
import { parseGoDuration } from "../config/go-duration.ts";
import type { CollectOptions } from "../gc/index.ts";

/** As commander hands them over; a flag that was not given is absent. */
export interface GarbageCollectFlags {
  readonly dryRun?: boolean;
  readonly deleteUntagged?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly marks?: boolean;
  readonly full?: boolean;
  readonly grace?: string;
  readonly keepDeleted?: string;
  readonly history?: boolean;
  readonly limit?: string;
}

export interface GarbageCollectRequest {
  readonly options: CollectOptions;
  readonly quiet: boolean;
  readonly json: boolean;
}

export class FlagError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FlagError";
  }
}

/**
 * `graceMs`: of the configuration; `--grace` stands above it, for bytes taken in from the tree alone.
 * @throws FlagError
 */
export function readGarbageCollectFlags(
  flags: GarbageCollectFlags,
  graceMs: number,
): GarbageCollectRequest {
  const json = flags.json === true;
  const quiet = flags.quiet === true;
  if (flags.limit !== undefined) {
    throw new FlagError(
      "--limit goes with --history: how many runs are shown; nothing was collected",
    );
  }
  if (json && flags.marks === true) {
    throw new FlagError("--marks prints lines and --json prints a document; choose one of them");
  }
  const listing = json || quiet ? "nothing" : flags.marks === true ? "marks" : "repositories";
  return {
    options: {
      dryRun: flags.dryRun === true,
      untagged: flags.deleteUntagged === true,
      full: flags.full === true,
      foreignGraceMs: flags.grace === undefined ? graceMs : readDuration("--grace", flags.grace),
      keepDeletedMs:
        flags.keepDeleted === undefined ? 0 : readDuration("--keep-deleted", flags.keepDeleted),
      listing,
    },
    quiet,
    json,
  };
}

/** Runs that `--history` shows when `--limit` does not say. */
const historyMax = 20;

/** @throws FlagError */
export function readHistoryLimit({ limit }: GarbageCollectFlags): number {
  if (limit === undefined) return historyMax;
  if (/^[1-9]\d{0,5}$/.test(limit)) return Number(limit);
  throw new FlagError(`--limit: "${limit.slice(0, 80)}" is not a number of runs, 1 or more`);
}

function readDuration(flag: string, text: string): number {
  const ms = parseGoDuration(text);
  if (ms === null) {
    throw new FlagError(
      `${flag}: "${text.slice(0, 80)}" is not a duration; expected 0s, 90m or 1h`,
    );
  }
  return ms;
}
