// What is shown of repositories, tags and images: look-ups of bounded size, each a page or a few probes of
// an index (query-plans.test.ts). CROSS JOIN keeps SQLite to the order in which the tables are written.
import {
  type Digest,
  digestFromBytes,
  digestToBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type {
  BlobUsers,
  ChildFact,
  ImageFact,
  Page,
  RepositoryFact,
  ListedTag,
  TagPage,
} from "../registry/ports/index.ts";
import { findBlobRow, findRepository } from "./rows.ts";
import { blobState, manifestContent, namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";

const newestTag = `(SELECT t.moved_at FROM tags t WHERE t.repository_id = r.id
  ORDER BY t.moved_at DESC, t.name DESC LIMIT 1) AS newestTagMs`;

const facts = `r.name, r.manifests, r.tags, r.logical_bytes AS logicalBytes,
  r.exclusive_bytes AS exclusiveBytes, ${newestTag}`;

export function describeRepositories(sql: Sql, page: Page): RepositoryFact[] {
  return sql.all<RepositoryFact>(
    `SELECT ${facts} FROM repositories r
     WHERE r.manifests > 0 AND r.name > ?1 ORDER BY r.name LIMIT ?2`,
    page.after ?? "",
    page.limit,
  );
}

export function describeRepository(sql: Sql, repository: RepositoryName): RepositoryFact | null {
  return sql.get<RepositoryFact>(
    `SELECT ${facts} FROM repositories r WHERE r.name = ?`,
    repository,
  );
}

interface TagRow {
  readonly id: number;
  readonly content: number;
  readonly children: number;
  readonly pulledAtMs: number | null;
  readonly tag: Tag;
  readonly pushedAtMs: number;
  readonly digest: Uint8Array;
  readonly size: number | null;
  readonly mediaType: string | null;
}

/** `?2`, `?3`: time and name of the last tag of the page before. */
const tagPages = {
  "name up": "AND t.name > ?3 AND ?2 IS NOT NULL ORDER BY t.name",
  "name down": "AND t.name < ?3 AND ?2 IS NOT NULL ORDER BY t.name DESC",
  "pushed up": "AND (t.moved_at, t.name) > (?2, ?3) ORDER BY t.moved_at, t.name",
  "pushed down": "AND (t.moved_at, t.name) < (?2, ?3) ORDER BY t.moved_at DESC, t.name DESC",
} as const;

/** After every tag: their characters are ASCII. */
const nameAfterAll = "\x7f";

export function describeTags(
  sql: Sql,
  repository: RepositoryName,
  page: TagPage,
): ListedTag[] | null {
  const id = findRepository(sql, repository);
  if (id === null) return null;
  const { after, descending, sort } = page;
  const rows = sql.all<TagRow>(
    `SELECT t.name AS tag, t.moved_at AS pushedAtMs, b.digest, b.id, b.content_bytes AS content,
       b.children, p.pulled_at AS pulledAtMs,
       CASE WHEN m.blob_id IS NULL THEN NULL ELSE b.size END AS size, m.media_type AS mediaType
     FROM tags t CROSS JOIN blobs b ON b.id = t.blob_id
       LEFT JOIN manifests m ON m.repository_id = t.repository_id AND m.blob_id = t.blob_id
         AND m.unreadable = ${manifestContent.read} AND b.state = ${blobState.present}
       LEFT JOIN pulls p ON p.repository = ?5 AND p.digest = b.digest
     WHERE t.repository_id = ?1 ${tagPages[`${sort} ${descending ? "down" : "up"}`]} LIMIT ?4`,
    id,
    after?.pushedAtMs ?? (descending ? Number.MAX_SAFE_INTEGER : -1),
    after?.tag ?? (descending ? nameAfterAll : ""),
    page.limit,
    repository,
  );
  return rows.map(({ tag, pushedAtMs, pulledAtMs, mediaType, ...row }) => ({
    tag,
    pushedAtMs,
    pulledAtMs,
    digest: digestFromBytes(row.digest),
    sizeBytes: row.size,
    mediaType,
    imageBytes: row.size === null ? null : imageBytes(sql, row),
  }));
}

/** Manifests of one image that are added up; real ones have a tenth of them. */
const descendantsMax = 100;

function imageBytes(
  sql: Sql,
  { id, size, content, children }: Pick<TagRow, "id" | "size" | "content" | "children">,
): number | null {
  if (children === 0) return (size ?? 0) + content;
  const sum = sql.get<{ count: number; bytes: number }>(
    `WITH RECURSIVE image(id) AS (
       VALUES (?1)
       UNION
       SELECT n.blob_id FROM image CROSS JOIN blobs p CROSS JOIN named n
       WHERE p.id = image.id AND p.children > 0 AND n.manifest_id = p.id
         AND n.kind = ${namedKind.manifest}
       LIMIT ${descendantsMax + 1}
     )
     SELECT count(*) AS count,
       sum((b.state = ${blobState.present}) * b.size + b.content_bytes) AS bytes
     FROM image CROSS JOIN blobs b WHERE b.id = image.id`,
    id,
  );
  return sum === null || sum.count > descendantsMax ? null : sum.bytes;
}

interface ImageId {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

export function describeImage(
  sql: Sql,
  { repository, digest }: ImageId,
  tagsMax: number,
): ImageFact | null {
  const row = sql.get<{
    repositoryId: number;
    blobId: number;
    pushedAtMs: number;
    artifactType: string | null;
    pulledAtMs: number | null;
  }>(
    `SELECT r.id AS repositoryId, b.id AS blobId, m.pushed_at AS pushedAtMs,
       m.artifact_type AS artifactType, p.pulled_at AS pulledAtMs
     FROM repositories r CROSS JOIN blobs b CROSS JOIN manifests m
       LEFT JOIN pulls p ON p.repository = r.name AND p.digest = b.digest
     WHERE r.name = ? AND b.digest = ? AND m.repository_id = r.id AND m.blob_id = b.id`,
    repository,
    digestToBytes(digest),
  );
  if (row === null) return null;
  const { pushedAtMs, artifactType, pulledAtMs } = row;
  const tags = sql.all<{ name: Tag }>(
    "SELECT name FROM tags WHERE blob_id = ? AND repository_id = ? ORDER BY name LIMIT ?",
    row.blobId,
    row.repositoryId,
    tagsMax,
  );
  return { pushedAtMs, artifactType, pulledAtMs, tags: tags.map(({ name }) => name) };
}

export function describeChildren(
  sql: Sql,
  repository: RepositoryName,
  digests: readonly Digest[],
): ChildFact[] {
  const repositoryId = findRepository(sql, repository);
  return digests.map((digest) => {
    const child = sql.get<{ bytes: number }>(
      `SELECT b.content_bytes AS bytes FROM blobs b, manifests m
       WHERE b.digest = ?1 AND b.state = ${blobState.present}
         AND m.repository_id = ?2 AND m.blob_id = b.id AND m.unreadable = ${manifestContent.read}`,
      digestToBytes(digest),
      repositoryId,
    );
    return { digest, isPresent: child !== null, contentBytes: child?.bytes ?? null };
  });
}

/** Holders of one blob that are counted: a base layer may have any number of them. */
const usersMax = 1_000;

export function blobUsers(
  sql: Sql,
  digest: Digest,
  { besides, namesMax }: { readonly besides: RepositoryName; readonly namesMax: number },
): BlobUsers {
  const blobId = findBlobRow(sql, digest)?.id;
  if (blobId === undefined) return { repositories: [], count: 0, atLeast: false };
  const here = findRepository(sql, besides) ?? 0;
  const named = sql.all<{ name: RepositoryName }>(
    `SELECT r.name FROM holdings h CROSS JOIN repositories r ON r.id = h.repository_id
     WHERE h.blob_id = ?1 AND h.repository_id <> ?2 ORDER BY h.repository_id LIMIT ?3`,
    blobId,
    here,
    namesMax,
  );
  const count =
    sql.get<{ count: number }>(
      `SELECT count(*) AS count FROM (
         SELECT 1 FROM holdings WHERE blob_id = ?1 AND repository_id <> ?2 LIMIT ?3
       ) AS held`,
      blobId,
      here,
      usersMax + 1,
    )?.count ?? 0;
  return {
    repositories: named.map(({ name }) => name),
    count: Math.min(count, usersMax),
    atLeast: count > usersMax,
  };
}
