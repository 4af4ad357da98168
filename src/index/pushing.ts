// The write operations of a push. Each runs inside one transaction of the writer and is whole by itself.
import type { Digest, ParsedManifest, RepositoryName } from "../oci/index.ts";
import type {
  AcceptManifest,
  AcceptOutcome,
  BlobFact,
  LeaseTerms,
  ManifestFact,
  UploadFact,
} from "../registry/ports/index.ts";
import { forgetDeletion } from "./deletion-records.ts";
import { findHeldTag } from "./immutable.ts";
import {
  endLease,
  endLeasesOnNamed,
  isLeaseFresh,
  leaseByLook,
  leaseByPush,
  renewLeases,
} from "./leases.ts";
import { findBlob, findBlobHeldBy, findManifest } from "./lookups.ts";
import {
  dequeueNamed,
  enqueueBlob,
  enqueueManifest,
  hastenManifest,
  enqueueRepository,
  enqueueWholeRepository,
  noRepository,
} from "./queue.ts";
import { isTooDeep } from "./nesting.ts";
import { withinQuotas } from "./quotas.ts";
import { oweTree } from "./redo.ts";
import { ensureBlob, ensureRepository, findBlobRow, findRepository, type Leased } from "./rows.ts";
import { blobState, manifestContent, namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";
import { pointTag } from "./tagging.ts";

/** False: the repository has as many sessions as it may have. */
export function beginUpload(
  sql: Sql,
  upload: UploadFact & { readonly terms: LeaseTerms; readonly sessionsMax?: number | null },
): boolean {
  const { sessionsMax = null } = upload;
  const known = sessionsMax === null ? null : findRepository(sql, upload.repository);
  if (known !== null && sessionsMax !== null && hasUploads(sql, known, sessionsMax)) return false;
  const repositoryId = ensureRepository(sql, upload.repository);
  sql.run(
    "INSERT INTO uploads (id, repository_id, owner, started_at, touched_at) VALUES (?, ?, ?, ?, ?)",
    upload.id,
    repositoryId,
    upload.owner,
    upload.startedAtMs,
    upload.terms.nowMs,
  );
  renewLeases(sql, repositoryId, upload.terms);
  return true;
}

/** Whether the repository has so many open sessions: no more of them are looked at. */
function hasUploads(sql: Sql, repositoryId: number, count: number): boolean {
  return sql.has(
    "SELECT 1 FROM uploads WHERE repository_id = ? LIMIT 1 OFFSET ?",
    repositoryId,
    count - 1,
  );
}

export function touchUpload(
  sql: Sql,
  upload: { readonly id: string; readonly repository: RepositoryName; readonly terms: LeaseTerms },
): void {
  sql.run("UPDATE uploads SET touched_at = ? WHERE id = ?", upload.terms.nowMs, upload.id);
  const repositoryId = findRepository(sql, upload.repository);
  if (repositoryId !== null) renewLeases(sql, repositoryId, upload.terms);
}

export function expireUpload(sql: Sql, id: string, idleSinceMs: number): boolean {
  if (!sql.has("SELECT 1 FROM uploads WHERE id = ? AND touched_at < ?", id, idleSinceMs)) {
    return false;
  }
  endUpload(sql, id);
  return true;
}

export function endUpload(sql: Sql, id: string): void {
  const row = sql.get<{ repositoryId: number }>(
    "SELECT repository_id AS repositoryId FROM uploads WHERE id = ?",
    id,
  );
  if (row === null) return;
  sql.run("DELETE FROM uploads WHERE id = ?", id);
  enqueueRepository(sql, row.repositoryId);
}

export function finishUpload(
  sql: Sql,
  finished: {
    readonly id: string | null;
    readonly repository: RepositoryName;
    readonly digest: Digest;
    readonly sizeBytes: number;
    readonly terms: LeaseTerms;
  },
): void {
  const leased: Leased = {
    repositoryId: ensureRepository(sql, finished.repository),
    blobId: ensureBlob(sql, finished.digest),
  };
  markPresent(sql, leased.blobId, finished.sizeBytes);
  linkLayer(sql, leased, finished);
  leaseByPush(sql, leased, finished.terms);
  if (finished.id !== null) sql.run("DELETE FROM uploads WHERE id = ?", finished.id);
}

/** The bytes are at their final path (INV-1): whatever the blob was before, now it exists. */
function markPresent(sql: Sql, blobId: number, sizeBytes: number): void {
  sql.run(
    `UPDATE blobs SET state = ${blobState.present}, size = ?1, foreign_since = NULL WHERE id = ?2
     AND (state <> ${blobState.present} OR size <> ?1 OR foreign_since NOT NULL)`,
    sizeBytes,
    blobId,
  );
}

export function linkLayer(
  sql: Sql,
  leased: Leased,
  layer: { readonly repository: RepositoryName; readonly digest: Digest },
): void {
  const added = sql.run(
    "INSERT OR IGNORE INTO layers (repository_id, blob_id) VALUES (?, ?)",
    leased.repositoryId,
    leased.blobId,
  );
  if (added > 0)
    oweTree(sql, { kind: "layer", repository: layer.repository, digest: layer.digest });
}

export function mountBlob(
  sql: Sql,
  mount: {
    readonly digest: Digest;
    readonly from: RepositoryName | null;
    readonly to: RepositoryName;
    readonly terms: LeaseTerms;
  },
): BlobFact | null {
  const source = mountSource(sql, mount.digest, mount.from);
  if (source === null) return null;
  const leased: Leased = {
    repositoryId: ensureRepository(sql, mount.to),
    blobId: source.blobId,
  };
  linkLayer(sql, leased, { repository: mount.to, digest: mount.digest });
  leaseByPush(sql, leased, mount.terms);
  // The caller's lease moves: what they were about to refer to there, they now refer to here (INV-5).
  if (source.repositoryId !== null && source.repositoryId !== leased.repositoryId) {
    const left: Leased = { repositoryId: source.repositoryId, blobId: source.blobId };
    endLease(sql, left, mount.terms.caller);
    enqueueBlob(sql, left, mount.terms.nowMs);
    hastenManifest(sql, left, mount.terms.nowMs);
  }
  return { digest: mount.digest, sizeBytes: source.size };
}

function mountSource(
  sql: Sql,
  digest: Digest,
  from: RepositoryName | null,
): { blobId: number; size: number; repositoryId: number | null } | null {
  const blob = findBlobRow(sql, digest);
  if (blob === null || blob.state !== blobState.present) return null;
  if (from !== null) {
    const repositoryId = findRepository(sql, from);
    if (repositoryId === null || findBlob(sql, from, digest) === null) return null;
    return { blobId: blob.id, size: blob.size, repositoryId };
  }
  if (!sql.has("SELECT 1 FROM layers WHERE blob_id = ?", blob.id)) return null;
  return { blobId: blob.id, size: blob.size, repositoryId: null };
}

interface Wanted {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

type Find<Fact> = (sql: Sql, repository: RepositoryName, digest: Digest) => Fact | null;

export function findAndLeaseBlob(sql: Sql, wanted: Wanted, terms: LeaseTerms): BlobFact | null {
  const blob = findBlob(sql, wanted.repository, wanted.digest);
  if (blob !== null) leaseByLook(sql, leasedRow(sql, wanted), terms);
  return blob;
}

export function findAndLeaseManifest(
  sql: Sql,
  wanted: Wanted,
  terms: LeaseTerms,
): ManifestFact | null {
  const manifest = findManifest(sql, wanted.repository, wanted.digest);
  if (manifest !== null) leaseByLook(sql, leasedRow(sql, wanted), terms);
  return manifest;
}

/** What the two above would find, as long as they would have nothing to write: then a look is only a look. */
function lookAt<Fact>(
  find: Find<Fact>,
): (sql: Sql, wanted: Wanted, terms: LeaseTerms) => Fact | null | "lease-due" {
  return (sql, wanted, terms) => {
    const fact = find(sql, wanted.repository, wanted.digest);
    if (fact === null || isLeaseFresh(sql, leasedRow(sql, wanted), terms)) return fact;
    return "lease-due";
  };
}

export const lookAtBlob = lookAt(findBlob);
export const lookAtManifest = lookAt(findManifest);

/** The rows of what has been found in this state. */
function leasedRow(sql: Sql, { repository, digest }: Wanted): Leased {
  return { repositoryId: ensureRepository(sql, repository), blobId: ensureBlob(sql, digest) };
}

export function acceptManifest(sql: Sql, accept: AcceptManifest): AcceptOutcome {
  const { bounds, repository, digest, tags } = accept;
  const wanted = { repositoryId: findRepository(sql, repository), tags, digest };
  const held = findHeldTag(sql, wanted, bounds?.immutable);
  if (held !== null) {
    return { accepted: false, missing: [], denied: { kind: "immutable", ...held } };
  }
  const { missing, found } = findRequired(sql, accept);
  if (missing.length > 0) return { accepted: false, missing };
  if (isNestedTooDeep(sql, accept, found)) return { accepted: false, missing, isTooDeep: true };
  const { over, near } = withinQuotas(sql, bounds?.quotas ?? [], {
    begin: () => {
      markPresent(sql, ensureBlob(sql, digest), accept.sizeBytes);
      return ensureRepository(sql, repository);
    },
    accept: (repositoryId) => {
      enterManifest(sql, { repositoryId, blobId: ensureBlob(sql, digest) }, { accept, found });
    },
  });
  if (over !== null) return { accepted: false, missing: [], denied: { kind: "quota", ...over } };
  return near.length === 0 ? { accepted: true } : { accepted: true, near };
}

function isNestedTooDeep(
  sql: Sql,
  { required, indexLevelsMax = null }: AcceptManifest,
  found: ReadonlyMap<Digest, number>,
): boolean {
  if (indexLevelsMax === null) return false;
  const children = required
    .filter(({ kind }) => kind === "manifest")
    .map(({ digest }) => found.get(digest))
    .filter((id) => id !== undefined);
  return children.length > 0 && isTooDeep(sql, children, indexLevelsMax);
}

function enterManifest(
  sql: Sql,
  manifest: Leased,
  { accept, found }: { readonly accept: AcceptManifest; readonly found: Map<Digest, number> },
): void {
  const isNew = recordManifest(sql, manifest, {
    ...accept,
    nowMs: accept.terms.nowMs,
    content: "read",
    blobIds: found,
  });
  if (isNew) {
    oweTree(sql, { kind: "revision", repository: accept.repository, digest: accept.digest });
  }
  for (const tag of accept.tags) {
    const change = { nowMs: accept.terms.nowMs, owe: true };
    pointTag(
      sql,
      { ...manifest, repository: accept.repository, tag, digest: accept.digest },
      change,
    );
  }
  settleLeases(sql, manifest, accept);
}

/** What is required: missing if it is not in the repository or is condemned, else found (INV-4). */
function findRequired(
  sql: Sql,
  accept: AcceptManifest,
): { missing: Digest[]; found: Map<Digest, number> } {
  const repositoryId = findRepository(sql, accept.repository) ?? noRepository;
  const missing: Digest[] = [];
  const found = new Map<Digest, number>();
  for (const { digest } of accept.required) {
    const id = findBlobHeldBy(sql, repositoryId, digest);
    if (id === null) missing.push(digest);
    else found.set(digest, id);
  }
  return { missing, found };
}

export interface RecordManifest {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly manifest: ParsedManifest;
  readonly nowMs: number;
  readonly content: keyof typeof manifestContent;
  /** Rows of what it names, as far as they have been looked up already. */
  readonly blobIds?: ReadonlyMap<Digest, number>;
}

/** Writes the manifest's row and what it names, in whatever repository that was known before. True: new here. */
export function recordManifest(sql: Sql, row: Leased, record: RecordManifest): boolean {
  const { manifest } = record;
  const subjectId = manifest.subject === null ? null : ensureBlob(sql, manifest.subject);
  const before = sql.get<{ unreadable: number }>(
    "SELECT unreadable FROM manifests WHERE repository_id = ? AND blob_id = ?",
    row.repositoryId,
    row.blobId,
  );
  // Before the manifest's row, so that what it names is counted all at once (usage-schema.ts).
  for (const { digest, kind } of manifest.references) {
    sql.run(
      "INSERT OR IGNORE INTO named (manifest_id, blob_id, kind) VALUES (?, ?, ?)",
      row.blobId,
      record.blobIds?.get(digest) ?? ensureBlob(sql, digest),
      namedKind[kind],
    );
  }
  sql.run(
    `INSERT INTO manifests (repository_id, blob_id, media_type, subject_id, artifact_type, annotations,
       pushed_at, unreadable) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
     ON CONFLICT DO UPDATE SET media_type = ?3, subject_id = ?4, artifact_type = ?5,
       annotations = ?6, pushed_at = ?7, unreadable = ?8, subject_removed = 0`,
    row.repositoryId,
    row.blobId,
    manifest.mediaType,
    subjectId,
    manifest.artifactType,
    manifest.annotations === null ? null : JSON.stringify(manifest.annotations),
    record.nowMs,
    manifestContent[record.content],
  );
  if (before === null) forgetDeletion(sql, record, record.nowMs);
  // Referrers that were left behind by a removed subject have it again.
  sql.run(
    `UPDATE manifests INDEXED BY manifests_by_subject SET subject_removed = 0
     WHERE repository_id = ? AND subject_id = ? AND subject_removed = 1`,
    row.repositoryId,
    row.blobId,
  );
  if (before?.unreadable === manifestContent.unreadable && record.content !== "unreadable") {
    enqueueWholeRepository(sql, row.repositoryId, record.nowMs);
  }
  return before === null;
}

function settleLeases(sql: Sql, manifest: Leased, accept: AcceptManifest): void {
  const { repositoryId } = manifest;
  endLeasesOnNamed(sql, manifest, accept.terms.caller);
  dequeueNamed(sql, manifest);
  if (accept.leaseManifest) leaseByPush(sql, manifest, accept.terms);
  const tagged = sql.has(
    "SELECT 1 FROM tags WHERE repository_id = ? AND blob_id = ?",
    repositoryId,
    manifest.blobId,
  );
  if (!tagged) enqueueManifest(sql, manifest, { nowMs: accept.terms.nowMs });
}
