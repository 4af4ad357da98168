// The index's tables, and the steps from one version of them to the next.
// Digests are kept as bytes and everything refers to them by number, so keys stay small. Facts that the
// tree holds too can always be rebuilt from it (`factTables`); the rest only the index knows.
// Design: docs/design/write-ordering.md.
import { usageFacts, usageHistory, usageOfOldFacts } from "./usage-schema.ts";

export { blobState, namedKind } from "./stored-numbers.ts";

/**
 * What is known of a manifest's content (column `unreadable`; the numbers are stored). An unreadable one
 * holds everything in its repository (INV-7); one whose bytes are absent holds nothing. Neither is served,
 * and both are read again by the next comparison.
 */
export const manifestContent = { read: 0, unreadable: 1, absent: 2 } as const;

/** Kinds of places in redo records; the numbers are stored. */
export const placeKind = {
  layer: 1,
  revision: 2,
  tag: 3,
  "tag-history": 4,
  repository: 5,
} as const;

const facts = `
CREATE TABLE blobs (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  size INTEGER NOT NULL DEFAULT 0,
  state INTEGER NOT NULL DEFAULT 0,
  foreign_since INTEGER
) STRICT;
CREATE INDEX blobs_condemned ON blobs (digest) WHERE state = 2;

CREATE TABLE repositories (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  manifests INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX repositories_listed ON repositories (name) WHERE manifests > 0;

CREATE TABLE layers (
  repository_id INTEGER NOT NULL,
  blob_id INTEGER NOT NULL,
  PRIMARY KEY (repository_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX layers_by_blob ON layers (blob_id);

CREATE TABLE manifests (
  repository_id INTEGER NOT NULL,
  blob_id INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  subject_id INTEGER,
  artifact_type TEXT,
  annotations TEXT,
  pushed_at INTEGER NOT NULL,
  unreadable INTEGER NOT NULL DEFAULT 0,
  subject_removed INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (repository_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifests_by_blob ON manifests (blob_id);
CREATE INDEX manifests_by_subject ON manifests (repository_id, subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX manifests_unreadable ON manifests (repository_id) WHERE unreadable = 1;

-- What the content of a live manifest names; gone with the last repository that holds the manifest.
CREATE TABLE named (
  manifest_id INTEGER NOT NULL,
  blob_id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  PRIMARY KEY (manifest_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX named_by_blob ON named (blob_id);

CREATE TABLE tags (
  repository_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  blob_id INTEGER NOT NULL,
  moved_at INTEGER NOT NULL,
  PRIMARY KEY (repository_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_manifest ON tags (blob_id, repository_id);

CREATE TABLE tag_history (
  repository_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  blob_id INTEGER NOT NULL,
  PRIMARY KEY (repository_id, name, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_history_by_manifest ON tag_history (blob_id, repository_id);

CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  repository_id INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  touched_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_repository ON uploads (repository_id);
CREATE INDEX uploads_idle ON uploads (touched_at);

CREATE TABLE leases (
  repository_id INTEGER NOT NULL,
  caller TEXT NOT NULL,
  blob_id INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  looking_since INTEGER,
  PRIMARY KEY (repository_id, caller, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_by_blob ON leases (blob_id, repository_id, expires_at);
CREATE INDEX leases_by_end ON leases (expires_at);

CREATE TABLE manifest_candidates (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  repository_id INTEGER NOT NULL,
  blob_id INTEGER NOT NULL,
  untagged_since INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  held INTEGER NOT NULL DEFAULT 0,
  UNIQUE (repository_id, blob_id)
) STRICT;
CREATE INDEX manifest_candidates_due ON manifest_candidates (held, due_at, id);

CREATE TABLE blob_candidates (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  repository_id INTEGER NOT NULL,
  blob_id INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  UNIQUE (repository_id, blob_id)
) STRICT;
CREATE INDEX blob_candidates_by_blob ON blob_candidates (blob_id);
CREATE INDEX blob_candidates_due ON blob_candidates (due_at, id);

CREATE TABLE repository_candidates (repository_id INTEGER PRIMARY KEY) STRICT;

CREATE TABLE problems (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  repository TEXT,
  name TEXT,
  path TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX problems_by_kind ON problems (kind, repository);

CREATE TABLE totals (blobs INTEGER NOT NULL, bytes INTEGER NOT NULL, manifests INTEGER NOT NULL) STRICT;
INSERT INTO totals VALUES (0, 0, 0);
CREATE TRIGGER blob_comes AFTER INSERT ON blobs WHEN new.state = 1 BEGIN
  UPDATE totals SET blobs = blobs + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER blob_changes AFTER UPDATE OF state, size ON blobs
WHEN old.state = 1 OR new.state = 1 BEGIN
  UPDATE totals SET blobs = blobs + (new.state = 1) - (old.state = 1),
    bytes = bytes + (new.state = 1) * new.size - (old.state = 1) * old.size;
END;
CREATE TRIGGER blob_goes AFTER DELETE ON blobs WHEN old.state = 1 BEGIN
  UPDATE totals SET blobs = blobs - 1, bytes = bytes - old.size;
END;
CREATE TRIGGER manifest_comes AFTER INSERT ON manifests BEGIN
  UPDATE totals SET manifests = manifests + 1;
  UPDATE repositories SET manifests = manifests + 1 WHERE id = new.repository_id;
END;
CREATE TRIGGER manifest_goes AFTER DELETE ON manifests BEGIN
  UPDATE totals SET manifests = manifests - 1;
  UPDATE repositories SET manifests = manifests - 1 WHERE id = old.repository_id;
END;
`;

const own = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE redo (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL,
  repository TEXT NOT NULL,
  tag TEXT NOT NULL,
  digest BLOB NOT NULL,
  UNIQUE (kind, repository, tag, digest)
) STRICT;
`;

/** What clients deleted and may have back; by digest, so that a rebuild of the facts keeps it. */
const deletions = `
CREATE TABLE deletions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  repository TEXT NOT NULL,
  digest BLOB NOT NULL,
  media_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  deleted_at INTEGER NOT NULL,
  deleted_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  tags TEXT NOT NULL,
  UNIQUE (repository, digest)
) STRICT;
CREATE INDEX deletions_by_time ON deletions (deleted_at, id);

-- What a restore needs. media_type: it was a manifest of the repository, and would have to be again.
CREATE TABLE deletion_holds (
  deletion_id INTEGER NOT NULL,
  digest BLOB NOT NULL,
  media_type TEXT,
  PRIMARY KEY (deletion_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX deletion_holds_by_digest ON deletion_holds (digest);
`;

/** Runs of the collector, oldest ones dropped; ended_at is null while one is under way. */
const runs = `
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ended_at INTEGER,
  record TEXT NOT NULL
) STRICT;
CREATE INDEX runs_under_way ON runs (id) WHERE ended_at IS NULL;
`;

/** Pages that are kept for removals on a full disk (room.ts). */
const reserve = `
CREATE TABLE reserve (filling BLOB NOT NULL) STRICT;
`;

/** What has happened, for those who are to be notified (events.ts); a rebuild of the facts leaves it alone. */
const events = `
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL) STRICT;
-- Who is to have them, and the last one that each has had.
CREATE TABLE event_endpoints (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

/** Tags in the order in which they were moved, for lists that begin with the newest. */
const tagsByTime = `
CREATE INDEX tags_by_time ON tags (repository_id, moved_at, name);
`;

/**
 * Deletions that can be undone, by what was deleted: a tag (`tag`), or a manifest, with or without children
 * and referrers (`tag` is ""). Their tags by name; what they held; and what was let go, for a while.
 */
const undo = `
CREATE TABLE deletions_of_any_kind (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  what TEXT NOT NULL,
  repository TEXT NOT NULL,
  digest BLOB NOT NULL,
  tag TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  held_bytes INTEGER NOT NULL,
  deleted_at INTEGER NOT NULL,
  deleted_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  UNIQUE (repository, digest, tag)
) STRICT;
INSERT INTO deletions_of_any_kind
  SELECT d.id, 'manifest', d.repository, d.digest, '', d.media_type, d.size,
    (SELECT coalesce(sum(b.size), 0) FROM deletion_holds h CROSS JOIN blobs b
      WHERE h.deletion_id = d.id AND b.digest = h.digest AND b.state = 1),
    d.deleted_at, d.deleted_by, d.reason
  FROM deletions d;
CREATE TABLE deletion_tags (
  deletion_id INTEGER NOT NULL,
  tag TEXT NOT NULL,
  repository TEXT NOT NULL,
  PRIMARY KEY (deletion_id, tag)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO deletion_tags
  SELECT d.id, tags.value, d.repository FROM deletions d, json_each(d.tags) tags;
CREATE INDEX deletion_tags_by_name ON deletion_tags (repository, tag);
DROP TABLE deletions;
ALTER TABLE deletions_of_any_kind RENAME TO deletions;
CREATE INDEX deletions_by_time ON deletions (deleted_at, id);
CREATE INDEX deletions_by_repository ON deletions (repository, deleted_at, id);

-- Whether the repository had a layer link to it: a restore gives back no more than there was.
ALTER TABLE deletion_holds ADD COLUMN linked INTEGER NOT NULL DEFAULT 0;
UPDATE deletion_holds SET linked = 1 WHERE media_type IS NULL;
-- Of its deletion: a layer that thousands of deletions hold is asked about as quickly as any other.
ALTER TABLE deletion_holds ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;
UPDATE deletion_holds SET deleted_at =
  (SELECT coalesce(max(d.deleted_at), 0) FROM deletions d WHERE d.id = deletion_id);
DROP INDEX deletion_holds_by_digest;
CREATE INDEX deletion_holds_by_digest ON deletion_holds (digest, deleted_at);

-- By every name that somebody may ask for: a tag, or a digest as text.
CREATE TABLE released_deletions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  repository TEXT NOT NULL,
  name TEXT NOT NULL,
  deleted_at INTEGER NOT NULL,
  released_at INTEGER NOT NULL
) STRICT;
CREATE INDEX released_deletions_by_name ON released_deletions (repository, name);
`;

/**
 * When a manifest was last pulled, to the hour. Only the index knows: by name and digest, so that a rebuild
 * of the facts keeps it.
 */
const pulls = `
CREATE TABLE pulls (
  repository TEXT NOT NULL,
  digest BLOB NOT NULL,
  pulled_at INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
`;

/** Passwords of programs, with rights of their own; only hashes of secrets. */
const robotTokens = `
CREATE TABLE robot_tokens (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  rights TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;
`;

/**
 * Who began an upload; null: nobody who was logged in, or not known. A rebuild cannot know it: the tree does
 * not say.
 */
const uploadOwners = `
ALTER TABLE uploads ADD COLUMN owner TEXT;
`;

/** Tables that a rebuild from the tree empties and fills again. */
export const factTables: readonly string[] = [
  ...(facts + usageFacts).matchAll(/CREATE TABLE (\w+)/g),
].map((match) => match[1] ?? "");

/** Makes the fact tables, empty. */
export const factSchema = facts + usageFacts + tagsByTime + uploadOwners;

/** Step n brings a database from version n to n + 1 (PRAGMA user_version). Never change a released one. */
export const migrations: readonly string[] = [
  own + facts,
  deletions + runs,
  reserve,
  undo,
  pulls,
  usageFacts + usageOfOldFacts + usageHistory,
  tagsByTime,
  robotTokens,
  events,
  uploadOwners,
];
