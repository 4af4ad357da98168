// What the API asks of others than the domain of the OCI endpoints: plain facts and requests. Implemented by
// the rooms that do the work; compose/api.ts puts them together.
import type { RunEntry, Totals } from "../../registry/ports/index.ts";
import type { DeletionService } from "../../registry/deletions.ts";
import type { Inspection } from "../../registry/inspection.ts";
import type { RestoreService } from "../../registry/restores.ts";
import type { RetentionRequests } from "../../retention/index.ts";
import type { UsageReports } from "../../usage/index.ts";

export interface ApiParts {
  readonly version: string;
  readonly driver: "filesystem" | "inmemory";
  /** Null for storage in memory. */
  readonly rootDirectory: string | null;
  readonly inspection: Inspection;
  readonly deletions: DeletionService;
  readonly restores: RestoreService;
  readonly usage: UsageReports;
  readonly retention: RetentionRequests;
  readonly totals: () => Promise<Totals>;
  /** Collections that are recorded, the youngest first. */
  readonly listRuns: (page: {
    readonly before: number | null;
    readonly limit: number;
  }) => Promise<readonly RunEntry[]>;
  /** Tree and index are known to agree (INV-8). */
  readonly isAgreed: () => boolean;
  readonly collection: CollectionControl;
  /** Null for storage in memory: there is nothing to verify. */
  readonly verification: VerificationControl | null;
}

/** Counts of what a run has removed, or would. */
interface Removed {
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly links: number;
  readonly repositories: number;
}

export interface CollectionProgress extends Removed {
  readonly startedAtMs: number;
  readonly dryRun: boolean;
  readonly untagged: boolean;
  readonly full: boolean;
  readonly askedBy: "background" | "command" | "api";
  readonly user: string | null;
  readonly failures: number;
  readonly expected: {
    readonly manifests: number;
    readonly blobs: number;
    readonly bytes: number;
    readonly atLeast: boolean;
  } | null;
}

interface Amount {
  readonly count: number;
  readonly bytes: number;
}

interface KeptAmount extends Amount {
  readonly untilMs: number | null;
}

export interface CollectionReport extends Removed {
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly dryRun: boolean;
  readonly completed: boolean;
  readonly stopped: string | null;
  readonly ok: boolean;
  readonly uploads: number;
  readonly candidates: number;
  readonly atLeast: boolean;
  readonly queueMissed: number | null;
  readonly untaggedKept: Amount & { readonly atLeast: boolean };
  readonly spared: {
    readonly leased: KeptAmount;
    readonly foreign: KeptAmount;
    readonly atLeast: boolean;
  };
  readonly restorable: KeptAmount & { readonly atLeast: boolean };
  readonly steppedOver: { readonly count: number; readonly atLeast: boolean };
  readonly errors: readonly string[];
}

export type CollectionResult =
  { readonly report: CollectionReport } | { readonly failure: string; readonly atMs: number };

export interface CollectionRequest {
  readonly dryRun: boolean;
  readonly untagged: boolean;
  readonly full: boolean;
  /** Null: as configured (`gc.grace`). */
  readonly graceMs: number | null;
  /** Null: as configured (`gc.keepdeleted`). */
  readonly keepDeletedMs: number | null;
  readonly user: string;
}

export interface CollectionControl {
  /** The run under way, whoever asked for it. */
  readonly current: () => CollectionProgress | null;
  readonly last: () => CollectionResult | null;
  /** One was asked for over this API that is not over. */
  readonly isAsked: () => boolean;
  /** Grows with every change of `current` and `last`. */
  readonly changes: () => number;
  /** False: another request is not over yet. */
  readonly start: (request: CollectionRequest) => boolean;
  /** False: there is nothing to stop. */
  readonly stop: () => boolean;
}

export interface VerificationRequest {
  readonly hash: boolean;
  readonly repair: boolean;
  readonly resume: boolean;
  readonly user: string;
}

interface VerificationFinding {
  readonly kind: string;
  readonly path: string;
  readonly detail: string;
}

export interface VerificationRun {
  readonly options: VerificationRequest;
  readonly startedAtMs: number;
  readonly progress: {
    readonly phase: "tree" | "blobs";
    readonly blobs: number;
    readonly blobsTotal: number;
    readonly bytes: number;
    readonly bytesTotal: number;
  } | null;
  readonly findings: readonly {
    readonly finding: VerificationFinding;
    readonly repair: { readonly isMended: boolean; readonly text: string } | null;
  }[];
  readonly findingsCount: number;
  readonly problems: readonly {
    readonly problem: VerificationFinding & { readonly repository: string | null };
    readonly isHarmless: boolean;
  }[];
  readonly problemsCount: number;
}

export interface VerificationResult extends VerificationRun {
  readonly endedAtMs: number;
  readonly report: {
    readonly isSound: boolean;
    readonly repositories: number;
    readonly manifests: number;
    readonly checked: { readonly blobs: number; readonly hashedBytes: number };
    readonly mended: number;
    readonly harmlessProblems: number;
    readonly todo: readonly string[];
    readonly durationMs: number;
  } | null;
  readonly failure: string | null;
  readonly isStopped: boolean;
}

export interface VerificationControl {
  readonly current: () => VerificationRun | null;
  readonly last: () => VerificationResult | null;
  /** False: one is under way. */
  readonly start: (request: VerificationRequest) => boolean;
  /** False: none is under way. */
  readonly stop: () => boolean;
}
