// What verify asks of the index: blobs with what is expected of them, what lacks a link, and who needs
// what. Paged by key; none of it is on a request path.
import {
  type Digest,
  digestFromBytes,
  digestToBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import { findBlobRow } from "./rows.ts";
import { blobState, namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";

interface ExpectedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** The index says that its bytes are there. */
  readonly isPresent: boolean;
  /** A manifest has it as its config or layer, or it is a manifest itself. */
  readonly isNeeded: boolean;
}

interface BlobExpectation {
  readonly digest: Uint8Array;
  readonly size: number;
  readonly state: number;
  readonly needed: number;
}

const needed = `(EXISTS (SELECT 1 FROM named n WHERE n.blob_id = b.id AND n.kind = ${namedKind.blob})
  OR EXISTS (SELECT 1 FROM manifests m WHERE m.blob_id = b.id))`;

function expectation(row: BlobExpectation): ExpectedBlob {
  return {
    digest: digestFromBytes(row.digest),
    sizeBytes: row.size,
    isPresent: row.state === blobState.present,
    isNeeded: row.needed === 1,
  };
}

/**
 * A page of the blobs that are there or should be; condemned ones left out. By digest: a position that
 * still means the same after the index was built again.
 */
export function expectedBlobs(
  sql: Sql,
  after: Digest | null,
  limit: number,
): { readonly next: Digest | null; readonly blobs: readonly ExpectedBlob[] } {
  const rows = sql.all<BlobExpectation>(
    `SELECT b.digest, b.size, b.state, ${needed} AS needed FROM blobs b
     WHERE b.digest > ? ORDER BY b.digest LIMIT ?`,
    after === null ? new Uint8Array() : digestToBytes(after),
    limit,
  );
  const last = rows.at(-1);
  const blobs = rows.filter(({ state }) => state !== blobState.condemned).map(expectation);
  return {
    next: last === undefined ? null : digestFromBytes(last.digest),
    blobs: blobs.filter((blob) => blob.isPresent || blob.isNeeded),
  };
}

/** The same of one blob, as it is now; null: unknown, or on its way out. */
export function expectedBlob(sql: Sql, digest: Digest): ExpectedBlob | null {
  const id = findBlobRow(sql, digest)?.id;
  if (id === undefined) return null;
  const row = sql.get<BlobExpectation>(
    `SELECT b.digest, b.size, b.state, ${needed} AS needed FROM blobs b WHERE b.id = ?`,
    id,
  );
  return row === null || row.state === blobState.condemned ? null : expectation(row);
}

/**
 * Manifests that are this blob or need it, each with the tags that lead to it, directly or by way of
 * indexes, over any number of steps.
 */
export function needersOf(
  sql: Sql,
  digest: Digest,
  limit: number,
): readonly {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly tags: Tag[];
}[] {
  const id = findBlobRow(sql, digest)?.id;
  if (id === undefined) return [];
  const rows = sql.all<{
    repositoryId: number;
    id: number;
    name: RepositoryName;
    digest: Uint8Array;
  }>(
    `SELECT m.repository_id AS repositoryId, m.blob_id AS id, r.name, b.digest
     FROM manifests m, repositories r, blobs b
     WHERE (m.blob_id = ?1
       OR m.blob_id IN (SELECT manifest_id FROM named WHERE blob_id = ?1 AND kind = ${namedKind.blob}))
       AND r.id = m.repository_id AND b.id = m.blob_id LIMIT ?2`,
    id,
    limit,
  );
  return rows.map((row) => ({
    repository: row.name,
    digest: digestFromBytes(row.digest),
    tags: tagsLeadingTo(sql, row, limit),
  }));
}

/** Not by way of a subject: a signature is whole without what it signs. */
function tagsLeadingTo(
  sql: Sql,
  manifest: { readonly repositoryId: number; readonly id: number },
  limit: number,
): Tag[] {
  return sql
    .all<{ name: Tag }>(
      `WITH RECURSIVE leads(id) AS (
         VALUES (?2)
         UNION
         SELECT n.manifest_id FROM leads, named n, manifests m
         WHERE n.blob_id = leads.id AND n.kind IN (${namedKind.blob}, ${namedKind.manifest})
           AND m.repository_id = ?1 AND m.blob_id = n.manifest_id
       )
       SELECT t.name FROM leads, tags t WHERE t.blob_id = leads.id AND t.repository_id = ?1
       ORDER BY t.name LIMIT ?3`,
      manifest.repositoryId,
      manifest.id,
      limit,
    )
    .map(({ name }) => name);
}

interface UnlinkedRow {
  readonly repositoryId: number;
  readonly repository: RepositoryName;
  readonly id: number;
  readonly manifest: Uint8Array;
  readonly digest: Uint8Array;
}

interface Unlinked {
  readonly repository: RepositoryName;
  readonly manifest: Digest;
  readonly tags: readonly Tag[];
  readonly digest: Digest;
}

/** Tags told of one manifest that lacks a link. */
const tagsMax = 100;

/** A page of manifests, with the configs and layers that their repository has no link to. */
export function unlinkedBlobs(
  sql: Sql,
  after: readonly [number, number],
  limit: number,
): { readonly next: readonly [number, number] | null; readonly unlinked: readonly Unlinked[] } {
  const page = sql.all<{ repositoryId: number; id: number }>(
    `SELECT repository_id AS repositoryId, blob_id AS id FROM manifests
     WHERE (repository_id, blob_id) > (?, ?) ORDER BY repository_id, blob_id LIMIT ?`,
    ...after,
    limit,
  );
  const last = page.at(-1);
  if (last === undefined) return { next: null, unlinked: [] };
  const rows = page.flatMap(({ repositoryId, id }) =>
    sql.all<UnlinkedRow>(
      `SELECT r.id AS repositoryId, r.name AS repository, m.id, m.digest AS manifest, b.digest
       FROM named n, blobs b, blobs m, repositories r
       WHERE n.manifest_id = ?2 AND n.kind = ${namedKind.blob} AND b.id = n.blob_id
         AND m.id = ?2 AND r.id = ?1
         AND NOT EXISTS (SELECT 1 FROM layers WHERE repository_id = ?1 AND blob_id = n.blob_id)
         AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository_id = ?1 AND blob_id = n.blob_id)`,
      repositoryId,
      id,
    ),
  );
  return {
    next: [last.repositoryId, last.id],
    unlinked: rows.map((row) => ({
      repository: row.repository,
      manifest: digestFromBytes(row.manifest),
      tags: tagsLeadingTo(sql, row, tagsMax),
      digest: digestFromBytes(row.digest),
    })),
  };
}
