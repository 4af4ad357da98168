// Walks for the reports on space: pages by key, none of them on a request path. Whoever walks decides how
// long a page is and pauses between them. What is answered may be less than was looked at.
import {
  type Digest,
  digestFromBytes,
  digestToBytes,
  type ReferenceKind,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type {
  BlobFact,
  HeldBlob,
  ManifestBytes,
  NamedBlob,
  NamedUsage,
  RepositoryManifest,
  Scan,
  ScanPage,
  TaggedImage,
  UnheldBlob,
} from "../registry/ports/index.ts";
import { noRepository } from "./queue.ts";
import { findBlobRow, findRepository } from "./rows.ts";
import type { Sql } from "./sql.ts";
import { blobState, namedKind } from "./stored-numbers.ts";

type Sized = ScanPage & { readonly bytesMin: number };

/** `next` for pages whose rows are all answered: the key of the last, if the page was full. */
function scanOf<Row, Answer>(
  rows: readonly Row[],
  page: ScanPage,
  { key, answer }: { key: (row: Row) => string; answer: (row: Row) => Answer },
): Scan<Answer> {
  const last = rows.length < page.limit ? undefined : rows.at(-1);
  return { next: last === undefined ? null : key(last), rows: rows.map(answer) };
}

const factOf = (row: { digest: Uint8Array; size: number }): BlobFact => ({
  digest: digestFromBytes(row.digest),
  sizeBytes: row.size,
});

export function scanRepositoryUsage(sql: Sql, page: ScanPage): Scan<NamedUsage> {
  const rows = sql.all<NamedUsage>(
    `SELECT name AS repository, manifests, tags, logical_bytes AS logicalBytes,
       exclusive_bytes AS exclusiveBytes
     FROM repositories WHERE name > ? ORDER BY name LIMIT ?`,
    page.after ?? "",
    page.limit,
  );
  return scanOf(rows, page, { key: ({ repository }) => repository, answer: (row) => row });
}

interface TagRow {
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly id: number;
  readonly digest: Uint8Array;
  readonly pushedAtMs: number;
  readonly bytes: number;
  readonly children: number;
}

export function scanTaggedImages(sql: Sql, page: Sized): Scan<TaggedImage> {
  const [repositoryId, tag] = pairOf(page.after);
  const last = sql.get<{ repositoryId: number; tag: string }>(
    `SELECT repository_id AS repositoryId, name AS tag FROM (
       SELECT repository_id, name FROM tags
       WHERE (repository_id, name) > (?1, ?2) ORDER BY repository_id, name LIMIT ?3
     ) ORDER BY repository_id DESC, name DESC LIMIT 1`,
    repositoryId,
    tag,
    page.limit,
  );
  if (last === null) return { next: null, rows: [] };
  const rows = sql.all<TagRow>(
    `SELECT r.name AS repository, t.name AS tag, b.id, b.digest, m.pushed_at AS pushedAtMs,
       b.size + b.content_bytes AS bytes, b.children
     FROM tags t CROSS JOIN blobs b CROSS JOIN manifests m CROSS JOIN repositories r
     WHERE (t.repository_id, t.name) > (?1, ?2) AND (t.repository_id, t.name) <= (?3, ?4)
       AND b.id = t.blob_id AND b.state = ${blobState.present}
       AND (b.children > 0 OR b.size + b.content_bytes >= ?5)
       AND m.repository_id = t.repository_id AND m.blob_id = t.blob_id AND r.id = t.repository_id`,
    repositoryId,
    tag,
    last.repositoryId,
    last.tag,
    page.bytesMin,
  );
  const images = rows.map((row) => ({
    repository: row.repository,
    tag: row.tag,
    digest: digestFromBytes(row.digest),
    pushedAtMs: row.pushedAtMs,
    bytesAtMost: row.children === 0 ? row.bytes : bytesAtMost(sql, row.id),
  }));
  return {
    next: `${last.repositoryId} ${last.tag}`,
    rows: images.filter((image) => image.bytesAtMost >= page.bytesMin),
  };
}

function pairOf(after: string | null): [number, string] {
  if (after === null) return [0, ""];
  const space = after.indexOf(" ");
  return [Number(after.slice(0, space)), after.slice(space + 1)];
}

/** Manifests of one image looked at for its bound: some 3 ms; what has more may have any size. */
const descendantsMax = 1_000;

function bytesAtMost(sql: Sql, manifestId: number): number {
  const sum = sql.get<{ n: number; bytes: number }>(
    `WITH RECURSIVE image(id) AS (
       VALUES (?1)
       UNION
       SELECT n.blob_id FROM image CROSS JOIN blobs p CROSS JOIN named n
       WHERE p.id = image.id AND p.children > 0 AND n.manifest_id = p.id
         AND n.kind = ${namedKind.manifest}
       LIMIT ${descendantsMax}
     )
     SELECT count(*) AS n, sum(b.size + b.content_bytes) AS bytes FROM image CROSS JOIN blobs b
     WHERE b.id = image.id`,
    manifestId,
  );
  if (sum === null || sum.n >= descendantsMax) return Number.MAX_SAFE_INTEGER;
  return sum.bytes;
}

export function scanManifestBytes(sql: Sql, page: ScanPage): Scan<ManifestBytes> {
  const [repositoryId, blobId] = pairOf(page.after);
  const rows = sql.all<ManifestBytes & { repositoryId: number; id: number }>(
    `SELECT m.repository_id AS repositoryId, m.blob_id AS id, r.name AS repository,
       m.pushed_at AS pushedAtMs, (b.state = ${blobState.present}) * b.size + b.content_bytes AS bytes
     FROM (SELECT repository_id, blob_id, pushed_at FROM manifests
       WHERE (repository_id, blob_id) > (?1, ?2) ORDER BY repository_id, blob_id LIMIT ?3) m
       CROSS JOIN blobs b CROSS JOIN repositories r
     WHERE b.id = m.blob_id AND r.id = m.repository_id
     ORDER BY m.repository_id, m.blob_id`,
    repositoryId,
    Number(blobId),
    page.limit,
  );
  return scanOf(rows, page, {
    key: (row) => `${row.repositoryId} ${row.id}`,
    answer: ({ repository, pushedAtMs, bytes }) => ({ repository, pushedAtMs, bytes }),
  });
}

export function scanBlobs(sql: Sql, page: Sized): Scan<BlobFact> {
  const after = Number(page.after ?? 0);
  const last = sql.get<{ id: number | null }>(
    "SELECT max(id) AS id FROM (SELECT id FROM blobs WHERE id > ? ORDER BY id LIMIT ?)",
    after,
    page.limit,
  )?.id;
  if (last === null || last === undefined) return { next: null, rows: [] };
  const rows = sql.all<{ digest: Uint8Array; size: number }>(
    `SELECT digest, size FROM blobs
     WHERE id > ? AND id <= ? AND size >= ? AND state = ${blobState.present}`,
    after,
    last,
    page.bytesMin,
  );
  return { next: String(last), rows: rows.map(factOf) };
}

interface HeldRow {
  readonly id: number;
  readonly digest: Uint8Array;
  readonly size: number;
}

export function scanHeldBlobs(
  sql: Sql,
  repository: RepositoryName,
  page: ScanPage & { readonly sharedWithMax: number },
): Scan<HeldBlob> {
  const repositoryId = findRepository(sql, repository) ?? noRepository;
  const rows = sql.all<HeldRow>(
    `SELECT b.id, b.digest, (b.state = ${blobState.present}) * b.size AS size
     FROM holdings h CROSS JOIN blobs b
     WHERE h.repository_id = ? AND h.blob_id > ? AND b.id = h.blob_id ORDER BY h.blob_id LIMIT ?`,
    repositoryId,
    Number(page.after ?? 0),
    page.limit,
  );
  const sharing = (blobId: number): RepositoryName[] =>
    sql
      .all<{ name: RepositoryName }>(
        `SELECT r.name FROM holdings h CROSS JOIN repositories r
         WHERE h.blob_id = ? AND h.repository_id <> ? AND r.id = h.repository_id LIMIT ?`,
        blobId,
        repositoryId,
        page.sharedWithMax + 1,
      )
      .map(({ name }) => name);
  return scanOf(rows, page, {
    key: ({ id }) => String(id),
    answer: (row) => {
      const others = sharing(row.id);
      const isSharedWithMore = others.length > page.sharedWithMax;
      return { ...factOf(row), sharedWith: others.slice(0, page.sharedWithMax), isSharedWithMore };
    },
  });
}

export function scanManifests(
  sql: Sql,
  repository: RepositoryName,
  page: ScanPage,
): Scan<RepositoryManifest & BlobFact> {
  const rows = sql.all<HeldRow>(
    `SELECT b.id, b.digest, (b.state = ${blobState.present}) * b.size AS size
     FROM manifests m CROSS JOIN blobs b
     WHERE m.repository_id = ? AND m.blob_id > ? AND b.id = m.blob_id ORDER BY m.blob_id LIMIT ?`,
    findRepository(sql, repository) ?? noRepository,
    Number(page.after ?? 0),
    page.limit,
  );
  return scanOf(rows, page, {
    key: ({ id }) => String(id),
    answer: (row) => ({ repository, ...factOf(row) }),
  });
}

const kinds: ReadonlyMap<number, ReferenceKind> = new Map(
  Object.entries(namedKind).map(([kind, number]) => [number, kind as ReferenceKind]),
);

export function scanNamed(sql: Sql, manifest: RepositoryManifest, page: ScanPage): Scan<NamedBlob> {
  const rows = sql.all<HeldRow & { kind: number; isManifest: number }>(
    `SELECT b.id, b.digest, (b.state = ${blobState.present}) * b.size AS size, n.kind,
       EXISTS (SELECT 1 FROM manifests m
         WHERE m.repository_id = ?1 AND m.blob_id = n.blob_id) AS isManifest
     FROM named n CROSS JOIN blobs b
     WHERE n.manifest_id = ?2 AND n.blob_id > ?3 AND b.id = n.blob_id ORDER BY n.blob_id LIMIT ?4`,
    findRepository(sql, manifest.repository) ?? noRepository,
    findBlobRow(sql, manifest.digest)?.id ?? 0,
    Number(page.after ?? 0),
    page.limit,
  );
  return scanOf(rows, page, {
    key: ({ id }) => String(id),
    answer: (row) => ({
      ...factOf(row),
      kind: kinds.get(row.kind) ?? "other",
      isManifest: row.isManifest === 1,
    }),
  });
}

export function scanTagsOf(sql: Sql, manifest: RepositoryManifest, page: ScanPage): Scan<Tag> {
  const rows = sql.all<{ name: Tag }>(
    `SELECT name FROM tags WHERE blob_id = ? AND repository_id = ? AND name > ?
     ORDER BY name LIMIT ?`,
    findBlobRow(sql, manifest.digest)?.id ?? 0,
    findRepository(sql, manifest.repository) ?? noRepository,
    page.after ?? "",
    page.limit,
  );
  return scanOf(rows, page, { key: ({ name }) => name, answer: ({ name }) => name });
}

/** Of a blob `b`: an unreadable manifest of a repository that links it may name it (INV-7). */
const mayBeHeld = `EXISTS (SELECT 1 FROM layers l CROSS JOIN manifests u
  WHERE l.blob_id = b.id AND u.repository_id = l.repository_id AND u.unreadable = 1)`;

const isUnheld = `b.state = ${blobState.present}
  AND NOT EXISTS (SELECT 1 FROM holdings h WHERE h.blob_id = b.id)`;

export function scanUnheldBlobs(
  sql: Sql,
  page: ScanPage & { readonly nowMs: number },
): Scan<UnheldBlob> {
  const after = Number(page.after ?? 0);
  const last = sql.get<{ id: number | null }>(
    `SELECT max(id) AS id FROM (SELECT blob_id AS id FROM blob_candidates
       WHERE blob_id > ? ORDER BY blob_id LIMIT ?)`,
    after,
    page.limit,
  )?.id;
  if (last === null || last === undefined) return { next: null, rows: [] };
  const rows = sql.all<{
    digest: Uint8Array;
    size: number;
    isLeased: number;
    isRestorable: number;
    mayBeHeld: number;
  }>(
    `SELECT b.digest, b.size, ${mayBeHeld} AS mayBeHeld,
       EXISTS (SELECT 1 FROM leases l WHERE l.blob_id = b.id AND l.expires_at > ?3) AS isLeased,
       EXISTS (SELECT 1 FROM deletion_holds d WHERE d.digest = b.digest) AS isRestorable
     FROM (SELECT DISTINCT blob_id FROM blob_candidates WHERE blob_id > ?1 AND blob_id <= ?2) c
       CROSS JOIN blobs b WHERE b.id = c.blob_id AND ${isUnheld}`,
    after,
    last,
    page.nowMs,
  );
  return {
    next: String(last),
    rows: rows.map((row) => ({
      ...factOf(row),
      isLeased: row.isLeased === 1,
      isRestorable: row.isRestorable === 1,
      mayBeHeld: row.mayBeHeld === 1,
    })),
  };
}

export function scanRestorableBlobs(sql: Sql, page: ScanPage): Scan<BlobFact> {
  const after = page.after === null ? new Uint8Array() : digestToBytes(page.after as Digest);
  const last = sql.get<{ digest: Uint8Array | null }>(
    `SELECT max(digest) AS digest FROM (SELECT digest FROM deletion_holds
       WHERE digest > ? ORDER BY digest LIMIT ?)`,
    after,
    page.limit,
  )?.digest;
  if (last === null || last === undefined) return { next: null, rows: [] };
  const rows = sql.all<{ digest: Uint8Array; size: number }>(
    `SELECT b.digest, b.size
     FROM (SELECT DISTINCT digest FROM deletion_holds WHERE digest > ?1 AND digest <= ?2) d
       CROSS JOIN blobs b WHERE b.digest = d.digest AND ${isUnheld} AND NOT ${mayBeHeld}`,
    after,
    last,
  );
  return { next: digestFromBytes(last), rows: rows.map(factOf) };
}

export function scanUploads(
  sql: Sql,
  page: ScanPage,
): Scan<{ readonly id: string; readonly repository: RepositoryName }> {
  const rows = sql.all<{ id: string; repository: RepositoryName }>(
    `SELECT u.id, r.name AS repository FROM uploads u CROSS JOIN repositories r
     WHERE u.id > ? AND r.id = u.repository_id ORDER BY u.id LIMIT ?`,
    page.after ?? "",
    page.limit,
  );
  return scanOf(rows, page, { key: ({ id }) => id, answer: (row) => row });
}
