// What the index keeps about space: which repository holds which blob, and the sums of it. Kept by
// triggers, in the transaction of every change and whoever makes it, so that no operation can forget it.
// All of it follows from the other facts and is filled with them; verify counts it again.
// What the sums mean: docs/usage.md.
import { blobState, namedKind } from "./stored-numbers.ts";

const present = (row: string): string => `(${row}.state = ${blobState.present}) * ${row}.size`;

/**
 * Manifests are counted in the order of their key. Up to `counted_*` the triggers keep the count; what is
 * beyond is written in bulk, and counted a page at a time afterwards (usage-count.ts). The sums of
 * repositories up to `summed_repository` are right.
 */
const isCounted = (row: string): string =>
  `(${row}.repository_id, ${row}.blob_id)
    <= (SELECT counted_repository, counted_manifest FROM usage_totals)`;

/** Beyond every key. */
export const allCounted = "9223372036854775807";

/** Any repository beside `here` that holds the blob. */
const another = (blob: string, here: string): string =>
  `SELECT repository_id FROM holdings WHERE blob_id = ${blob} AND repository_id <> ${here} LIMIT 1`;

/** Of a row of repositories: it is the only one beside `here` that holds the blob. */
const isSoleOther = (blob: string, here: string): string => `id = (${another(blob, here)})
    AND NOT EXISTS (SELECT 1 FROM holdings
      WHERE blob_id = ${blob} AND repository_id <> ${here} AND repository_id <> id)`;

/** Row numbers begin at 1. */
const nowhere = "0";

/** A holding comes (+) or goes (-): the sums of its repository, and of the one that shares or shared it. */
const moveSums = (row: "new" | "old", sign: "+" | "-"): string => {
  const blob = `${row}.blob_id`;
  const here = `${row}.repository_id`;
  const opposite = sign === "+" ? "-" : "+";
  // Nothing holds a blob that has no row; where a holding is wrong, it must be possible to remove it.
  const bytes = `ifnull((SELECT ${present("b")} FROM blobs b WHERE b.id = ${blob}), 0)`;
  const bytesIfAlone = `CASE WHEN EXISTS (${another(blob, here)}) THEN 0 ELSE ${bytes} END`;
  return `
  UPDATE repositories SET logical_bytes = logical_bytes ${sign} ${bytes},
    exclusive_bytes = exclusive_bytes ${sign} ${bytesIfAlone} WHERE id = ${here};
  UPDATE repositories SET exclusive_bytes = exclusive_bytes ${opposite} ${bytes}
    WHERE ${isSoleOther(blob, here)};
  UPDATE usage_totals SET logical_bytes = logical_bytes ${sign} ${bytes},
    held_bytes = held_bytes ${sign} ${bytesIfAlone};`;
};

/** SQL: what the holdings of a repository add up to: all of them, and those that no other one holds. */
export const sumsOfHoldings = (id: string): string => `
  SELECT ifnull(sum(b.size), 0) AS logical,
    ifnull(sum(CASE WHEN EXISTS (${another("h.blob_id", id)}) THEN 0 ELSE b.size END), 0) AS exclusive
  FROM holdings h CROSS JOIN blobs b
  WHERE h.repository_id = ${id} AND b.id = h.blob_id AND b.state = ${blobState.present}`;

/** SQL: the totals as the holdings and the sums of repositories give them. */
export const countedTotals = `
  SELECT (SELECT ifnull(sum(b.size), 0) FROM blobs b WHERE b.state = ${blobState.present}
      AND EXISTS (SELECT 1 FROM holdings WHERE blob_id = b.id)) AS held,
    (SELECT ifnull(sum(logical_bytes), 0) FROM repositories) AS logical`;

/** SQL: how many manifests a manifest names, and the bytes of the blobs that it names as its own. */
export const contentOf = (manifest: string): string => `
  SELECT ifnull(sum(n.kind = ${namedKind.manifest}), 0) AS children,
    ifnull(sum((n.kind = ${namedKind.blob}) * ${present("b")}), 0) AS bytes
  FROM named n CROSS JOIN blobs b WHERE n.manifest_id = ${manifest} AND b.id = n.blob_id`;

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
  counted_manifest INTEGER NOT NULL,
  summed_repository INTEGER NOT NULL,
  -- While a page is counted, whose repositories are summed afterwards.
  is_counting INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO usage_totals VALUES (0, 0, ${allCounted}, ${allCounted}, ${allCounted}, 0);

CREATE TRIGGER holding_comes AFTER INSERT ON holdings
WHEN (SELECT is_counting FROM usage_totals) = 0 BEGIN ${moveSums("new", "+")}
END;
CREATE TRIGGER holding_goes AFTER DELETE ON holdings BEGIN ${moveSums("old", "-")}
END;

CREATE TRIGGER manifest_holds AFTER INSERT ON manifests WHEN ${isCounted("new")} BEGIN
  INSERT INTO holdings (repository_id, blob_id, manifests)
    SELECT new.repository_id, new.blob_id, 1
    UNION ALL SELECT new.repository_id, n.blob_id, 1 FROM named n
      WHERE n.manifest_id = new.blob_id AND n.blob_id <> new.blob_id
    ON CONFLICT (repository_id, blob_id) DO UPDATE SET manifests = manifests + 1;
  UPDATE blobs SET (children, content_bytes) = (${contentOf("new.blob_id")})
    WHERE id = new.blob_id;
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
    WHERE ${isSoleOther("new.id", nowhere)};
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
UPDATE usage_totals SET counted_repository = 0, counted_manifest = 0, summed_repository = 0
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
