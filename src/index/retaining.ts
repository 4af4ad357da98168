// What retention asks of the index and does to it: tags as a rule judges them, and their removal, each
// decided again inside the transaction that removes. What goes can be brought back (deletions.ts).
import {
  attachmentTags,
  type Digest,
  digestFromBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type {
  Deletion,
  HolderPage,
  HolderPosition,
  ManifestTies,
  Page,
  RetiredImage,
  RetireOutcome,
  RetireResult,
  TagFact,
  UntaggedManifest,
  UntaggedOutcome,
  UntaggedPage,
} from "../registry/ports/index.ts";
import { getMeta, setMeta } from "./comparing.ts";
import { manifestRow } from "./deleting.ts";
import { pulledAt } from "./pulls.ts";
import { findBlobRow, findRepository, type Leased } from "./rows.ts";
import { namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";
import { isUnjudgeable, keepingOf } from "./standing.ts";
import { deleteImage, deleteTagRestorably } from "./deleting-images.ts";

export function retentionTags(sql: Sql, repository: RepositoryName, page: Page): TagFact[] {
  const id = findRepository(sql, repository);
  if (id === null) return [];
  return sql
    .all<Omit<TagFact, "digest"> & { readonly digest: Uint8Array }>(
      `SELECT t.name AS tag, b.digest, t.moved_at AS pushedAtMs, m.pushed_at AS imagePushedAtMs,
         p.pulled_at AS pulledAtMs
       FROM tags t CROSS JOIN blobs b ON b.id = t.blob_id
         LEFT JOIN manifests m ON m.repository_id = t.repository_id AND m.blob_id = t.blob_id
           AND m.unreadable = 0
         LEFT JOIN pulls p ON p.repository = ?4 AND p.digest = b.digest
       WHERE t.repository_id = ?1 AND t.name > ?2 ORDER BY t.name LIMIT ?3`,
      id,
      page.after ?? "",
      page.limit,
      repository,
    )
    .map((row) => ({ ...row, digest: digestFromBytes(row.digest) }));
}

export function isJudgeable(sql: Sql, repository: RepositoryName): boolean {
  const id = findRepository(sql, repository);
  return id !== null && !isUnjudgeable(sql, id);
}

export function untaggedManifests(
  sql: Sql,
  repository: RepositoryName,
  page: UntaggedPage,
): UntaggedManifest[] {
  const id = findRepository(sql, repository);
  if (id === null) return [];
  return sql
    .all<{ digest: Uint8Array; blobId: number; untaggedSinceMs: number }>(
      `SELECT b.digest, c.blob_id AS blobId, c.untagged_since AS untaggedSinceMs
       FROM manifest_candidates c CROSS JOIN blobs b ON b.id = c.blob_id
       WHERE c.repository_id = ?1 AND c.blob_id > ?2 ORDER BY c.blob_id LIMIT ?3`,
      id,
      page.after ?? 0,
      page.limit,
    )
    .map(({ digest, blobId, untaggedSinceMs }) => ({
      position: blobId,
      digest: digestFromBytes(digest),
      untaggedSinceMs,
      goes:
        untaggedSinceMs <= page.untaggedBeforeMs &&
        isLeftUntagged(sql, { repositoryId: id, blobId }, page),
    }));
}

function isLeftUntagged(
  sql: Sql,
  row: Leased,
  at: { readonly untaggedBeforeMs: number; readonly nowMs: number },
): boolean {
  const policy = { untagged: true, untaggedBeforeMs: at.untaggedBeforeMs };
  return keepingOf(sql, row, { nowMs: at.nowMs, policy }).keptBy === null;
}

/** Of each kind that many at most. */
const tiesMax = 1_000;

export function manifestTies(
  sql: Sql,
  manifest: { readonly repository: RepositoryName; readonly digest: Digest },
  nowMs: number,
): ManifestTies | null {
  const row = manifestRow(sql, manifest);
  if (row === null) return null;
  return {
    parents: digests(sql, `SELECT b.digest ${parentsOf} AND b.id = n.manifest_id`, row),
    children: digests(
      sql,
      `SELECT b.digest FROM named n CROSS JOIN manifests m CROSS JOIN blobs b
       WHERE n.manifest_id = ?2 AND n.kind <> ${namedKind.subject}
         AND m.repository_id = ?1 AND m.blob_id = n.blob_id AND b.id = n.blob_id`,
      row,
    ),
    subject: subjectOf(sql, row),
    referrers: digests(
      sql,
      `SELECT b.digest FROM manifests m INDEXED BY manifests_by_subject CROSS JOIN blobs b
       WHERE m.repository_id = ?1 AND m.subject_id = ?2 AND b.id = m.blob_id`,
      row,
    ),
    tags: tagsOf(sql, row).map(({ tag }) => tag),
    isLeased: isLeased(sql, row, nowMs),
  };
}

interface HolderRow {
  readonly manifestId: number;
  readonly repositoryId: number;
  readonly repository: RepositoryName;
  readonly digest: Uint8Array;
}

const holderColumns =
  "m.blob_id AS manifestId, m.repository_id AS repositoryId, r.name AS repository, b.digest";

/** By key and not by offset: a base layer is named by every build there ever was. */
export function holdersOf(
  sql: Sql,
  digest: Digest,
  page: { readonly before: HolderPosition | null; readonly limit: number },
): HolderPage {
  const blobId = findBlobRow(sql, digest)?.id;
  if (blobId === undefined) return { holders: [], next: null };
  const [manifest, repository] = page.before ?? [Number.MAX_SAFE_INTEGER, 0];
  const naming = sql.all<HolderRow>(
    `SELECT ${holderColumns}
     FROM named n CROSS JOIN manifests m INDEXED BY manifests_by_blob CROSS JOIN repositories r
       CROSS JOIN blobs b
     WHERE n.blob_id = ?1 AND n.manifest_id <= ?2 AND m.blob_id = n.manifest_id
       AND (m.blob_id < ?2 OR m.repository_id < ?3)
       AND r.id = m.repository_id AND b.id = m.blob_id
     ORDER BY n.manifest_id DESC, m.repository_id DESC LIMIT ?4`,
    blobId,
    manifest,
    repository,
    page.limit,
  );
  const last = naming.length < page.limit ? undefined : naming.at(-1);
  const others = page.before === null ? holdersByThemselves(sql, blobId) : [];
  return {
    holders: [...others, ...naming].map((row) => ({
      repository: row.repository,
      digest: digestFromBytes(row.digest),
    })),
    next: last === undefined ? null : [last.manifestId, last.repositoryId],
  };
}

/** The blob as a manifest, and what cannot be read where it is linked: a few. */
function holdersByThemselves(sql: Sql, blobId: number): HolderRow[] {
  return sql.all<HolderRow>(
    `SELECT ${holderColumns} FROM manifests m INDEXED BY manifests_by_blob
       CROSS JOIN repositories r CROSS JOIN blobs b
     WHERE m.blob_id = ?1 AND r.id = m.repository_id AND b.id = m.blob_id
     UNION ALL
     SELECT ${holderColumns} FROM layers l CROSS JOIN manifests m INDEXED BY manifests_unreadable
       CROSS JOIN repositories r CROSS JOIN blobs b
     WHERE l.blob_id = ?1 AND m.repository_id = l.repository_id AND m.unreadable = 1
       AND r.id = m.repository_id AND b.id = m.blob_id`,
    blobId,
  );
}

/** Manifests of the repository (?1) that have the manifest (?2) as a part: not as their subject. */
const parentsOf = `FROM named n CROSS JOIN manifests m CROSS JOIN blobs b
  WHERE n.blob_id = ?2 AND n.kind <> ${namedKind.subject}
    AND n.manifest_id <> ?2
    AND m.repository_id = ?1 AND m.blob_id = n.manifest_id`;

function digests(sql: Sql, text: string, row: Leased): Digest[] {
  return sql
    .all<{ digest: Uint8Array }>(`${text} LIMIT ${tiesMax}`, row.repositoryId, row.blobId)
    .map(({ digest }) => digestFromBytes(digest));
}

function subjectOf(sql: Sql, row: Leased): Digest | null {
  const subject = sql.get<{ digest: Uint8Array }>(
    `SELECT b.digest FROM manifests m CROSS JOIN manifests s CROSS JOIN blobs b
     WHERE m.repository_id = ?1 AND m.blob_id = ?2
       AND s.repository_id = ?1 AND s.blob_id = m.subject_id AND b.id = s.blob_id`,
    row.repositoryId,
    row.blobId,
  );
  return subject === null ? null : digestFromBytes(subject.digest);
}

function tagsOf(sql: Sql, row: Leased): { tag: Tag; pushedAtMs: number }[] {
  return sql.all(
    `SELECT name AS tag, moved_at AS pushedAtMs FROM tags INDEXED BY tags_by_manifest
     WHERE blob_id = ? AND repository_id = ?`,
    row.blobId,
    row.repositoryId,
  );
}

function isLeased(sql: Sql, row: Leased, nowMs: number): boolean {
  return sql.has(
    "SELECT 1 FROM leases WHERE blob_id = ? AND repository_id = ? AND expires_at > ?",
    row.blobId,
    row.repositoryId,
    nowMs,
  );
}

interface RetireWork {
  readonly repository: RepositoryName;
  readonly images: readonly RetiredImage[];
  readonly witnesses: readonly Tag[];
  readonly deletion: Deletion;
}

export function retireImages(sql: Sql, work: RetireWork): RetireOutcome {
  const nothing = { results: [], tags: 0, manifests: 0, departed: { tags: [], manifests: [] } };
  const id = findRepository(sql, work.repository);
  if (id === null || !work.witnesses.every((tag) => hasTag(sql, id, tag))) {
    return { standing: "changed", ...nothing };
  }
  if (isUnjudgeable(sql, id)) return { standing: "unjudgeable", ...nothing };
  const tally = noneYet();
  const results = work.images.map((image) => retire(sql, { ...work, tally }, image));
  return { standing: "fits", results, ...tally };
}

function hasTag(sql: Sql, repositoryId: number, tag: Tag): boolean {
  return sql.has("SELECT 1 FROM tags WHERE repository_id = ? AND name = ?", repositoryId, tag);
}

interface Tally {
  tags: number;
  manifests: number;
  readonly departed: { readonly tags: Tag[]; readonly manifests: Digest[] };
}

function noneYet(): Tally {
  return { tags: 0, manifests: 0, departed: { tags: [], manifests: [] } };
}

/** Where, on whose account, and what has gone so far. */
interface Removing {
  readonly repository: RepositoryName;
  readonly deletion: Deletion;
  readonly tally: Tally;
}

function retire(sql: Sql, removing: Removing, image: RetiredImage): RetireResult {
  const { repository, deletion } = removing;
  const { digest } = image;
  const row = manifestRow(sql, { repository, digest });
  if (row === null || !isAsJudged(sql, { ...row, repository }, image)) return "changed";
  const wanted = new Set<Tag>(image.tags.map(({ tag }) => tag));
  if (tagsOf(sql, row).every(({ tag }) => wanted.has(tag))) {
    if (isLeased(sql, row, deletion.nowMs)) return "leased";
    if (!isNeeded(sql, row)) {
      removeWithAttachments(sql, removing, digest);
      return "removed";
    }
  }
  for (const tag of wanted) removeTag(sql, removing, { tag, digest });
  return "untagged";
}

function removeTag(
  sql: Sql,
  { repository, deletion, tally }: Removing,
  { tag, digest }: { readonly tag: Tag; readonly digest: Digest },
): void {
  const { outcome } = deleteTagRestorably(sql, { repository, tag, expected: digest }, deletion);
  // An immutable one stays: no rule lets such a tag go, but one may be attached to what goes.
  if (outcome !== "deleted") return;
  tally.tags += 1;
  tally.departed.tags.push(tag);
}

/** Nothing has been pushed or pulled that the judgement did not know of. */
function isAsJudged(
  sql: Sql,
  row: Leased & { readonly repository: RepositoryName },
  image: RetiredImage,
): boolean {
  const now = new Map(tagsOf(sql, row).map(({ tag, pushedAtMs }) => [tag, pushedAtMs]));
  const pushed = sql.get<{ pushedAt: number }>(
    "SELECT pushed_at AS pushedAt FROM manifests WHERE repository_id = ? AND blob_id = ? AND unreadable = 0",
    row.repositoryId,
    row.blobId,
  );
  return (
    pushed !== null &&
    pushed.pushedAt === image.imagePushedAtMs &&
    pulledAt(sql, row.repository, image.digest) === image.pulledAtMs &&
    image.tags.every(({ tag, pushedAtMs }) => now.get(tag) === pushedAtMs)
  );
}

/** Something else needs the manifest: an index has it as a part, or it belongs to a subject that is there. */
function isNeeded(sql: Sql, row: Leased): boolean {
  const hasParent = sql.has(
    `SELECT 1 ${parentsOf} AND b.id = n.manifest_id LIMIT 1`,
    row.repositoryId,
    row.blobId,
  );
  return hasParent || subjectOf(sql, row) !== null;
}

/** An image, what goes with it, and the attachments of all that went, in turn. */
function removeWithAttachments(sql: Sql, removing: Removing, digest: Digest): void {
  const { repository, deletion, tally } = removing;
  const removed = deleteImage(sql, { repository, digest }, deletion);
  tally.tags += removed.tags.length;
  tally.manifests += removed.manifests.length;
  tally.departed.manifests.push(...removed.manifests);
  for (const gone of removed.manifests) {
    for (const tag of attachmentTags(gone)) removeAttachment(sql, removing, tag);
  }
}

/** The manifest behind it goes too, unless something else names or needs it. */
function removeAttachment(sql: Sql, removing: Removing, tag: Tag): void {
  const { repository, deletion } = removing;
  const found = sql.get<{ digest: Uint8Array }>(
    `SELECT b.digest FROM repositories r, tags t, blobs b
     WHERE r.name = ? AND t.repository_id = r.id AND t.name = ? AND b.id = t.blob_id`,
    repository,
    tag,
  );
  if (found === null) return;
  const digest = digestFromBytes(found.digest);
  const row = manifestRow(sql, { repository, digest });
  const isAlone = row !== null && tagsOf(sql, row).length === 1 && !isNeeded(sql, row);
  if (isAlone && !isLeased(sql, row, deletion.nowMs)) {
    removeWithAttachments(sql, removing, digest);
  } else {
    removeTag(sql, removing, { tag, digest });
  }
}

export function retireUntagged(
  sql: Sql,
  work: {
    readonly repository: RepositoryName;
    readonly digests: readonly Digest[];
    readonly untaggedBeforeMs: number;
    readonly deletion: Deletion;
  },
): UntaggedOutcome {
  const tally = noneYet();
  const gone: Digest[] = [];
  const { repository, deletion, untaggedBeforeMs } = work;
  for (const digest of work.digests) {
    const row = manifestRow(sql, { repository, digest });
    // What is a part of something goes with it: nothing is left without its parts.
    if (row === null || isNeeded(sql, row)) continue;
    if (!isLeftUntagged(sql, row, { untaggedBeforeMs, nowMs: deletion.nowMs })) continue;
    removeWithAttachments(sql, { repository, deletion, tally }, digest);
    gone.push(digest);
  }
  return { gone, ...tally };
}

const runsKey = "retention-runs";

export function retentionRuns(sql: Sql): Map<string, number> {
  const text = getMeta(sql, runsKey);
  return new Map(text === null ? [] : (JSON.parse(text) as [string, number][]));
}

export function setRetentionRuns(sql: Sql, lastRunMs: ReadonlyMap<string, number>): void {
  setMeta(sql, runsKey, JSON.stringify([...lastRunMs]));
}
