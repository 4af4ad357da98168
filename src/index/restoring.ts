// Undoing a deletion: an acceptance (INV-4) of everything that it took, in one transaction. What would come
// back is decided first, on the facts as they are then (`planRestore`); nothing is changed unless all that
// is needed is there.
import { type Digest, digestFromBytes, type RepositoryName, type Tag } from "../oci/index.ts";
import type { HeldManifest, Restore, RestoreOutcome, TakenTag } from "../registry/ports/index.ts";
import { findRecord, release, splitTag } from "./deletion-records.ts";
import { findHeldTag } from "./immutable.ts";
import { leaseByPush } from "./leases.ts";
import { findBlobHeldBy } from "./lookups.ts";
import { linkLayer, recordManifest } from "./pushing.ts";
import { dequeueNamed, enqueueManifest, noRepository } from "./queue.ts";
import { withinQuotas } from "./quotas.ts";
import { oweTree } from "./redo.ts";
import { ensureRepository, findBlobRow, findRepository } from "./rows.ts";
import { blobState, manifestContent } from "./schema.ts";
import type { Sql } from "./sql.ts";
import { pointTag, tagTarget } from "./tagging.ts";

interface Record {
  readonly id: number;
  readonly repository: RepositoryName;
  readonly digest: Digest;
  /** "": of a manifest. */
  readonly tag: Tag | "";
  /** What it holds, and whether the repository had a layer link to it. */
  readonly linked: ReadonlyMap<Digest, boolean>;
  readonly tags: readonly Tag[];
}

interface Plan {
  readonly record: Record;
  /** What comes back, and is not in the repository now. */
  readonly manifests: ReadonlyMap<Digest, HeldManifest>;
  readonly tags: readonly Tag[];
  readonly taken: readonly TakenTag[];
  readonly leftOut: readonly Digest[];
}

export function previewRestore(sql: Sql, restore: Restore): RestoreOutcome {
  return outcomeOf(planRestore(sql, restore));
}

export function restoreDeletion(sql: Sql, wanted: Restore): RestoreOutcome {
  const plan = planRestore(sql, wanted);
  if (!("record" in plan)) return plan;
  const { over } = withinQuotas(sql, wanted.bounds?.quotas ?? [], {
    begin: () => ensureRepository(sql, plan.record.repository),
    accept: () => {
      carryOut(sql, plan, wanted);
    },
  });
  return over === null
    ? outcomeOf(plan)
    : { outcome: "denied", denied: { kind: "quota", ...over } };
}

function outcomeOf(plan: Plan | RestoreOutcome): RestoreOutcome {
  if ("outcome" in plan) return plan;
  const { manifests, tags, taken, leftOut } = plan;
  return { outcome: "restored", manifests: [...manifests.keys()], tags, taken, leftOut };
}

function planRestore(sql: Sql, restore: Restore): Plan | RestoreOutcome {
  const record = readRecord(sql, restore);
  if (record === null) return { outcome: "unknown" };
  const repositoryId = findRepository(sql, record.repository) ?? noRepository;
  const { tags, taken } = planTags(sql, { record, repositoryId, restore });
  if (record.tag !== "" && taken.length > 0) return { outcome: "taken", taken };
  const returning = new Returning(sql, { record, repositoryId, restore });
  const missing = returning.add(record.digest);
  if (missing.length > 0) return { outcome: "missing", missing };
  const leftOut = returning.addWhatHangsOn();
  return { record, manifests: returning.manifests, tags, taken, leftOut };
}

/** Null: there is none, or not as it was when what it holds was read. */
function readRecord(sql: Sql, { id, ownId }: Restore): Record | null {
  const row = sql.get<{ repository: RepositoryName; digest: Uint8Array; tag: Tag | "" }>(
    "SELECT repository, digest, tag FROM deletions WHERE id = ?",
    id,
  );
  if (row === null) return null;
  const digest = digestFromBytes(row.digest);
  if (ownId !== undefined && row.tag !== "") {
    if (findRecord(sql, { ...row, digest, tag: "" }) !== ownId) return null;
  }
  const linked = new Map<Digest, boolean>();
  for (const one of new Set([id, ownId ?? id])) readHolds(sql, one, linked);
  return {
    id,
    ...row,
    digest,
    linked,
    tags: sql
      .all<{ tag: Tag }>("SELECT tag FROM deletion_tags WHERE deletion_id = ? ORDER BY tag", id)
      .map(({ tag }) => tag),
  };
}

/** Adds to what is known of each: whether there was a layer link to it. */
function readHolds(sql: Sql, id: number, linked: Map<Digest, boolean>): void {
  const holds = sql.all<{ digest: Uint8Array; linked: number }>(
    "SELECT digest, linked FROM deletion_holds WHERE deletion_id = ?",
    id,
  );
  for (const hold of holds) {
    const digest = digestFromBytes(hold.digest);
    linked.set(digest, hold.linked === 1 || linked.get(digest) === true);
  }
}

/** A tag that names something else by now is not moved, unless that is asked for. */
function planTags(
  sql: Sql,
  { record, repositoryId, restore }: ReturningParts,
): { tags: Tag[]; taken: TakenTag[] } {
  const own = findBlobRow(sql, record.digest)?.id ?? null;
  const tags: Tag[] = [];
  const taken: TakenTag[] = [];
  for (const tag of record.tags) {
    const named = tagTarget(sql, { repositoryId, tag });
    const isFree = named === null || named === own;
    if (isFree || (restore.forceTags && !isHeld(sql, { repositoryId, tag, restore })))
      tags.push(tag);
    else taken.push({ tag, digest: digestOfBlob(sql, named) });
  }
  return { tags, taken };
}

/** An immutable tag does not move for a restore either. */
function isHeld(
  sql: Sql,
  { repositoryId, tag, restore }: { repositoryId: number; tag: Tag; restore: Restore },
): boolean {
  const any = { repositoryId, tags: [tag], digest: null };
  return findHeldTag(sql, any, restore.bounds?.immutable) !== null;
}

function digestOfBlob(sql: Sql, blobId: number): Digest {
  const row = sql.get<{ digest: Uint8Array }>("SELECT digest FROM blobs WHERE id = ?", blobId);
  if (row === null) throw new Error(`blob ${blobId} is in use but not in the index`);
  return digestFromBytes(row.digest);
}

interface ReturningParts {
  readonly record: Record;
  readonly repositoryId: number;
  readonly restore: Restore;
}

/** The manifests that come back: each only together with all that it requires. */
class Returning {
  readonly manifests = new Map<Digest, HeldManifest>();
  readonly #sql: Sql;
  readonly #record: Record;
  readonly #repositoryId: number;
  readonly #held: ReadonlyMap<Digest, HeldManifest>;
  readonly #lost: ReadonlySet<Digest>;

  constructor(sql: Sql, { record, repositoryId, restore }: ReturningParts) {
    this.#sql = sql;
    this.#record = record;
    this.#repositoryId = repositoryId;
    this.#held = new Map(restore.manifests.map((one) => [one.digest, one]));
    this.#lost = new Set(restore.lost);
  }

  /** Adds the manifest and the children that it requires, or nothing of it: then what is missing. */
  add(top: Digest): Digest[] {
    const adding = new Map<Digest, HeldManifest>();
    const missing: Digest[] = [];
    const left = [top];
    for (let digest = left.pop(); digest !== undefined; digest = left.pop()) {
      if (this.manifests.has(digest) || adding.has(digest) || this.#isManifestHere(digest))
        continue;
      const manifest = this.#held.get(digest);
      if (manifest === undefined || this.#sizeOf(digest) !== manifest.sizeBytes) {
        missing.push(digest);
        continue;
      }
      adding.set(digest, manifest);
      for (const named of manifest.required) {
        if (this.#held.has(named)) left.push(named);
        else if (!this.#isHereOrReturns(named)) missing.push(named);
      }
    }
    if (missing.length > 0) return missing;
    for (const [digest, manifest] of adding) this.manifests.set(digest, manifest);
    return [];
  }

  /**
   * Then its referrers, in turn, and what is named but not required. What cannot come is left out: a lost
   * signature must not keep its image away. So is what a client has deleted by itself.
   */
  addWhatHangsOn(): Digest[] {
    const leftOut = new Set<Digest>();
    for (let before = -1; before < this.manifests.size;) {
      before = this.manifests.size;
      for (const { digest } of this.#hanging()) {
        if (leftOut.has(digest) || this.manifests.has(digest)) continue;
        const isOwn = findRecord(this.#sql, { ...this.#record, digest, tag: "" }) !== null;
        if (isOwn || this.#isManifestHere(digest)) continue;
        if (this.add(digest).length > 0) leftOut.add(digest);
      }
    }
    return [...leftOut];
  }

  #hanging(): HeldManifest[] {
    const named = new Set<Digest>();
    for (const { manifest } of this.manifests.values()) {
      for (const { digest, kind } of manifest.references) if (kind !== "subject") named.add(digest);
    }
    return [...this.#held.values()].filter(
      ({ digest, manifest: { subject } }) =>
        named.has(digest) || (subject !== null && this.manifests.has(subject)),
    );
  }

  #isManifestHere(digest: Digest): boolean {
    const blob = findBlobRow(this.#sql, digest);
    return (
      blob?.state === blobState.present &&
      !this.#lost.has(digest) &&
      this.#sql.has(
        `SELECT 1 FROM manifests WHERE repository_id = ? AND blob_id = ?
         AND unreadable = ${manifestContent.read}`,
        this.#repositoryId,
        blob.id,
      )
    );
  }

  /** Null: no bytes, or condemned. */
  #sizeOf(digest: Digest): number | null {
    const blob = findBlobRow(this.#sql, digest);
    return blob?.state === blobState.present && !this.#lost.has(digest) ? blob.size : null;
  }

  /** In the repository, or linked in it when it was deleted. */
  #isHereOrReturns(digest: Digest): boolean {
    if (this.#sizeOf(digest) === null) return false;
    if (this.#record.linked.get(digest) === true) return true;
    return findBlobHeldBy(this.#sql, this.#repositoryId, digest) !== null;
  }
}

function carryOut(sql: Sql, plan: Plan, { terms }: Restore): void {
  const { record, manifests, tags, taken } = plan;
  const { repository } = record;
  const repositoryId = ensureRepository(sql, repository);
  // What does not come back now can still come back by itself.
  for (const { tag } of taken) splitTag(sql, record.id, tag);
  splitOthers(sql, record, manifests.keys());
  for (const one of manifests.values())
    accept(sql, { repositoryId, record, one, nowMs: terms.nowMs });
  const top = {
    repositoryId,
    repository,
    blobId: blobIdOf(sql, record.digest),
    digest: record.digest,
  };
  for (const tag of tags) pointTag(sql, { ...top, tag }, { nowMs: terms.nowMs, owe: true });
  for (const { digest } of manifests.values()) {
    const row = { repositoryId, blobId: blobIdOf(sql, digest) };
    const tagged = sql.has(
      "SELECT 1 FROM tags WHERE repository_id = ? AND blob_id = ?",
      repositoryId,
      row.blobId,
    );
    if (!tagged) enqueueManifest(sql, row, { nowMs: terms.nowMs });
    if (!tagged && digest === record.digest) leaseByPush(sql, row, terms);
  }
  // Its own acceptance has ended it already, unless it was of a tag, or the manifest was there.
  release(sql, record.id, terms.nowMs);
}

/**
 * A manifest that was deleted by itself comes back for the sake of something else, its parent or a tag that
 * had been deleted before: its other tags stay restorable, the youngest still the youngest.
 */
function splitOthers(sql: Sql, record: Record, returning: Iterable<Digest>): void {
  const { repository } = record;
  const others = [...returning].flatMap((digest) => {
    const id = findRecord(sql, { repository, digest, tag: "" });
    return id === null || id === record.id ? [] : [id];
  });
  for (const id of others.sort((a, b) => a - b)) {
    const tags = sql.all<{ tag: Tag }>(
      "SELECT tag FROM deletion_tags WHERE deletion_id = ? ORDER BY tag",
      id,
    );
    for (const { tag } of tags) splitTag(sql, id, tag);
  }
}

function accept(
  sql: Sql,
  {
    repositoryId,
    record,
    one,
    nowMs,
  }: { repositoryId: number; record: Record; one: HeldManifest; nowMs: number },
): void {
  const { repository } = record;
  const { digest, manifest } = one;
  const row = { repositoryId, blobId: blobIdOf(sql, digest) };
  if (recordManifest(sql, row, { repository, digest, manifest, nowMs, content: "read" })) {
    oweTree(sql, { kind: "revision", repository, digest });
  }
  for (const named of [digest, ...manifest.references.map((reference) => reference.digest)]) {
    if (record.linked.get(named) !== true) continue;
    const blob = findBlobRow(sql, named);
    if (blob?.state !== blobState.present) continue;
    linkLayer(sql, { repositoryId, blobId: blob.id }, { repository, digest: named });
  }
  dequeueNamed(sql, row);
}

function blobIdOf(sql: Sql, digest: Digest): number {
  const blob = findBlobRow(sql, digest);
  if (blob === null) throw new Error(`${digest} comes back but is not in the index`);
  return blob.id;
}
