// Where the disk went, over the whole registry: what repositories hold, and what nothing holds and why it
// is there all the same. Every byte that is stored is in exactly one of the parts.
import type { UsageSample, UsageTotals } from "../registry/ports/index.ts";
import { uploadDataPath } from "../storage/layout.ts";
import { type Untagged, findUntagged } from "./untagged.ts";
import type { UsageParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

export interface Amount {
  readonly blobs: number;
  readonly bytes: number;
}

export interface Growth {
  readonly days: number;
  readonly bytesPerDay: number;
}

export interface UsageSummary {
  readonly takenAtMs: number;
  /** Bytes of all blobs on disk: `du` of the blobs, upload files and links left out. */
  readonly storedBytes: number;
  readonly blobs: number;
  readonly manifests: number;
  readonly repositories: number;
  /** Parts of `storedBytes`. */
  readonly heldBytes: number;
  /** Only deletions that can be undone need them. */
  readonly restorable: Amount;
  /** Nothing refers to them, but somebody may be about to. */
  readonly leased: Amount;
  /** What cannot be read may need them (INV-7): what is in none of the other parts. */
  readonly mayBeHeldBytes: number;
  /** Nothing refers to them: the next collection frees them. */
  readonly waiting: Amount;
  /** A collection is removing them, or one that was stopped will. */
  readonly condemned: Amount;
  /** Of `heldBytes`: what only manifests hold that the next collection removes, such as stray referrers. */
  readonly garbage: Amount & { readonly atLeast: boolean };
  /** Of `heldBytes`: what `garbage-collect -m` would free beyond. */
  readonly untagged: Untagged;
  /** What repositories would take if nothing were shared. */
  readonly logicalBytes: number;
  /** `logicalBytes` by `storedBytes`; null: nothing is stored. */
  readonly dedupeRatio: number | null;
  /** Manifests that cannot be read; where there are some, exclusive bytes are an upper bound. */
  readonly unreadableManifests: number;
  /** Sessions, and the sizes of their files. Not part of `storedBytes`. */
  readonly uploads: { readonly sessions: number; readonly bytes: number };
  /** Over the last week and month, as far as the history goes back. */
  readonly growth: readonly Growth[];
}

export async function summarise(parts: UsageParts): Promise<UsageSummary> {
  const takenAtMs = parts.clock.now();
  const totals = await parts.index.usageTotals();
  const unheld = await findUnheld(parts);
  const condemned = await findCondemned(parts);
  const { garbage, untagged } = await findUntagged(parts);
  const storedBytes = totals.storedBytes + condemned.bytes;
  return {
    takenAtMs,
    storedBytes,
    blobs: totals.blobs + condemned.blobs,
    manifests: totals.manifests,
    repositories: totals.repositories,
    heldBytes: totals.heldBytes,
    ...unheld,
    mayBeHeldBytes: totals.unreadableManifests === 0 ? 0 : mayBeHeld(totals, unheld),
    condemned,
    garbage,
    untagged,
    logicalBytes: totals.logicalBytes,
    dedupeRatio: storedBytes === 0 ? null : totals.logicalBytes / storedBytes,
    unreadableManifests: totals.unreadableManifests,
    uploads: await findUploads(parts),
    growth: growthOf(totals, await parts.index.usageHistory(historyDaysMax), takenAtMs),
  };
}

class Sum implements Amount {
  blobs = 0;
  bytes = 0;

  add({ sizeBytes }: { readonly sizeBytes: number }): void {
    this.blobs += 1;
    this.bytes += sizeBytes;
  }

  get amount(): Amount {
    return { blobs: this.blobs, bytes: this.bytes };
  }
}

type Unheld = Pick<UsageSummary, "restorable" | "leased" | "waiting">;

function mayBeHeld({ storedBytes, heldBytes }: UsageTotals, unheld: Unheld): number {
  const { restorable, leased, waiting } = unheld;
  return storedBytes - heldBytes - restorable.bytes - leased.bytes - waiting.bytes;
}

async function findUnheld(parts: UsageParts): Promise<Unheld> {
  const { index } = parts;
  const nowMs = parts.clock.now();
  const [restorable, leased, waiting] = [new Sum(), new Sum(), new Sum()];
  for await (const page of walk(parts, (at) => index.scanRestorableBlobs(at))) {
    for (const blob of page) restorable.add(blob);
  }
  for await (const page of walk(parts, (at) => index.scanUnheldBlobs({ ...at, nowMs }))) {
    for (const blob of page) {
      if (blob.mayBeHeld || blob.isRestorable) continue;
      if (blob.isLeased) leased.add(blob);
      else waiting.add(blob);
    }
  }
  return {
    restorable: restorable.amount,
    leased: leased.amount,
    waiting: waiting.amount,
  };
}

async function findCondemned(parts: UsageParts): Promise<Amount> {
  const sum = new Sum();
  const pageMax = 200;
  let page = await parts.index.listCondemned({ after: null, limit: pageMax });
  for (;;) {
    for (const blob of page) sum.add(blob);
    const after = page.length < pageMax ? null : (page.at(-1)?.digest ?? null);
    if (after === null) return sum.amount;
    await parts.pause(0);
    page = await parts.index.listCondemned({ after, limit: pageMax });
  }
}

/** The index does not follow an upload's bytes; the storage is asked for the size of each file. */
async function findUploads(parts: UsageParts): Promise<UsageSummary["uploads"]> {
  const { index, storage } = parts;
  let sessions = 0;
  let bytes = 0;
  for await (const page of walk(parts, (at) => index.scanUploads(at))) {
    for (const { id, repository } of page) {
      sessions += 1;
      bytes += (await storage.stat(uploadDataPath(repository, id)))?.sizeBytes ?? 0;
    }
  }
  return { sessions, bytes };
}

const dayMs = 86_400_000;
const spansDays = [7, 30];
/** Samples looked at: one a day, and one more. */
const historyDaysMax = 32;

/** Growth is told over a day or more. Clocks that were set back have samples of the future: left out. */
export function growthOf(
  now: Pick<UsageTotals, "storedBytes">,
  history: readonly Pick<UsageSample, "takenAtMs" | "storedBytes">[],
  nowMs: number,
): Growth[] {
  const growths: Growth[] = [];
  for (const span of spansDays) {
    const since = history
      .filter(({ takenAtMs }) => takenAtMs <= nowMs - dayMs && takenAtMs >= nowMs - span * dayMs)
      .toSorted((a, b) => a.takenAtMs - b.takenAtMs)[0];
    if (since === undefined) continue;
    const days = (nowMs - since.takenAtMs) / dayMs;
    if (days <= (growths.at(-1)?.days ?? 0)) continue;
    growths.push({ days, bytesPerDay: (now.storedBytes - since.storedBytes) / days });
  }
  return growths;
}
