// What the comparison, verify and a full collection read: whole repositories, ranges of blobs, pages of
// tables. None of it is on a request path.
import {
  type Digest,
  type DigestAlgorithm,
  digestFromBytes,
  digestToBytes,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type { EnqueuePage, Page, RepositoryFacts, TreeProblem } from "../registry/ports/index.ts";
import { noRepository } from "./queue.ts";
import { findRepository, holdsNothing } from "./rows.ts";
import { blobState, manifestContent } from "./schema.ts";
import type { Sql } from "./sql.ts";

export function listKnownRepositories(sql: Sql, page: Page): RepositoryName[] {
  return sql
    .all<{ name: RepositoryName }>(
      "SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?",
      page.after ?? "",
      page.limit,
    )
    .map(({ name }) => name);
}

export function repositoryFacts(sql: Sql, repository: RepositoryName): RepositoryFacts {
  const id = findRepository(sql, repository) ?? noRepository;
  const tags = sql.all<{ name: Tag; digest: Uint8Array }>(
    "SELECT t.name, b.digest FROM tags t, blobs b WHERE t.repository_id = ? AND b.id = t.blob_id",
    id,
  );
  const history = sql.all<{ name: Tag; digest: Uint8Array }>(
    "SELECT h.name, b.digest FROM tag_history h, blobs b WHERE h.repository_id = ? AND b.id = h.blob_id",
    id,
  );
  const tagHistory = new Map<Tag, Set<Digest>>();
  for (const { name, digest } of history) {
    const digests = tagHistory.get(name) ?? new Set();
    tagHistory.set(name, digests.add(digestFromBytes(digest)));
  }
  return {
    layers: digestsIn(sql, "layers", id),
    revisions: digestsIn(sql, "manifests", id),
    tags: new Map(tags.map(({ name, digest }) => [name, digestFromBytes(digest)])),
    tagHistory,
    unread: unreadIn(sql, id),
    uploads: new Set(
      sql
        .all<{ id: string }>("SELECT id FROM uploads WHERE repository_id = ?", id)
        .map((row) => row.id),
    ),
  };
}

function unreadIn(sql: Sql, repositoryId: number): RepositoryFacts["unread"] {
  const rows = sql.all<{ digest: Uint8Array; content: number }>(
    `SELECT b.digest, m.unreadable AS content FROM manifests m, blobs b
     WHERE m.repository_id = ? AND m.unreadable <> ${manifestContent.read} AND b.id = m.blob_id`,
    repositoryId,
  );
  return new Map(
    rows.map(({ digest, content }) => [
      digestFromBytes(digest),
      content === manifestContent.absent ? "absent" : "unreadable",
    ]),
  );
}

function digestsIn(sql: Sql, table: "layers" | "manifests", repositoryId: number): Set<Digest> {
  const rows = sql.all<{ digest: Uint8Array }>(
    `SELECT b.digest FROM ${table} x, blobs b WHERE x.repository_id = ? AND b.id = x.blob_id`,
    repositoryId,
  );
  return new Set(rows.map(({ digest }) => digestFromBytes(digest)));
}

/** Present blobs of one directory `blobs/<algorithm>/<two hex digits>`, with their sizes in bytes. */
export function blobsWithPrefix(
  sql: Sql,
  algorithm: DigestAlgorithm,
  hexPrefix: string,
): Map<Digest, number> {
  const hexDigits = algorithm === "sha256" ? 64 : 128;
  const bound = (fill: string): Uint8Array =>
    digestToBytes(`${algorithm}:${hexPrefix.padEnd(hexDigits, fill)}` as Digest);
  const rows = sql.all<{ digest: Uint8Array; size: number }>(
    `SELECT digest, size FROM blobs
     WHERE digest BETWEEN ? AND ? AND state = ${blobState.present}`,
    bound("0"),
    bound("f"),
  );
  return new Map(rows.map(({ digest, size }) => [digestFromBytes(digest), size]));
}

export function listProblems(
  sql: Sql,
  after: number,
  limit: number,
): (TreeProblem & { cursor: number })[] {
  return sql.all(
    "SELECT id AS cursor, kind, repository, name, path, detail FROM problems WHERE id > ? ORDER BY id LIMIT ?",
    after,
    limit,
  );
}

/** The last key of a page, as the text in which it is handed out. */
interface PageEnd {
  readonly next: string | null;
  readonly missed: number;
}

/** Of a layer link `x`: a manifest of its repository needs it, or may, or it is in the queue. */
export const isKnownLink = `EXISTS (SELECT 1 FROM named n, manifests m WHERE n.blob_id = x.blob_id
    AND m.repository_id = x.repository_id AND m.blob_id = n.manifest_id)
  OR EXISTS (SELECT 1 FROM manifests u
    WHERE u.repository_id = x.repository_id AND u.unreadable = 1)
  OR EXISTS (SELECT 1 FROM blob_candidates c
    WHERE c.repository_id = x.repository_id AND c.blob_id = x.blob_id)`;

/** Looks at a page of a table and puts into the queue what nothing holds and is not in it (`--full`). */
export function enqueuePage(sql: Sql, page: EnqueuePage): PageEnd {
  switch (page.what) {
    case "blobs":
      return enqueueBlobs(sql, page);
    case "layers":
      return enqueuePairs(sql, page, {
        table: "layers",
        into: "blob_candidates (repository_id, blob_id, due_at) SELECT x.repository_id, x.blob_id, ?5",
        unless: isKnownLink,
      });
    case "manifests":
      return enqueuePairs(sql, page, {
        table: "manifests",
        into: "manifest_candidates (repository_id, blob_id, untagged_since, due_at) SELECT x.repository_id, x.blob_id, ?5, ?5",
        // A manifest that an other one of its repository names is looked at when that one goes.
        unless: `EXISTS (SELECT 1 FROM tags t WHERE t.blob_id = x.blob_id AND t.repository_id = x.repository_id)
          OR EXISTS (SELECT 1 FROM named n, manifests m WHERE n.blob_id = x.blob_id
            AND m.repository_id = x.repository_id AND m.blob_id = n.manifest_id)
          OR EXISTS (SELECT 1 FROM manifests s
            WHERE s.repository_id = x.repository_id AND s.blob_id = x.subject_id)
          OR EXISTS (SELECT 1 FROM manifest_candidates c
            WHERE c.repository_id = x.repository_id AND c.blob_id = x.blob_id)`,
      });
    case "repositories":
      return enqueueRepositories(sql, page);
  }
}

/** Of a blob `b`: nothing holds it, and the queue does not know. Must never be; `--full` and verify ask. */
export const isMissedBlob = `b.state = ${blobState.present}
  AND NOT EXISTS (SELECT 1 FROM named WHERE blob_id = b.id)
  AND NOT EXISTS (SELECT 1 FROM manifests WHERE blob_id = b.id)
  AND NOT EXISTS (SELECT 1 FROM layers l, manifests u
    WHERE l.blob_id = b.id AND u.repository_id = l.repository_id AND u.unreadable = 1)
  AND NOT EXISTS (SELECT 1 FROM deletion_holds WHERE digest = b.digest)
  AND NOT EXISTS (SELECT 1 FROM blob_candidates WHERE blob_id = b.id)`;

function enqueueBlobs(sql: Sql, page: EnqueuePage): PageEnd {
  const after = Number(page.after ?? 0);
  const last = sql.get<{ id: number | null }>(
    "SELECT max(id) AS id FROM (SELECT id FROM blobs WHERE id > ? ORDER BY id LIMIT ?)",
    after,
    page.limit,
  )?.id;
  if (last === null || last === undefined) return { next: null, missed: 0 };
  const missed = sql.run(
    `INSERT INTO blob_candidates (repository_id, blob_id, due_at)
     SELECT ${noRepository}, b.id, ?3 FROM blobs b
     WHERE b.id > ?1 AND b.id <= ?2 AND ${isMissedBlob}`,
    after,
    last,
    page.nowMs,
  );
  return { next: String(last), missed };
}

function enqueuePairs(
  sql: Sql,
  page: EnqueuePage,
  query: { readonly table: string; readonly into: string; readonly unless: string },
): PageEnd {
  const [repositoryId = 0, blobId = 0] = (page.after ?? "0 0").split(" ").map(Number);
  const last = sql.get<{ repositoryId: number; blobId: number }>(
    `SELECT repository_id AS repositoryId, blob_id AS blobId FROM (
       SELECT repository_id, blob_id FROM ${query.table}
       WHERE (repository_id, blob_id) > (?1, ?2) ORDER BY repository_id, blob_id LIMIT ?3
     ) ORDER BY repository_id DESC, blob_id DESC LIMIT 1`,
    repositoryId,
    blobId,
    page.limit,
  );
  if (last === null) return { next: null, missed: 0 };
  const missed = sql.run(
    `INSERT INTO ${query.into} FROM ${query.table} x
     WHERE (x.repository_id, x.blob_id) > (?1, ?2) AND (x.repository_id, x.blob_id) <= (?3, ?4)
       AND NOT (${query.unless})`,
    repositoryId,
    blobId,
    last.repositoryId,
    last.blobId,
    page.nowMs,
  );
  return { next: `${last.repositoryId} ${last.blobId}`, missed };
}

function enqueueRepositories(sql: Sql, page: EnqueuePage): PageEnd {
  const after = Number(page.after ?? 0);
  const last = sql.get<{ id: number | null }>(
    "SELECT max(id) AS id FROM (SELECT id FROM repositories WHERE id > ? ORDER BY id LIMIT ?)",
    after,
    page.limit,
  )?.id;
  if (last === null || last === undefined) return { next: null, missed: 0 };
  const missed = sql.run(
    `INSERT OR IGNORE INTO repository_candidates
     SELECT r.id FROM repositories r
     WHERE r.id > ? AND r.id <= ? AND r.manifests = 0 AND ${holdsNothing("r.id")}`,
    after,
    last,
  );
  return { next: String(last), missed };
}
