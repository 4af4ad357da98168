// What becomes of an index that is damaged or gone, found at the start or while it is open: its files are
// moved aside, and a new one is built from the tree, which has all that matters. Puts the index, the tree's
// follower and the takeover together for that.
import { openIndex } from "../index/sqlite-index.ts";
import { type RenewableIndex, type Renewal, setAside } from "../index/renewable-index.ts";
import { IndexDamagedError } from "../index/sql.ts";
import type { Logger } from "../observability/index.ts";
import { adoptRoot } from "../owner/root-identity.ts";
import { payOwed } from "../registry/pay-owed.ts";
import { systemClock } from "../registry/ports/clock.ts";
import type { Index } from "../registry/ports/index.ts";
import type { Storage } from "../registry/ports/storage.ts";
import type { Reports } from "../registry/services.ts";
import { Agreement, type AgreementParts } from "../takeover/agreement.ts";
import { IndexUnreadableError } from "../takeover/run-scan.ts";

/** A damaged index is kept for whoever wants to look at it; the tree has all that matters. */
export async function openIndexOrSetAside(
  path: string,
  rootDirectory: string,
  logger: Logger,
): Promise<Index> {
  try {
    return await openIndex(path, rootDirectory);
  } catch (error) {
    if (!(error instanceof IndexDamagedError)) throw error;
    const aside = setAside(path) ?? path;
    logger.error(
      `the index is damaged (${error.message}); it was moved to ${aside} and is built again from the tree`,
    );
    return await openIndex(path, rootDirectory);
  }
}

export interface RenewalParts {
  readonly storage: Storage;
  readonly tree: AgreementParts["tree"];
  readonly reports: Reports;
  readonly log: AgreementParts["log"];
  /** What may be in the middle of something, and is refused whatever it asks of the index. */
  readonly collector: { settle(): Promise<void> };
  readonly follower: { settle(): Promise<void> };
  /** Who is to be notified of what happens from then on; what was queued is lost. */
  readonly endpoints: () => readonly string[];
  readonly failed: (error: Error) => void;
}

/** How an index that was lost while it was open is replaced. */
export function renewalOf(parts: RenewalParts): Renewal {
  const { storage, tree, reports, log, collector, follower } = parts;
  return {
    settle: async () => {
      await collector.settle();
      await follower.settle();
    },
    build: async (fresh, owed) => {
      await payOwed(owed, { storage, reports });
      await adoptRoot(fresh, storage);
      await fresh.setEventEndpoints(parts.endpoints());
      const agreement = { index: fresh, tree, clock: systemClock, isExclusive: false, log };
      await new Agreement(agreement).rebuild(new AbortController().signal);
    },
    failed: (error) => {
      parts.failed(error instanceof Error ? error : new Error(String(error)));
    },
    reports,
  };
}

/** A comparison has failed: over damage in the index? */
export function suspectDamage(index: RenewableIndex | null, error: unknown): void {
  if (!(error instanceof IndexUnreadableError)) return;
  index?.suspect(new IndexDamagedError(error.message, { cause: error }));
}
