// Takes what the tree says into the index: all of it at the first build, differences afterwards.
// Where a redo record covers a place the index is right; elsewhere the tree, looked at again here, inside
// the transaction (INV-2, INV-8). Nothing taken in is owed to the tree.
import { type Digest, mediaTypes, type ParsedManifest } from "../oci/index.ts";
import type { Difference, TreePlace, TreeProbe, TreeProblem } from "../registry/ports/index.ts";
import { absorbFirst } from "./absorb-first.ts";
import { manifestRow, removeManifest } from "./deleting.ts";
import { enqueueBlob, enqueueManifest, enqueueRepository, noRepository } from "./queue.ts";
import { isOwed } from "./redo.ts";
import { endUpload, recordManifest } from "./pushing.ts";
import { ensureBlob, ensureRepository, findBlobRow, findRepository } from "./rows.ts";
import { blobState, factSchema, factTables } from "./schema.ts";
import type { Sql } from "./sql.ts";
import { pointTag, removeTag } from "./tagging.ts";

export interface AbsorbOptions {
  readonly nowMs: number;
  /** False at the first build, while nothing else changes the index or the tree. */
  readonly recheck: boolean;
}

type Of<Kind extends Difference["kind"]> = Extract<Difference, { kind: Kind }>;

/** How many of the differences were taken in. */
export function absorb(
  sql: Sql,
  probe: TreeProbe,
  work: { readonly differences: readonly Difference[]; readonly options: AbsorbOptions },
): number {
  const { differences, options } = work;
  if (!options.recheck && isFirstBuild(sql, differences)) {
    return absorbFirst(sql, differences, options.nowMs);
  }
  let taken = 0;
  for (const difference of differences) {
    if (options.recheck && !isStillSo(sql, probe, difference)) continue;
    absorbOne(sql, difference, options);
    taken++;
  }
  return taken;
}

/** Nothing was there before, and nothing is gone: then many can be written at once. */
function isFirstBuild(sql: Sql, differences: readonly Difference[]): boolean {
  if (getMeta(sql, "complete") !== null) return false;
  return differences.every((difference) => !("there" in difference) || difference.there);
}

function placeOf(difference: Exclude<Difference, { kind: "blob" | "upload" }>): TreePlace {
  const { repository } = difference;
  switch (difference.kind) {
    case "layer":
      return { kind: "layer", repository, digest: difference.digest };
    case "revision":
      return { kind: "revision", repository, digest: difference.digest };
    case "tag":
      return { kind: "tag", repository, tag: difference.tag };
    case "tag-history":
      return { kind: "tag-history", repository, tag: difference.tag, digest: difference.digest };
  }
}

function isStillSo(sql: Sql, probe: TreeProbe, difference: Difference): boolean {
  if (difference.kind === "upload") return true;
  if (difference.kind === "blob") {
    // A condemned blob's bytes are on their way out: nothing to take in.
    if (findBlobRow(sql, difference.digest)?.state === blobState.condemned) return false;
    return readable(() => probe.blobSizeBytes(difference.digest)) === difference.sizeBytes;
  }
  const place = placeOf(difference);
  if (isOwed(sql, place)) return false;
  const link = readable(() => probe.link(place));
  if (difference.kind === "tag") return link === difference.digest;
  // The directory's name tells the digest: a bent link holds what it is for all the same (INV-7).
  return (link !== null) === difference.there;
}

/** Undefined where it cannot be read: a link is there then; what it holds is not known (INV-7). */
function readable<Value>(look: () => Value): Value | undefined {
  try {
    return look();
  } catch {
    // The walk reports it; here it must not keep the other differences from being taken in.
    return undefined;
  }
}

function absorbOne(sql: Sql, difference: Difference, options: AbsorbOptions): void {
  switch (difference.kind) {
    case "blob":
      absorbBlob(sql, difference, options);
      break;
    case "layer":
      absorbLayer(sql, difference, options);
      break;
    case "revision":
      absorbRevision(sql, difference, options);
      break;
    case "tag":
      absorbTag(sql, difference, options);
      break;
    case "tag-history":
      absorbHistory(sql, difference);
      break;
    case "upload":
      absorbUpload(sql, difference, options);
      break;
  }
}

function absorbBlob(sql: Sql, blob: Of<"blob">, options: AbsorbOptions): void {
  const id = ensureBlob(sql, blob.digest);
  if (blob.sizeBytes === null) {
    sql.run(`UPDATE blobs SET state = ${blobState.absent}, size = 0 WHERE id = ?`, id);
    return;
  }
  sql.run(
    `UPDATE blobs SET state = ${blobState.present}, size = ?, foreign_since = ? WHERE id = ?`,
    blob.sizeBytes,
    // Times of files have fractions of a millisecond.
    Math.floor(options.recheck ? Math.min(blob.modifiedMs, options.nowMs) : blob.modifiedMs),
    id,
  );
  if (options.recheck) {
    enqueueBlob(sql, { repositoryId: noRepository, blobId: id }, options.nowMs);
  }
}

/** Where the bytes were there is nothing any more: the next push brings them back (INV-9). */
export function loseBytes(sql: Sql, digest: Digest): boolean {
  const blob = findBlobRow(sql, digest);
  if (blob?.state !== blobState.present) return false;
  sql.run(
    `UPDATE blobs SET state = ${blobState.absent}, size = 0, foreign_since = NULL WHERE id = ?`,
    blob.id,
  );
  return true;
}

function absorbLayer(sql: Sql, layer: Of<"layer">, options: AbsorbOptions): void {
  const row = {
    repositoryId: ensureRepository(sql, layer.repository),
    blobId: ensureBlob(sql, layer.digest),
  };
  if (layer.there) {
    sql.run(
      "INSERT OR IGNORE INTO layers (repository_id, blob_id) VALUES (?, ?)",
      row.repositoryId,
      row.blobId,
    );
  } else {
    sql.run(
      "DELETE FROM layers WHERE repository_id = ? AND blob_id = ?",
      row.repositoryId,
      row.blobId,
    );
    enqueueRepository(sql, row.repositoryId);
  }
  if (options.recheck) enqueueBlob(sql, row, options.nowMs);
}

/** Stands for a manifest that could not be read: names nothing, and so must hold everything (INV-7). */
const unreadable: ParsedManifest = {
  mediaType: mediaTypes.octetStream,
  artifactType: null,
  annotations: null,
  subject: null,
  references: [],
};

function absorbRevision(sql: Sql, revision: Of<"revision">, options: AbsorbOptions): void {
  const { repository, digest, manifest } = revision;
  if (!revision.there) {
    const row = manifestRow(sql, { repository, digest });
    const removal = { nowMs: options.nowMs, untaggedSinceMs: options.nowMs };
    if (row !== null) removeManifest(sql, { ...row, repository, digest }, removal);
    return;
  }
  const row = {
    repositoryId: ensureRepository(sql, repository),
    blobId: ensureBlob(sql, digest),
  };
  recordManifest(sql, row, {
    repository,
    digest,
    manifest: manifest ?? unreadable,
    nowMs: options.nowMs,
    content: manifest !== null ? "read" : revision.sizeBytes === null ? "absent" : "unreadable",
  });
  if (options.recheck) enqueueManifest(sql, row, { nowMs: options.nowMs });
}

function absorbTag(sql: Sql, difference: Of<"tag">, options: AbsorbOptions): void {
  const { repository, tag, digest } = difference;
  const change = { nowMs: options.nowMs, owe: false };
  if (digest === null) {
    const known = findRepository(sql, repository);
    if (known !== null) removeTag(sql, { repositoryId: known, repository, tag }, change);
    return;
  }
  const repositoryId = ensureRepository(sql, repository);
  const blobId = ensureBlob(sql, digest);
  pointTag(sql, { repositoryId, repository, tag, blobId, digest }, change);
}

function absorbHistory(sql: Sql, entry: Of<"tag-history">): void {
  const text = entry.there
    ? "INSERT OR IGNORE INTO tag_history (repository_id, name, blob_id) VALUES (?, ?, ?)"
    : "DELETE FROM tag_history WHERE repository_id = ? AND name = ? AND blob_id = ?";
  const repositoryId = ensureRepository(sql, entry.repository);
  sql.run(text, repositoryId, entry.tag, ensureBlob(sql, entry.digest));
  // A history alone holds nothing.
  enqueueRepository(sql, repositoryId);
}

function absorbUpload(sql: Sql, upload: Of<"upload">, options: AbsorbOptions): void {
  if (upload.startedAtMs === null) {
    endUpload(sql, upload.id);
    return;
  }
  sql.run(
    "INSERT OR IGNORE INTO uploads (id, repository_id, started_at, touched_at) VALUES (?, ?, ?, ?)",
    upload.id,
    ensureRepository(sql, upload.repository),
    Math.floor(upload.startedAtMs),
    Math.floor(Math.min(upload.startedAtMs, options.nowMs)),
  );
}

/** Empties everything that the tree holds too; the index counts for nothing until it is complete again. */
export function startRebuild(sql: Sql): void {
  sql.run("DELETE FROM meta WHERE key = 'complete'");
  for (const table of factTables) sql.script(`DROP TABLE ${table}`);
  sql.script(factSchema);
}

export function recordProblems(
  sql: Sql,
  problems: readonly TreeProblem[],
  options: { readonly first: boolean },
): void {
  if (options.first) sql.run("DELETE FROM problems");
  for (const { kind, repository, name, path, detail } of problems) {
    sql.run(
      "INSERT INTO problems (kind, repository, name, path, detail) VALUES (?, ?, ?, ?, ?)",
      kind,
      repository,
      name,
      path,
      detail,
    );
  }
}

export function getMeta(sql: Sql, key: string): string | null {
  return sql.get<{ value: string }>("SELECT value FROM meta WHERE key = ?", key)?.value ?? null;
}

/** Null: forgets the key. */
export function setMeta(sql: Sql, key: string, value: string | null): void {
  if (value === null) {
    sql.run("DELETE FROM meta WHERE key = ?", key);
    return;
  }
  sql.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value);
}
