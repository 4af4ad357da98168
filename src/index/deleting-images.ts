// Deletions of what people see: a tag, an image with all that belongs to it, a whole repository. Each is one
// transaction that leaves what is needed to undo it. They free nothing by themselves: the collector does.
import { type Digest, digestFromBytes, type RepositoryName, type Tag } from "../oci/index.ts";
import type {
  Deletion,
  ImageDeletion,
  Page,
  RepositoryDeletion,
  TagDeletion,
} from "../registry/ports/index.ts";
import { type ManifestRow, manifestRow, removeManifest } from "./deleting.ts";
import { recordDeletion } from "./deletion-records.ts";
import { findHeldTag, findHolderOf } from "./immutable.ts";
import { findRepository, type Leased } from "./rows.ts";
import { namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";
import { isUnjudgeable } from "./standing.ts";
import { removeTag, tagTarget } from "./tagging.ts";

export function deleteTagRestorably(
  sql: Sql,
  wanted: { readonly repository: RepositoryName; readonly tag: Tag; readonly expected?: Digest },
  deletion: Deletion,
): TagDeletion {
  const { repository, tag, expected } = wanted;
  const repositoryId = findRepository(sql, repository);
  const blobId = repositoryId === null ? null : tagTarget(sql, { repositoryId, tag });
  if (repositoryId === null || blobId === null) return { outcome: "unknown", digest: null };
  const digest = digestOfBlob(sql, blobId);
  if (expected !== undefined && expected !== digest) return { outcome: "changed", digest };
  const any = { repositoryId, tags: [tag], digest: null };
  const held = findHeldTag(sql, any, deletion.immutable);
  if (held !== null) return { outcome: "immutable", digest, held };
  const row = { repository, repositoryId, blobId, digest };
  if (deletion.isRestorable) recordDeletion(sql, row, { ...deletion, what: "tag", tag });
  removeTag(sql, { repositoryId, repository, tag }, { nowMs: deletion.nowMs, owe: true });
  return { outcome: "deleted", digest };
}

function digestOfBlob(sql: Sql, blobId: number): Digest {
  const row = sql.get<{ digest: Uint8Array }>("SELECT digest FROM blobs WHERE id = ?", blobId);
  if (row === null) throw new Error(`blob ${blobId} is in use but not in the index`);
  return digestFromBytes(row.digest);
}

export function deleteImage(
  sql: Sql,
  image: { readonly repository: RepositoryName; readonly digest: Digest },
  deletion: Deletion,
): ImageDeletion {
  const row = manifestRow(sql, image);
  if (row === null) return { outcome: "unknown", tags: [], manifests: [] };
  const held = findHolderOf(sql, row, deletion.immutable);
  if (held !== null) return { outcome: "immutable", tags: [], manifests: [], held };
  const top: ManifestRow = { ...image, ...row };
  return deleteWithAll(sql, goesWith(sql, top, { leasesAtMs: deletion.nowMs }), deletion);
}

/** Deletes the first one, as an image, and the others with it. */
function deleteWithAll(
  sql: Sql,
  going: readonly [ManifestRow, ...ManifestRow[]],
  deletion: Deletion,
): ImageDeletion {
  const [top] = going;
  if (deletion.isRestorable) recordDeletion(sql, top, { ...deletion, what: "image" });
  const { nowMs } = deletion;
  let tags: readonly Tag[] = [];
  for (const one of going) {
    const removed = removeManifest(sql, one, { nowMs, untaggedSinceMs: nowMs });
    if (one.blobId === top.blobId) ({ tags } = removed);
  }
  return { outcome: "deleted", tags, manifests: going.map(({ digest }) => digest) };
}

/** Manifests that go with one image, itself included: far more than any real one has; 0.2 ms each. */
const imageManifestsMax = 500;

/**
 * The image, then children and referrers, each after what leads to it (INV-4). In a repository that cannot
 * be judged something unread may name them: there the image goes alone (INV-7).
 */
function goesWith(
  sql: Sql,
  top: ManifestRow,
  { leasesAtMs }: Pick<Going, "leasesAtMs">,
): [ManifestRow, ...ManifestRow[]] {
  if (isUnjudgeable(sql, top.repositoryId)) return [top];
  const going = new Set([top.blobId]);
  const rows: [ManifestRow, ...ManifestRow[]] = [top];
  // Whatever is added has its own children and referrers looked at, those that had to stay so far again.
  for (const one of rows) {
    for (const { blobId, digest } of hangingOn(sql, one)) {
      if (rows.length >= imageManifestsMax) return rows;
      const row = { ...top, blobId, digest };
      if (going.has(blobId) || isKept(sql, row, { going, leasesAtMs })) continue;
      going.add(blobId);
      rows.push(row);
    }
  }
  return rows;
}

/** Manifests of the repository that it names, and its referrers there. */
function hangingOn(sql: Sql, row: Leased): { blobId: number; digest: Digest }[] {
  return sql
    .all<{ blobId: number; digest: Uint8Array }>(
      `SELECT m.blob_id AS blobId, b.digest FROM named n CROSS JOIN manifests m CROSS JOIN blobs b
       WHERE n.manifest_id = ?2 AND n.kind <> ${namedKind.subject}
         AND m.repository_id = ?1 AND m.blob_id = n.blob_id AND b.id = m.blob_id
       UNION ALL
       SELECT r.blob_id AS blobId, b.digest FROM manifests r INDEXED BY manifests_by_subject
         CROSS JOIN blobs b
       WHERE r.repository_id = ?1 AND r.subject_id = ?2 AND b.id = r.blob_id`,
      row.repositoryId,
      row.blobId,
    )
    .map(({ blobId, digest }) => ({ blobId, digest: digestFromBytes(digest) }));
}

interface Going {
  readonly going: ReadonlySet<number>;
  /** Leases that are live then count; null: none does, everything goes anyhow. */
  readonly leasesAtMs: number | null;
}

/** By a tag, by a live lease (INV-5: somebody is about to name it), or by what leads to it and stays. */
function isKept(sql: Sql, row: Leased, { going, leasesAtMs }: Going): boolean {
  const { repositoryId, blobId } = row;
  const isHeld = sql.has(
    `SELECT 1 WHERE EXISTS (SELECT 1 FROM tags WHERE blob_id = ?2 AND repository_id = ?1)
       OR EXISTS (SELECT 1 FROM leases INDEXED BY leases_by_blob
         WHERE blob_id = ?2 AND repository_id = ?1 AND expires_at > ?3)`,
    repositoryId,
    blobId,
    leasesAtMs ?? Number.MAX_SAFE_INTEGER,
  );
  if (isHeld) return true;
  // Two more than go: if there are that many, one of them stays. One that leads to itself keeps nothing.
  const leading = leadingTo(sql, row, going.size + 2);
  return leading.some((above) => above !== blobId && !going.has(above));
}

/** A page of a repository ends at either: others wait for the write lock meanwhile. */
const pageManifestsMax = 50;
const pageMsMax = 5;
/** Tags that lead nowhere, of one page; each costs next to nothing. */
const pageTagsMax = 500;

export function deleteRepository(
  sql: Sql,
  repository: RepositoryName,
  deletion: Deletion,
): RepositoryDeletion {
  const repositoryId = findRepository(sql, repository);
  const page = { images: 0, manifests: 0, tags: 0 };
  const done = (more: boolean): RepositoryDeletion => ({
    ...page,
    outcome: page.images + page.tags > 0 ? "deleted" : "unknown",
    more,
  });
  if (repositoryId === null) return done(false);
  const begunMs = performance.now();
  for (;;) {
    const top = topOfAny(sql, { repository, repositoryId });
    if (top === null) break;
    // Only now: the last page has to know that it is the last, since it is told of as the deletion.
    const isLong = page.images > 0 && performance.now() - begunMs > pageMsMax;
    if (isLong || page.manifests >= pageManifestsMax) return done(true);
    const held = findHolderOf(sql, top, deletion.immutable);
    if (held !== null) return { ...done(false), outcome: "immutable", held };
    const going = goesWith(sql, top, { leasesAtMs: null });
    const { manifests, tags } = deleteWithAll(sql, going, deletion);
    page.images += 1;
    page.manifests += manifests.length;
    page.tags += tags.length;
  }
  const dangling = sql.all<{ tag: Tag }>(
    "SELECT name AS tag FROM tags WHERE repository_id = ? LIMIT ?",
    repositoryId,
    pageTagsMax,
  );
  for (const { tag } of dangling) {
    removeTag(sql, { repositoryId, repository, tag }, { nowMs: deletion.nowMs, owe: true });
  }
  page.tags += dangling.length;
  return done(sql.has("SELECT 1 FROM tags WHERE repository_id = ? LIMIT 1", repositoryId));
}

/** How far up one climbs; what is deeper goes in several deletions instead of one. */
const climbMax = 100;

/** A manifest that nothing in its repository leads to, or any that bent manifests lead to in a circle. */
function topOfAny(
  sql: Sql,
  { repository, repositoryId }: { repository: RepositoryName; repositoryId: number },
): ManifestRow | null {
  const first = sql.get<{ blobId: number }>(
    "SELECT blob_id AS blobId FROM manifests WHERE repository_id = ? LIMIT 1",
    repositoryId,
  );
  if (first === null) return null;
  const seen = new Set<number>();
  let { blobId } = first;
  while (!seen.has(blobId) && seen.size < climbMax) {
    seen.add(blobId);
    const [above] = leadingTo(sql, { repositoryId, blobId }, 1);
    if (above === undefined) break;
    blobId = above;
  }
  return { repository, repositoryId, blobId, digest: digestOfBlob(sql, blobId) };
}

/** Manifests of the repository that name it, and its subject there. */
function leadingTo(sql: Sql, row: Leased, limit: number): number[] {
  return sql
    .all<{ blobId: number }>(
      `SELECT m.blob_id AS blobId FROM named n CROSS JOIN manifests m
       WHERE n.blob_id = ?2 AND n.kind <> ${namedKind.subject}
         AND m.repository_id = ?1 AND m.blob_id = n.manifest_id
       UNION ALL
       SELECT s.blob_id FROM manifests m CROSS JOIN manifests s
       WHERE m.repository_id = ?1 AND m.blob_id = ?2
         AND s.repository_id = ?1 AND s.blob_id = m.subject_id
       LIMIT ?3`,
      row.repositoryId,
      row.blobId,
      limit,
    )
    .map(({ blobId }) => blobId);
}

export function listUploads(sql: Sql, repository: RepositoryName, page: Page): string[] {
  const repositoryId = findRepository(sql, repository);
  if (repositoryId === null) return [];
  return sql
    .all<{ id: string }>(
      `SELECT id FROM uploads INDEXED BY uploads_by_repository
       WHERE repository_id = ? AND id > ? ORDER BY id LIMIT ?`,
      repositoryId,
      page.after ?? "",
      page.limit,
    )
    .map(({ id }) => id);
}

export function previewImageDeletion(
  sql: Sql,
  image: { readonly repository: RepositoryName; readonly digest: Digest },
  nowMs: number,
): ImageDeletion {
  const row = manifestRow(sql, image);
  if (row === null) return { outcome: "unknown", tags: [], manifests: [] };
  const going = goesWith(sql, { ...image, ...row }, { leasesAtMs: nowMs });
  return {
    outcome: "deleted",
    tags: sql
      .all<{ tag: Tag }>(
        "SELECT name AS tag FROM tags WHERE blob_id = ? AND repository_id = ? ORDER BY name",
        row.blobId,
        row.repositoryId,
      )
      .map(({ tag }) => tag),
    manifests: going.map(({ digest }) => digest),
  };
}

/** Counting goes no further than this. */
const countedTagsMax = 10_000;

export function previewRepositoryDeletion(
  sql: Sql,
  repository: RepositoryName,
): { manifests: number; tags: number } | null {
  const row = sql.get<{ manifests: number; tags: number }>(
    `SELECT manifests, (SELECT count(*) FROM (
       SELECT 1 FROM tags WHERE repository_id = r.id LIMIT ${countedTagsMax}
     )) AS tags FROM repositories r WHERE name = ?`,
    repository,
  );
  return row === null || row.manifests + row.tags === 0 ? null : row;
}
