// What holds a manifest or a blob: all that a decision to collect it needs, read in one state.
// The same questions are asked for the plan and again inside the transaction that acts on it.
import { type Digest, digestFromBytes, digestToBytes, type RepositoryName } from "../oci/index.ts";
import type {
  BlobStanding,
  Candidate,
  ManifestKeeper,
  ManifestStanding,
  QueuePage,
  RemovalPolicy,
  RepositoryManifest,
} from "../registry/ports/index.ts";
import { manifestRow } from "./deleting.ts";
import type { Leased } from "./rows.ts";
import { noRepository } from "./queue.ts";
import { findBlobRow, findRepository, repositoryName } from "./rows.ts";
import { blobState } from "./schema.ts";
import type { Sql } from "./sql.ts";

/**
 * Whatever leads to a manifest (?2) in its repository (?1), itself first: what names it, and its
 * subject; each step goes to what would have to be kept for its sake. Never ends in a loop.
 */
const leadingTo = `WITH RECURSIVE leads(id) AS (
    VALUES (?2)
    UNION
    SELECT n.manifest_id FROM leads, named n, manifests m
    WHERE n.blob_id = leads.id AND m.repository_id = ?1 AND m.blob_id = n.manifest_id
    UNION
    SELECT s.blob_id FROM leads, manifests m, manifests s
    WHERE m.repository_id = ?1 AND m.blob_id = leads.id
      AND s.repository_id = ?1 AND s.blob_id = m.subject_id
  )`;

export interface Judging {
  readonly nowMs: number;
  readonly policy: RemovalPolicy;
}

export interface Keeping {
  readonly keptBy: ManifestKeeper | null;
  readonly leasedUntilMs: number | null;
}

/**
 * What keeps a manifest: a tag, a live lease or the policy, on it or on anything that leads to it. Two
 * manifests that lead to each other keep nothing, and removing what is not kept changes nothing for the
 * rest: so a plan can foretell a whole run.
 */
export function keepingOf(sql: Sql, manifest: Leased, judging: Judging): Keeping {
  if (isUnjudgeable(sql, manifest.repositoryId)) return keptBy("unreadable");
  const row = [manifest.repositoryId, manifest.blobId];
  const tagged = sql.get<{ id: number }>(
    `${leadingTo} SELECT id FROM leads
     WHERE EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = ?1 AND t.blob_id = id) LIMIT 1`,
    ...row,
  );
  if (tagged !== null) return keptBy(tagged.id === manifest.blobId ? "tag" : "namer");
  const lease = sql.get<{ until: number | null; own: number | null }>(
    `${leadingTo} SELECT max(l.expires_at) AS until, max(l.blob_id = ?2) AS own
     FROM leads, leases l WHERE l.blob_id = leads.id AND l.repository_id = ?1 AND l.expires_at > ?3`,
    ...row,
    judging.nowMs,
  );
  if (lease !== null && lease.until !== null) {
    return { keptBy: lease.own === 1 ? "lease" : "namer", leasedUntilMs: lease.until };
  }
  return keptBy(isKeptByPolicy(sql, manifest, judging.policy) ? "policy" : null);
}

function keptBy(keeper: ManifestKeeper | null): Keeping {
  return { keptBy: keeper, leasedUntilMs: null };
}

/**
 * A referrer whose subject was removed goes in any case. Otherwise the policy keeps what has lost its tag
 * too lately or, when untagged manifests are not asked for, whatever does not hang on a subject; a child
 * that was never queued by itself hangs on what names it.
 */
function isKeptByPolicy(sql: Sql, manifest: Leased, policy: RemovalPolicy): boolean {
  return sql.has(
    `${leadingTo} SELECT 1 FROM leads, manifests m
     LEFT JOIN manifest_candidates c ON c.repository_id = ?1 AND c.blob_id = m.blob_id
     WHERE m.repository_id = ?1 AND m.blob_id = leads.id AND m.subject_removed = 0
       AND CASE WHEN ?3 THEN c.untagged_since > ?4
         ELSE NOT EXISTS (SELECT 1 FROM manifests s
           WHERE s.repository_id = ?1 AND s.blob_id = m.subject_id) END
     LIMIT 1`,
    manifest.repositoryId,
    manifest.blobId,
    policy.untagged ? 1 : 0,
    policy.untaggedBeforeMs,
  );
}

/** While some directory could not be listed, nothing is known to be unreferenced (INV-7). */
export function hasUnlistable(sql: Sql): boolean {
  return sql.has("SELECT 1 FROM problems WHERE kind = 'unlistable-directory'");
}

/** Policy stops in a repository where a manifest or a tag cannot be read (INV-7). */
export function isUnjudgeable(sql: Sql, repositoryId: number): boolean {
  return (
    hasUnlistable(sql) ||
    sql.has("SELECT 1 FROM manifests WHERE repository_id = ? AND unreadable = 1", repositoryId) ||
    sql.has(
      `SELECT 1 FROM repositories r, problems p
       WHERE r.id = ? AND p.kind = 'unreadable-tag' AND p.repository = r.name`,
      repositoryId,
    )
  );
}

interface ManifestCandidateRow extends Leased {
  readonly id: number;
  readonly dueAt: number;
  readonly digest: Uint8Array;
  readonly size: number;
}

type ManifestPage = QueuePage & { readonly policy: RemovalPolicy };

export function manifestCandidates(sql: Sql, page: ManifestPage): ManifestStanding[] {
  const due = manifestRows(sql, page, 0);
  const held = page.policy.untagged ? manifestRows(sql, page, 1) : [];
  // Both halves in one order, so that the last position of a page is where both go on.
  return [...due, ...held]
    .sort((a, b) => a.dueAt - b.dueAt || a.id - b.id)
    .slice(0, page.limit)
    .map((row) => ({
      position: [row.dueAt, row.id],
      repository: repositoryName(sql, row.repositoryId),
      digest: digestFromBytes(row.digest),
      sizeBytes: row.size,
      ...keepingOf(sql, row, page),
    }));
}

function manifestRows(sql: Sql, page: ManifestPage, held: 0 | 1): ManifestCandidateRow[] {
  const [dueMs, id] = page.after ?? [0, 0];
  return sql.all<ManifestCandidateRow>(
    `SELECT c.id, c.due_at AS dueAt, c.repository_id AS repositoryId, c.blob_id AS blobId, b.digest,
       b.size
     FROM manifest_candidates c, manifests m, blobs b
     WHERE c.held = ?1 AND c.due_at <= ?2 AND (c.due_at, c.id) > (?3, ?4)
       AND (c.held = 0 OR c.untagged_since <= ?6)
       AND m.repository_id = c.repository_id AND m.blob_id = c.blob_id AND b.id = c.blob_id
     ORDER BY c.due_at, c.id LIMIT ?5`,
    held,
    page.nowMs,
    dueMs,
    id,
    page.limit,
    // One that has lost its tag later than that is kept by the policy, whatever leads to it.
    page.policy.untaggedBeforeMs,
  );
}

export function manifestStandings(
  sql: Sql,
  manifests: readonly RepositoryManifest[],
  judging: Judging,
): ManifestStanding[] {
  return manifests.flatMap((manifest) => {
    const row = manifestRow(sql, manifest);
    if (row === null) return [];
    const sizeBytes = findBlobRow(sql, manifest.digest)?.size ?? 0;
    return [{ ...manifest, position: null, sizeBytes, ...keepingOf(sql, row, judging) }];
  });
}

interface BlobCandidateRow extends Leased {
  readonly id: number;
  readonly dueAt: number;
  readonly digest: Uint8Array;
  /** Null: an entry of no repository. */
  readonly repository: RepositoryName | null;
}

export function blobCandidates(sql: Sql, page: QueuePage): BlobStanding[] {
  const [dueMs, id] = page.after ?? [0, 0];
  const rows = sql.all<BlobCandidateRow>(
    `SELECT c.id, c.due_at AS dueAt, c.repository_id AS repositoryId, c.blob_id AS blobId, b.digest,
       r.name AS repository
     FROM blob_candidates c CROSS JOIN blobs b LEFT JOIN repositories r ON r.id = c.repository_id
     WHERE c.due_at <= ?1 AND (c.due_at, c.id) > (?2, ?3) AND b.id = c.blob_id
     ORDER BY c.due_at, c.id LIMIT ?4`,
    page.nowMs,
    dueMs,
    id,
    page.limit,
  );
  return rows.map((row) => ({
    ...blobStanding(sql, row, page.nowMs),
    position: [row.dueAt, row.id],
    repository: row.repository,
    digest: digestFromBytes(row.digest),
  }));
}

export function blobStandings(
  sql: Sql,
  candidates: readonly Candidate[],
  nowMs: number,
): BlobStanding[] {
  return candidates.flatMap(({ repository, digest }) => {
    const row = candidateRow(sql, { repository, digest });
    if (row === null) return [];
    return [{ ...blobStanding(sql, row, nowMs), position: null, repository, digest }];
  });
}

export function candidateRow(sql: Sql, candidate: Candidate): Leased | null {
  const blobId = findBlobRow(sql, candidate.digest)?.id;
  if (blobId === undefined) return null;
  if (candidate.repository === null) return { repositoryId: noRepository, blobId };
  return { repositoryId: findRepository(sql, candidate.repository) ?? noRepository, blobId };
}

export type Standing = Omit<BlobStanding, "position" | "repository" | "digest">;

/**
 * One statement, for it is asked of every candidate. Referenced: a live manifest is it or names it, or a
 * repository that cannot be judged links it (INV-6, INV-7); needed here: the same within the repository.
 */
const standingOfBlob = `
  SELECT b.size, b.state, b.foreign_since AS foreignSince,
    EXISTS (SELECT 1 FROM layers WHERE repository_id = ?1 AND blob_id = ?2) AS linked,
    (EXISTS (SELECT 1 FROM manifests WHERE repository_id = ?1 AND unreadable = 1)
      OR EXISTS (SELECT 1 FROM named n, manifests m
        WHERE n.blob_id = ?2 AND m.repository_id = ?1 AND m.blob_id = n.manifest_id)) AS needed,
    (EXISTS (SELECT 1 FROM named WHERE blob_id = ?2)
      OR EXISTS (SELECT 1 FROM manifests WHERE blob_id = ?2)
      OR EXISTS (SELECT 1 FROM layers l, manifests m
        WHERE l.blob_id = ?2 AND m.repository_id = l.repository_id AND m.unreadable = 1)
    ) AS referenced,
    (SELECT max(expires_at) FROM leases
      WHERE blob_id = ?2 AND repository_id = ?1 AND expires_at > ?3) AS leasedHere,
    (SELECT max(expires_at) FROM leases WHERE blob_id = ?2 AND expires_at > ?3) AS leased,
    (SELECT max(deleted_at) FROM deletion_holds WHERE digest = b.digest) AS heldSince
  FROM blobs b WHERE b.id = ?2`;

interface StandingRow {
  readonly size: number;
  readonly state: number;
  readonly foreignSince: number | null;
  readonly linked: number;
  readonly needed: number;
  readonly referenced: number;
  readonly leasedHere: number | null;
  readonly leased: number | null;
  readonly heldSince: number | null;
}

export function blobStanding(sql: Sql, row: Leased, nowMs: number): Standing {
  const blob = sql.get<StandingRow>(standingOfBlob, row.repositoryId, row.blobId, nowMs);
  if (blob === null) throw new Error(`blob ${row.blobId} is in use but not in the index`);
  const linked = blob.linked === 1;
  return {
    sizeBytes: blob.size,
    present: blob.state === blobState.present,
    linked,
    neededHere: linked && blob.needed === 1,
    referenced: blob.referenced === 1,
    leasedHereUntilMs: linked ? blob.leasedHere : null,
    leasedUntilMs: blob.leased,
    heldSinceMs: blob.heldSince,
    foreignSinceMs: blob.foreignSince,
  };
}

export function namedByManifest(sql: Sql, digest: Digest): Digest[] {
  return sql
    .all<{ digest: Uint8Array }>(
      `SELECT b.digest FROM blobs m, named n, blobs b
       WHERE m.digest = ? AND n.manifest_id = m.id AND b.id = n.blob_id`,
      digestToBytes(digest),
    )
    .map((row) => digestFromBytes(row.digest));
}

export function namersOf(
  sql: Sql,
  digest: Digest,
  page: {
    readonly offset: number;
    readonly limit: number;
    readonly repository: RepositoryName | null;
  },
): RepositoryManifest[] {
  const blobId = findBlobRow(sql, digest)?.id;
  if (blobId === undefined) return [];
  const repositoryId =
    page.repository === null ? null : (findRepository(sql, page.repository) ?? noRepository);
  return sql
    .all<{ repository: RepositoryName; digest: Uint8Array }>(
      `SELECT r.name AS repository, b.digest FROM (
         SELECT repository_id, blob_id FROM manifests WHERE blob_id = ?1
         UNION ALL
         SELECT m.repository_id, m.blob_id FROM named n, manifests m
         WHERE n.blob_id = ?1 AND m.blob_id = n.manifest_id
         UNION ALL
         SELECT m.repository_id, m.blob_id FROM layers l, manifests m
         WHERE l.blob_id = ?1 AND m.repository_id = l.repository_id AND m.unreadable = 1
       ) AS namer, repositories r, blobs b
       WHERE r.id = namer.repository_id AND b.id = namer.blob_id
         AND (?4 IS NULL OR namer.repository_id = ?4) LIMIT ?2 OFFSET ?3`,
      blobId,
      page.limit,
      page.offset,
      repositoryId,
    )
    .map((row) => ({ repository: row.repository, digest: digestFromBytes(row.digest) }));
}
