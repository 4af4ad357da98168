// Puts verify and the scrub together with the root that they work on: who mends, where a stopped run goes
// on, what is told.
import type { Config } from "../config/index.ts";
import type { Logger } from "../observability/index.ts";
import type { Asker } from "../owner/control-socket.ts";
import type { DigestLocks } from "../registry/keyed-locks.ts";
import type { Clock } from "../registry/ports/clock.ts";
import type { EnqueuePage, Index } from "../registry/ports/index.ts";
import type { Storage } from "../registry/ports/storage.ts";
import { Quarantine } from "../registry/quarantine.ts";
import { reindexTeller, wantsReindexProgress } from "../takeover/reindex-progress.ts";
import { patiently } from "../takeover/patiently.ts";
import { Scrub } from "../takeover/scrub.ts";
import { parseVerifyPosition, type VerifyPosition } from "../takeover/reading-position.ts";
import type { Seen } from "../takeover/scan.ts";
import { sleepUnless } from "../takeover/agreement.ts";
import { parseVerifyOptions, type VerifyEvent } from "../takeover/verify-events.ts";
import type { VerifyCounts } from "../takeover/verify-findings.ts";
import type { RepairParts } from "../takeover/verify-repair.ts";
import { verifyRegistry } from "../takeover/verify.ts";

export interface VerifiedRoot {
  readonly tree: { readonly rootDirectory: string; readonly indexPath: string };
  readonly index: Index;
  readonly storage: Storage;
  readonly locks: DigestLocks;
  readonly clock: Clock;
  /** Nobody is served meanwhile. */
  readonly isAlone: boolean;
}

/** The exit code: 0 when nothing is wrong, or nothing any more. */
export async function verifyRoot(
  root: VerifiedRoot,
  options: unknown,
  asker: Asker,
): Promise<number> {
  const { index } = root;
  const { hash, repair, resume, progress } = parseVerifyOptions(options);
  const teller = new Teller(asker);
  const position = hash && resume ? await positionOf(index) : null;
  if (resume && position === null) await teller.tell({ kind: "nothing-to-resume" });
  const { blobs, blobBytes } = await index.totals();
  const totals = { blobsTotal: blobs, bytesTotal: hash ? blobBytes : 0 };
  if (progress) {
    await teller.tell({ kind: "progress", phase: "tree", blobs: 0, bytes: 0, ...totals });
  }
  const report = await verifyRegistry({
    ...root,
    hash,
    resume: position,
    repair: repair ? repairParts(root, asker.signal) : null,
    observer: {
      finding: (finding, repaired) => teller.tell({ kind: "finding", finding, repair: repaired }),
      problem: (problem, isHarmless) => teller.tell({ kind: "problem", problem, isHarmless }),
      position: async (at) => {
        const text = JSON.stringify(at);
        await patiently(() => index.setReadingPosition("verify", text), asker.signal);
      },
      ...(progress
        ? {
            progress: (seen, counts) => {
              teller.tellIfHeard({ kind: "progress", ...progressOf(seen, counts), ...totals });
            },
          }
        : {}),
    },
    signal: asker.signal,
  });
  if (hash) await patiently(() => index.setReadingPosition("verify", null), asker.signal);
  await teller.tell({ kind: "summary", report });
  return report.isSound ? 0 : 1;
}

/** Tells in order. */
class Teller {
  readonly #asker: Asker;
  #told: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(asker: Asker) {
    this.#asker = asker;
  }

  /** Resolves when whoever asked has taken it. */
  tell(event: VerifyEvent): Promise<void> {
    this.#waiting += 1;
    this.#told = this.#told
      .then(() => this.#asker.tell(event))
      .finally(() => {
        this.#waiting -= 1;
      });
    return this.#told;
  }

  /** Left out while something else waits to be taken: there is more where it came from. */
  tellIfHeard(event: VerifyEvent): void {
    if (this.#waiting > 0) return;
    // Whoever has gone away is noticed by what must be told.
    this.tell(event).catch(() => undefined);
  }
}

async function positionOf(index: Index): Promise<VerifyPosition | null> {
  return parseVerifyPosition(await index.readingPosition("verify"));
}

function progressOf(
  seen: Seen,
  counts: VerifyCounts | null,
): { readonly phase: "tree" | "blobs"; readonly blobs: number; readonly bytes: number } {
  return counts === null || counts.blobs === 0
    ? { phase: "tree", blobs: seen.blobs, bytes: 0 }
    : { phase: "blobs", blobs: counts.blobs, bytes: counts.hashedBytes };
}

/** Rows of a table that one transaction looks at. */
const requeuePageSize = 1_000;

function repairParts(root: VerifiedRoot, signal: AbortSignal): RepairParts {
  const { index, storage, locks, clock } = root;
  const quarantine = new Quarantine({ index, storage, locks });
  return {
    quarantine: (digest) => quarantine.check(digest),
    absorb: async (difference) => {
      const options = { nowMs: clock.now(), recheck: true };
      return (await patiently(() => index.absorb([difference], options), signal)) > 0;
    },
    recountUsage: (repository) => patiently(() => index.recountUsage(repository), signal),
    requeue: async () => {
      for (const what of ["blobs", "layers"] as const) {
        let after: string | null = null;
        do {
          const page: EnqueuePage = { what, after, limit: requeuePageSize, nowMs: clock.now() };
          after = (await patiently(() => index.enqueuePage(page), signal)).next;
        } while (after !== null);
      }
    },
  };
}

/** Null: it is off, or the registry is not to be changed. */
export function scrubOf(
  root: Omit<VerifiedRoot, "isAlone">,
  config: Config,
  logger: Logger,
): Scrub | null {
  const { scrub } = config.verify;
  const { index, storage, locks } = root;
  if (!scrub.enabled || config.storage.maintenance.readOnly.enabled) return null;
  const quarantine = new Quarantine({ index, storage, locks });
  return new Scrub({
    ...root,
    repair: { quarantine: (digest) => quarantine.check(digest) },
    sleep: sleepUnless,
    log: {
      info: (message) => {
        logger.info(message);
      },
      warn: (message) => {
        logger.warn(message);
      },
      error: (message) => {
        logger.error(message);
      },
    },
    options: scrub,
  });
}

/** Null: nobody looks. */
export async function reindexProgress(
  index: Index,
  asked: { readonly options: unknown; readonly tell: Asker["tell"] } | undefined,
): Promise<ReturnType<typeof reindexTeller> | null> {
  if (asked === undefined || !wantsReindexProgress(asked.options)) return null;
  const { blobs } = await index.totals();
  const blobsTotal = blobs === 0 ? null : blobs;
  await asked.tell({ kind: "progress", blobs: 0, blobsTotal, isFinishing: false });
  return reindexTeller(blobsTotal, asked.tell);
}
