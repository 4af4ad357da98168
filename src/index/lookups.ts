// What requests ask: each look-up is one or two probes of an index, never a walk over a table that
// grows with the registry (index/query-plans.test.ts shows the plans; INDEXED BY stands where SQLite,
// which knows no numbers of rows, would walk over a whole repository).
import {
  type Digest,
  digestFromBytes,
  digestToBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type {
  BlobFact,
  ManifestFact,
  Page,
  ReferrerFact,
  UploadFact,
} from "../registry/ports/index.ts";
import { findBlobRow, findRepository } from "./rows.ts";
import type { Sql } from "./sql.ts";

const lookupStatements = {
  blobInRepository: `SELECT b.size FROM repositories r, blobs b
    WHERE r.name = ?1 AND b.digest = ?2 AND b.state = 1
      AND (EXISTS (SELECT 1 FROM layers l WHERE l.repository_id = r.id AND l.blob_id = b.id)
        OR EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id AND m.blob_id = b.id))`,
  blobHeldBy: `SELECT id FROM blobs WHERE digest = ?2 AND state = 1
      AND (EXISTS (SELECT 1 FROM layers l WHERE l.repository_id = ?1 AND l.blob_id = id)
        OR EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = ?1 AND m.blob_id = id))`,
  blobAnywhere: "SELECT size FROM blobs WHERE digest = ? AND state = 1",
  manifestByDigest: `SELECT b.size, m.media_type AS mediaType
    FROM repositories r, blobs b, manifests m
    WHERE r.name = ?1 AND b.digest = ?2 AND b.state = 1
      AND m.repository_id = r.id AND m.blob_id = b.id AND m.unreadable = 0`,
  manifestByTag: `SELECT b.digest, b.size, m.media_type AS mediaType
    FROM repositories r, tags t, manifests m, blobs b
    WHERE r.name = ?1 AND t.repository_id = r.id AND t.name = ?2
      AND m.repository_id = r.id AND m.blob_id = t.blob_id AND m.unreadable = 0
      AND b.id = t.blob_id AND b.state = 1`,
  tags: "SELECT name FROM tags WHERE repository_id = ? AND name > ? ORDER BY name LIMIT ?",
  repositories:
    "SELECT name FROM repositories WHERE manifests > 0 AND name > ? ORDER BY name LIMIT ?",
  referrers: `SELECT b.digest, b.size, m.media_type AS mediaType, m.artifact_type AS artifactType,
      m.annotations
    FROM manifests m INDEXED BY manifests_by_subject, blobs b
    WHERE m.repository_id = ?1 AND m.subject_id = ?2 AND b.id = m.blob_id AND b.state = 1
      AND m.unreadable = 0 AND b.digest > ?3 AND (?4 IS NULL OR m.artifact_type = ?4)
    ORDER BY b.digest LIMIT ?5`,
  upload: `SELECT u.id, u.owner, u.started_at AS startedAtMs FROM uploads u, repositories r
    WHERE u.id = ?1 AND r.id = u.repository_id AND r.name = ?2`,
  idleUploads: `SELECT u.id, u.owner, u.started_at AS startedAtMs, r.name AS repository
    FROM uploads u, repositories r WHERE u.touched_at < ?1 AND r.id = u.repository_id
    ORDER BY u.touched_at LIMIT ?2`,
} as const;

export function findBlob(sql: Sql, repository: RepositoryName, digest: Digest): BlobFact | null {
  const text = lookupStatements.blobInRepository;
  const row = sql.get<{ size: number }>(text, repository, digestToBytes(digest));
  return row === null ? null : { digest, sizeBytes: row.size };
}

/** The row of a blob that `findBlob` would find. */
export function findBlobHeldBy(sql: Sql, repositoryId: number, digest: Digest): number | null {
  const text = lookupStatements.blobHeldBy;
  return sql.get<{ id: number }>(text, repositoryId, digestToBytes(digest))?.id ?? null;
}

export function findBlobAnywhere(sql: Sql, digest: Digest): BlobFact | null {
  const row = sql.get<{ size: number }>(lookupStatements.blobAnywhere, digestToBytes(digest));
  return row === null ? null : { digest, sizeBytes: row.size };
}

export function findManifest(
  sql: Sql,
  repository: RepositoryName,
  digest: Digest,
): ManifestFact | null {
  const row = sql.get<{ size: number; mediaType: string }>(
    lookupStatements.manifestByDigest,
    repository,
    digestToBytes(digest),
  );
  return row === null ? null : { digest, sizeBytes: row.size, mediaType: row.mediaType };
}

export function findTag(sql: Sql, repository: RepositoryName, tag: Tag): ManifestFact | null {
  const row = sql.get<{ digest: Uint8Array; size: number; mediaType: string }>(
    lookupStatements.manifestByTag,
    repository,
    tag,
  );
  if (row === null) return null;
  return { digest: digestFromBytes(row.digest), sizeBytes: row.size, mediaType: row.mediaType };
}

export function findSizes(sql: Sql, digests: readonly Digest[]): Map<Digest, number> {
  const sizes = new Map<Digest, number>();
  for (const digest of digests) {
    const blob = findBlobAnywhere(sql, digest);
    if (blob !== null) sizes.set(digest, blob.sizeBytes);
  }
  return sizes;
}

export function listTags(sql: Sql, repository: RepositoryName, page: Page): Tag[] | null {
  const id = findRepository(sql, repository);
  if (id === null) return null;
  return sql
    .all<{ name: Tag }>(lookupStatements.tags, id, page.after ?? "", page.limit)
    .map((row) => row.name);
}

export function listRepositories(sql: Sql, page: Page): RepositoryName[] {
  return sql
    .all<{ name: RepositoryName }>(lookupStatements.repositories, page.after ?? "", page.limit)
    .map((row) => row.name);
}

/** In the order of the index of layers, so that a page is as cheap as its rows. */
export function listHolders(
  sql: Sql,
  digest: Digest,
  page: { readonly offset: number; readonly limit: number },
): RepositoryName[] {
  return sql
    .all<{ name: RepositoryName }>(
      `SELECT repositories.name FROM blobs
       JOIN layers ON layers.blob_id = blobs.id
       JOIN repositories ON repositories.id = layers.repository_id
       WHERE blobs.digest = ? LIMIT ? OFFSET ?`,
      digestToBytes(digest),
      page.limit,
      page.offset,
    )
    .map((row) => row.name);
}

interface ReferrerRow {
  readonly digest: Uint8Array;
  readonly size: number;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly annotations: string | null;
}

export function listReferrers(
  sql: Sql,
  subject: { readonly repository: RepositoryName; readonly digest: Digest },
  page: Page<Digest> & { readonly artifactType: string | null },
): ReferrerFact[] {
  const repositoryId = findRepository(sql, subject.repository);
  const subjectId = findBlobRow(sql, subject.digest)?.id;
  if (repositoryId === null || subjectId === undefined) return [];
  const rows = sql.all<ReferrerRow>(
    lookupStatements.referrers,
    repositoryId,
    subjectId,
    page.after === null ? new Uint8Array() : digestToBytes(page.after),
    page.artifactType,
    page.limit,
  );
  return rows.map((row) => ({
    digest: digestFromBytes(row.digest),
    sizeBytes: row.size,
    mediaType: row.mediaType,
    artifactType: row.artifactType,
    annotations:
      row.annotations === null ? null : (JSON.parse(row.annotations) as Record<string, string>),
  }));
}

export function findUpload(sql: Sql, repository: RepositoryName, id: string): UploadFact | null {
  const row = sql.get<Omit<UploadFact, "repository">>(lookupStatements.upload, id, repository);
  return row === null ? null : { ...row, repository };
}

export function listIdleUploads(sql: Sql, beforeMs: number, limit: number): UploadFact[] {
  return sql.all<UploadFact>(lookupStatements.idleUploads, beforeMs, limit);
}
