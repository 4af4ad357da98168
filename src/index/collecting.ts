// The write operations of a collection. Each one decides again, on the facts as they are inside its
// transaction: a plan is only a list of where to look (INV-4, INV-6).
import {
  type Digest,
  digestFromBytes,
  digestToBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type {
  BlobFact,
  Candidate,
  CondemnOptions,
  CondemnOutcome,
  RemovedManifest,
  RepositoryManifest,
  Totals,
} from "../registry/ports/index.ts";
import {
  type ManifestRow,
  manifestRow,
  type Removal,
  removeLayer,
  removeManifest,
} from "./deleting.ts";
import type { Leased } from "./rows.ts";
import { dequeueBlob, dequeueManifest, enqueueRepository, noRepository } from "./queue.ts";
import { oweTree } from "./redo.ts";
import { findBlobRow, holdsNothing } from "./rows.ts";
import { blobState, namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";
import {
  blobStanding,
  candidateRow,
  hasUnlistable,
  type Judging,
  keepingOf,
  type Standing,
} from "./standing.ts";
import { removeHistory } from "./tagging.ts";

export function totals(sql: Sql): Totals {
  const row = sql.get<Omit<Totals, "repositories">>(
    "SELECT blobs, bytes AS blobBytes, manifests FROM totals",
  );
  const count = sql.get<{ n: number }>(
    "SELECT count(*) AS n FROM repositories WHERE manifests > 0",
  );
  return {
    blobs: row?.blobs ?? 0,
    blobBytes: row?.blobBytes ?? 0,
    manifests: row?.manifests ?? 0,
    repositories: count?.n ?? 0,
  };
}

export function removeManifests(
  sql: Sql,
  manifests: readonly RepositoryManifest[],
  judging: Judging,
): RemovedManifest[] {
  const removed: RemovedManifest[] = [];
  for (const manifest of manifests) {
    if (removed.length >= removedAtOnceMax) break;
    const row = manifestRow(sql, manifest);
    if (row === null) continue;
    const candidate = sql.get<{ untaggedSince: number }>(
      `SELECT untagged_since AS untaggedSince FROM manifest_candidates
       WHERE repository_id = ? AND blob_id = ?`,
      row.repositoryId,
      row.blobId,
    );
    if (candidate === null || !mayGo(sql, row, judging)) continue;
    const removal = { nowMs: judging.nowMs, untaggedSinceMs: candidate.untaggedSince };
    removeFromTheTop(sql, { ...manifest, ...row }, { removal, removed, seen: new Set() });
  }
  return removed;
}

/** Manifests removed with one call: at most 30 ms of the write lock. What is left stays due. */
const removedAtOnceMax = 100;

/**
 * What names a manifest goes before it: an index is never left without its children, not even by a run
 * that is stopped (INV-4). Nothing keeps a namer of what nothing keeps. False: too much is above it.
 */
function removeFromTheTop(sql: Sql, manifest: ManifestRow, climb: Climb): boolean {
  const { repository, repositoryId, blobId, digest } = manifest;
  if (climb.seen.size >= removedAtOnceMax) return false;
  climb.seen.add(blobId);
  for (const namer of namersInRepository(sql, manifest)) {
    // Bent manifests may name each other.
    if (climb.seen.has(namer.blobId)) continue;
    if (!removeFromTheTop(sql, { repository, repositoryId, ...namer }, climb)) return false;
  }
  const { tagHistory } = removeManifest(sql, manifest, climb.removal);
  climb.removed.push({ repository, digest, tagHistory });
  return true;
}

interface Climb {
  readonly removal: Removal;
  readonly removed: RemovedManifest[];
  readonly seen: Set<number>;
}

/** As many as could be removed at once; its referrers are none. */
function namersInRepository(sql: Sql, manifest: Leased): { blobId: number; digest: Digest }[] {
  return sql
    .all<{ blobId: number; digest: Uint8Array }>(
      `SELECT m.blob_id AS blobId, b.digest FROM named n CROSS JOIN manifests m CROSS JOIN blobs b
       WHERE n.blob_id = ?1 AND n.kind <> ${namedKind.subject}
         AND m.repository_id = ?2 AND m.blob_id = n.manifest_id AND b.id = m.blob_id
       LIMIT ?3`,
      manifest.blobId,
      manifest.repositoryId,
      removedAtOnceMax,
    )
    .map(({ blobId, digest }) => ({ blobId, digest: digestFromBytes(digest) }));
}

/** Decides on one candidate, and settles its place in the queue when it stays. */
function mayGo(sql: Sql, row: Leased, judging: Judging): boolean {
  const { keptBy, leasedUntilMs } = keepingOf(sql, row, judging);
  if (leasedUntilMs !== null) {
    postponeManifest(sql, row, leasedUntilMs);
    return false;
  }
  switch (keptBy) {
    case null:
      return true;
    case "policy":
      sql.run(
        "UPDATE manifest_candidates SET held = 1 WHERE repository_id = ? AND blob_id = ?",
        row.repositoryId,
        row.blobId,
      );
      return false;
    case "unreadable":
      // Stays due: nothing tells when what cannot be read has been mended.
      return false;
    case "tag":
    case "lease":
    case "namer":
      // Whatever ends this puts it into the queue again.
      dequeueManifest(sql, row);
      return false;
  }
}

function postponeManifest(sql: Sql, row: Leased, dueAtMs: number): void {
  sql.run(
    "UPDATE manifest_candidates SET due_at = ?, held = 0 WHERE repository_id = ? AND blob_id = ?",
    dueAtMs,
    row.repositoryId,
    row.blobId,
  );
}

export function condemn(
  sql: Sql,
  candidates: readonly Candidate[],
  options: CondemnOptions,
): CondemnOutcome {
  const condemned: BlobFact[] = [];
  const linksRemoved: RepositoryManifest[] = [];
  if (hasUnlistable(sql)) return { condemned, linksRemoved };
  const { lockMsMax = Number.POSITIVE_INFINITY } = options;
  const begunMs = performance.now();
  for (const [settled, candidate] of candidates.entries()) {
    if (settled > 0 && performance.now() - begunMs > lockMsMax) {
      return { condemned, linksRemoved, left: candidates.length - settled };
    }
    const row = candidateRow(sql, candidate);
    if (row === null) continue;
    const standing = blobStanding(sql, row, options.nowMs);
    const settling: Settling = { ...row, ...candidate, standing, options };
    const link = settleLink(sql, settling);
    if (link !== null) linksRemoved.push(link);
    if (!settleBlob(sql, settling, { linkStays: standing.linked && link === null })) continue;
    condemned.push({ digest: candidate.digest, sizeBytes: standing.sizeBytes });
    linksRemoved.push(...removeAllLinks(sql, candidate.digest, row.blobId));
  }
  return { condemned, linksRemoved };
}

interface Settling extends Leased, Candidate {
  readonly standing: Standing;
  readonly options: CondemnOptions;
}

/** A layer link goes only when no manifest and no lease of its repository needs it (INV-6). */
function settleLink(sql: Sql, settling: Settling): RepositoryManifest | null {
  const { repository, digest, standing } = settling;
  if (repository === null) return null;
  if (!standing.linked || standing.neededHere || standing.leasedHereUntilMs !== null) return null;
  if (isForeignYoung(settling)) return null;
  removeLayer(sql, { ...settling, repository });
  return { repository, digest };
}

/** True: nothing holds it, and it is condemned now. Otherwise its place in the queue is settled. */
function settleBlob(
  sql: Sql,
  settling: Settling,
  { linkStays }: { readonly linkStays: boolean },
): boolean {
  const { blobId, standing } = settling;
  // Whatever ends these puts it into the queue again.
  if (!standing.present || standing.referenced || standing.heldSinceMs !== null) {
    const linkWaits = linkStays && !standing.neededHere;
    if (!linkWaits) dequeueBlob(sql, settling);
    else if (standing.leasedHereUntilMs !== null) {
      postponeBlob(sql, settling, standing.leasedHereUntilMs);
    }
    return false;
  }
  if (standing.leasedUntilMs !== null) {
    postponeBlob(sql, settling, standing.leasedUntilMs);
    return false;
  }
  // Not put off: the next run may be asked for a shorter grace.
  if (isForeignYoung(settling)) return false;
  sql.run(
    `UPDATE blobs SET state = ${blobState.condemned}, foreign_since = NULL WHERE id = ?`,
    blobId,
  );
  sql.run("DELETE FROM blob_candidates WHERE blob_id = ?", blobId);
  return true;
}

/** Perhaps a push of another program that is under way (design §5): its bytes and links are spared. */
function isForeignYoung({ standing, options }: Settling): boolean {
  const { foreignSinceMs } = standing;
  return foreignSinceMs !== null && foreignSinceMs + options.foreignGraceMs > options.nowMs;
}

function postponeBlob(sql: Sql, row: Leased, dueAtMs: number): void {
  sql.run(
    "UPDATE blob_candidates SET due_at = ? WHERE repository_id = ? AND blob_id = ?",
    dueAtMs,
    row.repositoryId,
    row.blobId,
  );
}

function removeAllLinks(sql: Sql, digest: Digest, blobId: number): RepositoryManifest[] {
  const links = sql.all<{ repositoryId: number; repository: RepositoryName }>(
    `SELECT r.id AS repositoryId, r.name AS repository FROM layers l, repositories r
     WHERE l.blob_id = ? AND r.id = l.repository_id`,
    blobId,
  );
  for (const { repositoryId, repository } of links) {
    removeLayer(sql, { repositoryId, repository, blobId, digest });
  }
  return links.map(({ repository }) => ({ repository, digest }));
}

export function listCondemned(
  sql: Sql,
  page: { readonly after: Digest | null; readonly limit: number },
): BlobFact[] {
  return sql
    .all<{ digest: Uint8Array; size: number }>(
      `SELECT digest, size FROM blobs WHERE state = ${blobState.condemned} AND digest > ?
       ORDER BY digest LIMIT ?`,
      page.after === null ? new Uint8Array() : digestToBytes(page.after),
      page.limit,
    )
    .map((row) => ({ digest: digestFromBytes(row.digest), sizeBytes: row.size }));
}

export function isCondemned(sql: Sql, digest: Digest): boolean {
  return findBlobRow(sql, digest)?.state === blobState.condemned;
}

export function forget(sql: Sql, digests: readonly Digest[]): void {
  for (const digest of digests) {
    const blob = findBlobRow(sql, digest);
    if (blob?.state !== blobState.condemned) continue;
    // Something may have come to name it meanwhile (a subject, a sparse child): then only the bytes go.
    if (isNamedAnywhere(sql, blob.id)) {
      sql.run(`UPDATE blobs SET state = ${blobState.absent}, size = 0 WHERE id = ?`, blob.id);
    } else {
      sql.run("DELETE FROM blob_candidates WHERE blob_id = ?", blob.id);
      sql.run("DELETE FROM leases WHERE blob_id = ?", blob.id);
      sql.run("DELETE FROM blobs WHERE id = ?", blob.id);
    }
  }
}

function isNamedAnywhere(sql: Sql, blobId: number): boolean {
  return sql.has(
    `SELECT 1 WHERE EXISTS (SELECT 1 FROM named WHERE blob_id = ?1)
       OR EXISTS (SELECT 1 FROM manifests WHERE blob_id = ?1)
       OR EXISTS (SELECT 1 FROM layers WHERE blob_id = ?1)
       OR EXISTS (SELECT 1 FROM tags WHERE blob_id = ?1)
       OR EXISTS (SELECT 1 FROM tag_history WHERE blob_id = ?1)`,
    blobId,
  );
}

export function emptyRepositories(sql: Sql, limit: number): RepositoryName[] {
  return sql
    .all<{ name: RepositoryName }>(
      `SELECT r.name FROM repository_candidates c CROSS JOIN repositories r
       WHERE r.id = c.repository_id AND ${holdsNothing("r.id")} LIMIT ?`,
      limit,
    )
    .map(({ name }) => name);
}

export function dropEmptyRepositories(sql: Sql, limit: number): RepositoryName[] {
  const candidates = sql.all<{ id: number; name: RepositoryName; empty: number }>(
    `SELECT r.id, r.name, (${holdsNothing("r.id")}) AS empty
     FROM repository_candidates c CROSS JOIN repositories r WHERE r.id = c.repository_id LIMIT ?`,
    limit,
  );
  const dropped: RepositoryName[] = [];
  for (const { id, name, empty } of candidates) {
    sql.run("DELETE FROM repository_candidates WHERE repository_id = ?", id);
    if (empty === 0) continue;
    forgetRepository(sql, id, name);
    oweTree(sql, { kind: "repository", repository: name });
    dropped.push(name);
  }
  return dropped;
}

function forgetRepository(sql: Sql, id: number, repository: RepositoryName): void {
  const history = sql.all<{ tag: Tag; digest: Uint8Array; blobId: number }>(
    `SELECT h.name AS tag, b.digest, b.id AS blobId FROM tag_history h, blobs b
     WHERE h.repository_id = ? AND b.id = h.blob_id`,
    id,
  );
  for (const { tag, digest, blobId } of history) {
    removeHistory(sql, { repositoryId: id, repository, tag, blobId }, digestFromBytes(digest));
  }
  sql.run("DELETE FROM manifest_candidates WHERE repository_id = ?", id);
  // The repository's links are gone; the blobs behind them are still to be looked at.
  sql.run(
    `INSERT INTO blob_candidates (repository_id, blob_id, due_at)
     SELECT ${noRepository}, blob_id, due_at FROM blob_candidates WHERE repository_id = ?
     ON CONFLICT DO UPDATE SET due_at = min(due_at, excluded.due_at)`,
    id,
  );
  sql.run("DELETE FROM blob_candidates WHERE repository_id = ?", id);
  sql.run("DELETE FROM repositories WHERE id = ?", id);
}

export function expireLeases(
  sql: Sql,
  options: { readonly nowMs: number; readonly limit: number },
): number {
  const over = sql.all<{ repositoryId: number; caller: string; blobId: number }>(
    `SELECT repository_id AS repositoryId, caller, blob_id AS blobId FROM leases
     WHERE expires_at <= ? ORDER BY expires_at LIMIT ?`,
    options.nowMs,
    options.limit,
  );
  for (const { repositoryId, caller, blobId } of over) {
    sql.run(
      "DELETE FROM leases WHERE repository_id = ? AND caller = ? AND blob_id = ?",
      repositoryId,
      caller,
      blobId,
    );
    enqueueRepository(sql, repositoryId);
  }
  return over.length;
}
