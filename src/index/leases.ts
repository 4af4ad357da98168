// Leases: what a client may be about to refer to is not collected meanwhile (INV-5).
// A lease belongs to (repository, digest, caller). Whatever is leased is a candidate from then on, due
// when the lease ends, so the end of a lease needs no event of its own.
import type { LeaseTerms } from "../registry/ports/index.ts";
import { enqueueBlob } from "./queue.ts";
import type { Leased } from "./rows.ts";
import type { Sql } from "./sql.ts";

/** Looking (HEAD) alone keeps a lease alive this long; then something has to be pushed (INV-5). */
const lookingRenewsForMs = 24 * 3600 * 1000;

interface LeaseRow {
  readonly expiresAt: number;
  readonly lookingSince: number | null;
}

/** The caller's live lease. One that is over counts for nothing, swept away or not. */
function find(sql: Sql, leased: Leased, terms: LeaseTerms): LeaseRow | null {
  return sql.get<LeaseRow>(
    `SELECT expires_at AS expiresAt, looking_since AS lookingSince FROM leases
     WHERE repository_id = ? AND caller = ? AND blob_id = ? AND expires_at > ?`,
    leased.repositoryId,
    terms.caller,
    leased.blobId,
    terms.nowMs,
  );
}

function write(sql: Sql, leased: Leased, lease: LeaseRow & { readonly caller: string }): void {
  sql.run(
    `INSERT INTO leases (repository_id, caller, blob_id, expires_at, looking_since)
     VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT DO UPDATE SET expires_at = max(expires_at, ?4), looking_since = ?5`,
    leased.repositoryId,
    lease.caller,
    leased.blobId,
    lease.expiresAt,
    lease.lookingSince,
  );
}

/** In whole milliseconds, as the index stores them. */
function endOf(terms: LeaseTerms): number {
  return Math.ceil(terms.nowMs + terms.graceMs);
}

/** The end of an upload, a mount, a manifest pushed by digest: a full lease. */
export function leaseByPush(sql: Sql, leased: Leased, terms: LeaseTerms): void {
  const expiresAt = endOf(terms);
  write(sql, leased, { caller: terms.caller, expiresAt, lookingSince: null });
  enqueueBlob(sql, leased, expiresAt);
}

/** A HEAD: a new lease, or a renewal of one with less than half of its time left, for at most 24 h. */
export function leaseByLook(sql: Sql, leased: Leased, terms: LeaseTerms): void {
  const lease = find(sql, leased, terms);
  if (!needsRenewal(lease, terms)) return;
  const expiresAt = endOf(terms);
  const lookingSince = lease?.lookingSince ?? terms.nowMs;
  write(sql, leased, { caller: terms.caller, expiresAt, lookingSince });
  // One that is renewed has been a candidate since it began, or is held by a manifest.
  if (lease === null) enqueueBlob(sql, leased, expiresAt);
}

function needsRenewal(lease: LeaseRow | null, terms: LeaseTerms): boolean {
  if (lease === null) return true;
  if (lease.expiresAt - terms.nowMs > terms.graceMs / 2) return false;
  return lease.lookingSince === null || terms.nowMs - lease.lookingSince < lookingRenewsForMs;
}

/** Whether a look would change nothing, so that no transaction need be written. */
export function isLeaseFresh(sql: Sql, leased: Leased, terms: LeaseTerms): boolean {
  return !needsRenewal(find(sql, leased, terms), terms);
}

/**
 * An upload that receives bytes keeps its caller's leases in the repository alive (INV-5); those with
 * more than half of their time left are not written again.
 */
export function renewLeases(sql: Sql, repositoryId: number, terms: LeaseTerms): void {
  sql.run(
    `UPDATE leases SET expires_at = ?3
     WHERE repository_id = ?1 AND caller = ?2 AND expires_at > ?4 AND expires_at <= ?5`,
    repositoryId,
    terms.caller,
    endOf(terms),
    terms.nowMs,
    terms.nowMs + terms.graceMs / 2,
  );
}

/** Ends one caller's lease, because it has moved. */
export function endLease(sql: Sql, leased: Leased, caller: string): void {
  sql.run(
    "DELETE FROM leases WHERE repository_id = ? AND caller = ? AND blob_id = ?",
    leased.repositoryId,
    caller,
    leased.blobId,
  );
}

/** Ends one caller's leases on all that a manifest names, because it was accepted from them (INV-5). */
export function endLeasesOnNamed(sql: Sql, manifest: Leased, caller: string): void {
  sql.run(
    `DELETE FROM leases WHERE repository_id = ?1 AND caller = ?2
       AND blob_id IN (SELECT blob_id FROM named WHERE manifest_id = ?3)`,
    manifest.repositoryId,
    caller,
    manifest.blobId,
  );
}

/** Ends every lease on what has left the repository: no manifest could be accepted with it any more. */
export function endAllLeases(sql: Sql, leased: Leased): void {
  sql.run(
    "DELETE FROM leases INDEXED BY leases_by_blob WHERE blob_id = ? AND repository_id = ?",
    leased.blobId,
    leased.repositoryId,
  );
}
