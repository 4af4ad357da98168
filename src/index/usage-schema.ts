// What the index keeps about space: which repository holds which blob, and the sums of it. Kept by
// triggers, in the transaction of every change and whoever makes it, so that no operation can forget it.
// All of it follows from the other facts and is filled with them; verify counts it again.
// What the sums mean: docs/usage.md.
import { blobState, namedKind } from "./stored-numbers.ts";

const present = (row: string): string => `(${row}.state = ${blobState.present}) * ${row}.size`;

/**
 * Manifests are counted in the order of their key. Up to `counted_*` the triggers keep the count; what is
 * beyond is written in bulk, and counted a page at a time afterwards (usage-count.ts).
 */
const isCounted = (row: string): string =>
  `(${row}.repository_id, ${row}.blob_id)
    <= (SELECT counted_repository, counted_manifest FROM usage_totals)`;

/** Beyond every key. */
export const allCounted = "9223372036854775807";

/** The only repository beside `here` that holds the blob; null: none does, or several do. */
const soleOther = (blob: string, here: string): string => `(
  SELECT CASE count(*) WHEN 1 THEN max(o.repository_id) END FROM (
    SELECT repository_id FROM holdings
    WHERE blob_id = ${blob} AND repository_id <> ${here} LIMIT 2) o)`;

const isAlone = (blob: string, here: string): string => `NOT EXISTS (
  SELECT 1 FROM holdings WHERE blob_id = ${blob} AND repository_id <> ${here})`;

/** Row numbers begin at 1. */
const nowhere = "0";

/** A holding comes (+) or goes (-): the sums of its repository, and of the one that shares or shared it. */
const moveSums = (row: "new" | "old", sign: "+" | "-"): string => {
  const { blob, here, other } = {
    blob: `${row}.blob_id`,
    here: `${row}.repository_id`,
    other: sign === "+" ? "-" : "+",
  };
  const ofBlob = `(SELECT id, size FROM blobs WHERE id = ${blob} AND state = ${blobState.present}) b`;
  return `
  UPDATE repositories SET logical_bytes = logical_bytes ${sign} b.size,
    exclusive_bytes = exclusive_bytes ${sign} b.size * ${isAlone(blob, here)}
    FROM ${ofBlob} WHERE repositories.id = ${here};
  UPDATE repositories SET exclusive_bytes = exclusive_bytes ${other} b.size
    FROM ${ofBlob} WHERE repositories.id = ${soleOther(blob, here)};
  UPDATE usage_totals SET logical_bytes = logical_bytes ${sign} b.size,
    held_bytes = held_bytes ${sign} b.size * ${isAlone(blob, here)} FROM ${ofBlob};`;
};

/** Tables, columns and triggers; with the other facts they are dropped and made again by a rebuild. */
export const usageFacts = `
ALTER TABLE repositories ADD COLUMN tags INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN logical_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN exclusive_bytes INTEGER NOT NULL DEFAULT 0;

-- Of a manifest: the bytes of the blobs that it names as its own, and how many manifests it names.
ALTER TABLE blobs ADD COLUMN content_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE blobs ADD COLUMN children INTEGER NOT NULL DEFAULT 0;

-- How many manifests of the repository are the blob or name it, in whatever way: as the collector sees it.
CREATE TABLE holdings (
  repository_id INTEGER NOT NULL,
  blob_id INTEGER NOT NULL,
  manifests INTEGER NOT NULL,
  PRIMARY KEY (repository_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX holdings_by_blob ON holdings (blob_id);

-- held_bytes: of blobs that some repository holds; logical_bytes: over all repositories.
CREATE TABLE usage_totals (
  held_bytes INTEGER NOT NULL,
  logical_bytes INTEGER NOT NULL,
  counted_repository INTEGER NOT NULL,
  counted_manifest INTEGER NOT NULL
) STRICT;
INSERT INTO usage_totals VALUES (0, 0, ${allCounted}, ${allCounted});

CREATE TRIGGER holding_comes AFTER INSERT ON holdings BEGIN ${moveSums("new", "+")}
END;
CREATE TRIGGER holding_goes AFTER DELETE ON holdings BEGIN ${moveSums("old", "-")}
END;

CREATE TRIGGER manifest_holds AFTER INSERT ON manifests WHEN ${isCounted("new")} BEGIN
  INSERT INTO holdings (repository_id, blob_id, manifests)
    SELECT new.repository_id, x.id, 1 FROM (
      SELECT new.blob_id AS id UNION SELECT blob_id FROM named WHERE manifest_id = new.blob_id) x
    WHERE true
    ON CONFLICT (repository_id, blob_id) DO UPDATE SET manifests = manifests + 1;
END;
CREATE TRIGGER manifest_lets_go AFTER DELETE ON manifests WHEN ${isCounted("old")} BEGIN
  UPDATE holdings SET manifests = manifests - 1 WHERE repository_id = old.repository_id
    AND blob_id IN (SELECT old.blob_id UNION SELECT blob_id FROM named WHERE manifest_id = old.blob_id);
  DELETE FROM holdings WHERE repository_id = old.repository_id AND manifests = 0
    AND blob_id IN (SELECT old.blob_id UNION SELECT blob_id FROM named WHERE manifest_id = old.blob_id);
END;

CREATE TRIGGER name_holds AFTER INSERT ON named
WHEN EXISTS (SELECT 1 FROM manifests m WHERE m.blob_id = new.manifest_id AND ${isCounted("m")})
BEGIN
  INSERT INTO holdings (repository_id, blob_id, manifests)
    SELECT m.repository_id, new.blob_id, 1 FROM manifests m
    WHERE m.blob_id = new.manifest_id AND new.blob_id <> new.manifest_id AND ${isCounted("m")}
    ON CONFLICT (repository_id, blob_id) DO UPDATE SET manifests = manifests + 1;
  UPDATE blobs SET children = children + (new.kind = ${namedKind.manifest}),
    content_bytes = content_bytes + (new.kind = ${namedKind.blob}) * (
      SELECT ${present("b")} FROM blobs b WHERE b.id = new.blob_id)
    WHERE id = new.manifest_id;
END;
-- What a manifest names goes all at once, when no repository holds the manifest any more.
CREATE TRIGGER name_lets_go AFTER DELETE ON named BEGIN
  UPDATE blobs SET children = 0, content_bytes = 0
    WHERE id = old.manifest_id AND (children > 0 OR content_bytes > 0);
END;

CREATE TRIGGER held_blob_changes AFTER UPDATE OF state, size ON blobs
WHEN ${present("old")} <> ${present("new")}
BEGIN
  UPDATE repositories SET logical_bytes = logical_bytes + ${present("new")} - ${present("old")}
    WHERE id IN (SELECT repository_id FROM holdings WHERE blob_id = new.id);
  UPDATE repositories SET exclusive_bytes = exclusive_bytes + ${present("new")} - ${present("old")}
    WHERE id = ${soleOther("new.id", nowhere)};
  UPDATE usage_totals SET
    held_bytes = held_bytes + ${present("new")} - ${present("old")},
    logical_bytes = logical_bytes + (${present("new")} - ${present("old")})
      * (SELECT count(*) FROM holdings WHERE blob_id = new.id)
    WHERE EXISTS (SELECT 1 FROM holdings WHERE blob_id = new.id);
  UPDATE blobs SET content_bytes = content_bytes + ${present("new")} - ${present("old")}
    WHERE id IN (SELECT manifest_id FROM named WHERE blob_id = new.id AND kind = ${namedKind.blob});
END;

CREATE TRIGGER tag_comes AFTER INSERT ON tags BEGIN
  UPDATE repositories SET tags = tags + 1 WHERE id = new.repository_id;
END;
CREATE TRIGGER tag_goes AFTER DELETE ON tags BEGIN
  UPDATE repositories SET tags = tags - 1 WHERE id = old.repository_id;
END;
`;

/** What an index that has facts already begins with: nothing counted yet but the tags. */
export const usageOfOldFacts = `
UPDATE usage_totals SET counted_repository = 0, counted_manifest = 0
  WHERE EXISTS (SELECT 1 FROM manifests);
UPDATE repositories SET tags = (SELECT count(*) FROM tags WHERE repository_id = repositories.id);
`;

/** A row a day, oldest ones dropped. Only the index knows it, so a rebuild keeps it. */
export const usageHistory = `
CREATE TABLE usage_history (
  day INTEGER PRIMARY KEY,
  taken_at INTEGER NOT NULL,
  blobs INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,
  held_bytes INTEGER NOT NULL,
  logical_bytes INTEGER NOT NULL,
  manifests INTEGER NOT NULL,
  repositories INTEGER NOT NULL
) STRICT;
`;
