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
  if (json && flags.marks === true) {
    throw new FlagError("--marks prints lines and --json prints a document; choose one of them");
  }
  const listing = json || quiet ? "nothing" : flags.marks === true ? "marks" : "repositories";
  return {
    options: {
      dryRun: flags.dryRun === true,
      untagged: flags.deleteUntagged === true,
      full: flags.full === true,
      foreignGraceMs: flags.grace === undefined ? graceMs : readGrace(flags.grace),
      listing,
    },
    quiet,
    json,
  };
}

function readGrace(text: string): number {
  const ms = parseGoDuration(text);
  if (ms === null) {
    throw new FlagError(
      `--grace: "${text.slice(0, 80)}" is not a duration; expected 0s, 90m or 1h`,
    );
  }
  return ms;
}
