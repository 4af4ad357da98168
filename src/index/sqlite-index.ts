// The index on SQLite: looks up on its own reading connection, inline and one state a call; hands every
// change to the writer. Holds no rule of the domain: those are in the operations.
import { Database } from "bun:sqlite";
import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import type { RepositoryName } from "../oci/index.ts";
import type { CacheCounts, Index, TreeProbe } from "../registry/ports/index.ts";
import * as collecting from "./collecting.ts";
import * as comparing from "./comparing.ts";
import * as deletingImages from "./deleting-images.ts";
import * as deletionList from "./deletion-list.ts";
import * as deletions from "./deletions.ts";
import { collectionDue } from "./due.ts";
import { nextEvents } from "./events.ts";
import { countPage, gauges } from "./gauges.ts";
import { blobBytes } from "./quotas.ts";
import { findHeld } from "./immutable.ts";
import { InlineWriter } from "./inline-writer.ts";
import * as inspecting from "./inspecting.ts";
import * as lookups from "./lookups.ts";
import type { OperationArguments, OperationName, OperationResult, Writer } from "./operations.ts";
import { pullTimesSince } from "./pulls.ts";
import * as pushing from "./pushing.ts";
import { RecentAnswers } from "./recent-answers.ts";
import { newestRedo, pendingRedo } from "./redo.ts";
import { previewRestore } from "./restoring.ts";
import { listRuns } from "./run-records.ts";
import * as retaining from "./retaining.ts";
import * as snapshots from "./snapshots.ts";
import { migrate, openReader, Sql, translateError } from "./sql.ts";
import * as standing from "./standing.ts";
import * as usage from "./usage.ts";
import * as scans from "./usage-scans.ts";
import * as tokens from "./tokens.ts";
import { WorkerWriter } from "./worker-writer.ts";

/**
 * Opens the index at `path`; its writer looks at the tree under `rootDirectory`.
 * @throws IndexDamagedError, StorageError, or an error that names both versions of the schema.
 */
export async function openIndex(path: string, rootDirectory: string): Promise<Index> {
  makeDirectory(dirname(path));
  const writer = await WorkerWriter.open(path, rootDirectory);
  try {
    return createIndex(openReader(path), writer);
  } catch (error) {
    await writer.close();
    throw translateError(error);
  }
}

/** Durable with every directory newly made on the way; SQLite sees to the file's own entry. */
function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    const parent = openSync(dirname(made), "r");
    try {
      fsyncSync(parent);
    } finally {
      closeSync(parent);
    }
  }
}

/** An index that is gone with the process: for storage in memory, and for tests. */
export function createMemoryIndex(probe: TreeProbe): Index {
  const sql = new Sql(new Database(":memory:", { strict: true }));
  migrate(sql);
  return createIndex(sql, new InlineWriter({ sql, probe, room: null }));
}

function createIndex(sql: Sql, writer: Writer): Index {
  const access = new Access(sql, writer);
  return {
    ...lookupsOf(access),
    ...changesOf(access),
    ...deletionsOf(access),
    ...collectionOf(access),
    ...comparisonOf(access),
    ...metricsOf(access),
    ...eventsOf(access),
    ...boundsOf(access),
    ...inspectionOf(access),
    ...retentionOf(access),
    ...usageOf(access),
    ...tokensOf(access),
    checkpoint: () => writer.checkpoint(),
    close: async () => {
      // The reader first: the writer's last checkpoint empties the log only when nobody reads it.
      sql.close();
      await writer.close();
    },
  };
}

/** The two ways to the index: questions, here and now, and changes, by the writer. */
class Access {
  readonly #sql: Sql;
  readonly #writer: Writer;
  readonly #remembering: RecentAnswers<unknown>[] = [];

  constructor(sql: Sql, writer: Writer) {
    this.#sql = sql;
    this.#writer = writer;
  }

  /** A look-up of one statement as a promise, so that what it throws is a rejection. */
  read<Args extends unknown[], Result>(
    question: (sql: Sql, ...args: Args) => Result,
  ): (...args: Args) => Promise<Result> {
    return async (...args) => {
      try {
        return question(this.#sql, ...args);
      } catch (error) {
        throw translateError(error);
      }
    };
  }

  /** Likewise of several statements, which see one state. */
  readAll<Args extends unknown[], Result>(
    question: (sql: Sql, ...args: Args) => Result,
  ): (...args: Args) => Promise<Result> {
    return this.read((sql, ...args: Args) => sql.inOneState(() => question(sql, ...args)));
  }

  /** A look-up in a repository that is asked for over and over; an answer of null is not remembered. */
  readOften<Name extends string, Answer extends object>(
    question: (sql: Sql, repository: RepositoryName, name: Name) => Answer | null,
  ): (repository: RepositoryName, name: Name) => Promise<Answer | null> {
    const recent = new RecentAnswers<Answer>(this.#writer);
    this.#remembering.push(recent);
    return this.read((sql, repository: RepositoryName, name: Name) => {
      const key = `${repository} ${name}`;
      const known = recent.get(key);
      if (known !== undefined) return known;
      const answer = question(sql, repository, name);
      if (answer !== null) recent.add(key, answer);
      return answer;
    });
  }

  /** Of all look-ups that remember. */
  cacheCounts(): CacheCounts {
    return {
      hits: this.#remembering.reduce((sum, { hits }) => sum + hits, 0),
      misses: this.#remembering.reduce((sum, { misses }) => sum + misses, 0),
    };
  }

  write<Name extends OperationName>(
    name: Name,
  ): (...args: OperationArguments<Name>) => Promise<OperationResult<Name>> {
    return (...args) => this.#writer.run(name, ...args);
  }
}

function lookupsOf(access: Access) {
  const listReferrers = access.readAll(lookups.listReferrers);
  return {
    findBlob: access.readOften(lookups.findBlob),
    findBlobAnywhere: access.read(lookups.findBlobAnywhere),
    findManifest: access.readOften(lookups.findManifest),
    findTag: access.readOften(lookups.findTag),
    findSizes: access.readAll(lookups.findSizes),
    listTags: access.readAll(lookups.listTags),
    listRepositories: access.read(lookups.listRepositories),
    listReferrers: (repository, digest, page) => listReferrers({ repository, digest }, page),
    listHolders: access.read(lookups.listHolders),
    findUpload: access.read(lookups.findUpload),
    listIdleUploads: access.read(lookups.listIdleUploads),
  } satisfies Partial<Index>;
}

function changesOf(access: Access) {
  const lookAtBlob = access.readAll(pushing.lookAtBlob);
  const lookAtManifest = access.readAll(pushing.lookAtManifest);
  const leaseBlob = access.write("findAndLeaseBlob");
  const leaseManifest = access.write("findAndLeaseManifest");
  const deleteManifest = access.write("deleteManifest");
  const deleteTag = access.write("deleteTag");
  const unlinkBlob = access.write("unlinkBlob");
  return {
    beginUpload: access.write("beginUpload"),
    touchUpload: access.write("touchUpload"),
    endUpload: access.write("endUpload"),
    expireUpload: access.write("expireUpload"),
    finishUpload: access.write("finishUpload"),
    mountBlob: access.write("mountBlob"),
    acceptManifest: access.write("acceptManifest"),
    findAndLeaseBlob: async (repository, digest, terms) => {
      const found = await lookAtBlob({ repository, digest }, terms);
      return found === "lease-due" ? await leaseBlob({ repository, digest }, terms) : found;
    },
    findAndLeaseManifest: async (repository, digest, terms) => {
      const found = await lookAtManifest({ repository, digest }, terms);
      return found === "lease-due" ? await leaseManifest({ repository, digest }, terms) : found;
    },
    deleteManifest: (repository, digest, terms) => deleteManifest({ repository, digest }, terms),
    deleteTag: (repository, tag, terms) => deleteTag({ repository, tag }, terms),
    unlinkBlob: (repository, digest, nowMs) => unlinkBlob({ repository, digest }, nowMs),
    pendingRedo: access.readAll(pendingRedo),
    newestRedo: access.read(newestRedo),
    clearRedo: access.write("clearRedo"),
  } satisfies Partial<Index>;
}

function deletionsOf(access: Access) {
  const deleteRestorably = access.write("deleteRestorably");
  return {
    deleteRestorably: (repository, digest, deletion) =>
      deleteRestorably({ repository, digest }, deletion),
    deleteTagRestorably: access.write("deleteTagRestorably"),
    deleteImage: access.write("deleteImage"),
    deleteRepository: access.write("deleteRepository"),
    previewImageDeletion: access.readAll(deletingImages.previewImageDeletion),
    previewRepositoryDeletion: access.read(deletingImages.previewRepositoryDeletion),
    listUploads: access.readAll(deletingImages.listUploads),
    listDeletions: access.readAll(deletionList.listDeletions),
    findDeletion: access.readAll(deletionList.findDeletion),
    heldManifests: access.read(deletionList.heldManifests),
    previewRestore: access.readAll(previewRestore),
    restoreDeletion: access.write("restoreDeletion"),
  } satisfies Partial<Index>;
}

function collectionOf(access: Access) {
  return {
    totals: access.readAll(collecting.totals),
    manifestCandidates: access.readAll(standing.manifestCandidates),
    manifestStandings: access.readAll(standing.manifestStandings),
    blobCandidates: access.readAll(standing.blobCandidates),
    blobStandings: access.readAll(standing.blobStandings),
    namedByManifest: access.read(standing.namedByManifest),
    namersOf: access.readAll(standing.namersOf),
    collectionDue: access.read(collectionDue),
    beginRun: access.write("beginRun"),
    endRun: access.write("endRun"),
    interruptRuns: access.write("interruptRuns"),
    listRuns: access.read(listRuns),
    enqueuePage: access.write("enqueuePage"),
    heldDigests: access.read(deletions.heldDigests),
    keptDeletions: access.readAll(deletions.keptDeletions),
    releaseDeletions: access.write("releaseDeletions"),
    removeManifests: access.write("removeManifests"),
    condemn: access.write("condemn"),
    listCondemned: access.read(collecting.listCondemned),
    isCondemned: access.read(collecting.isCondemned),
    forget: access.write("forget"),
    emptyRepositories: access.read(collecting.emptyRepositories),
    dropEmptyRepositories: access.write("dropEmptyRepositories"),
    expireLeases: access.write("expireLeases"),
  } satisfies Partial<Index>;
}

function boundsOf(access: Access) {
  const held = access.readAll(findHeld);
  return {
    findHeld: (repository, reference, immutable) => held({ repository, reference }, immutable),
    blobBytes: access.read(blobBytes),
  } satisfies Partial<Index>;
}

function comparisonOf(access: Access) {
  const getMeta = access.read(comparing.getMeta);
  const setMeta = access.write("setMeta");
  const absorb = access.write("absorb");
  const countUsage = access.write("countUsage");
  return {
    isComplete: async () => (await getMeta("complete")) === "true",
    markComplete: async () => {
      // What was written in bulk is counted first: a complete index knows what uses the space.
      while (!(await countUsage()));
      await setMeta("complete", "true");
    },
    startRebuild: access.write("startRebuild"),
    absorb: (differences, options) => absorb({ differences, options }),
    loseBytes: access.write("loseBytes"),
    listKnownRepositories: access.read(snapshots.listKnownRepositories),
    repositoryFacts: access.readAll(snapshots.repositoryFacts),
    blobsWithPrefix: access.read(snapshots.blobsWithPrefix),
    recordProblems: access.write("recordProblems"),
    listProblems: access.read(snapshots.listProblems),
    hasUnlistable: access.read(standing.hasUnlistable),
    readingPosition: (reader) => getMeta(`reading-position:${reader}`),
    setReadingPosition: (reader, position) => setMeta(`reading-position:${reader}`, position),
    rootId: () => getMeta("root-id"),
    setRootId: (id) => setMeta("root-id", id),
  } satisfies Partial<Index>;
}

function metricsOf(access: Access) {
  const look = access.readAll(gauges);
  return {
    gauges: async () => ({ ...(await look()), cache: access.cacheCounts() }),
    countPage: access.read(countPage),
  } satisfies Partial<Index>;
}

function eventsOf(access: Access) {
  return {
    setEventEndpoints: access.write("setEventEndpoints"),
    nextEvents: access.readAll(nextEvents),
    settleEvents: access.write("settleEvents"),
    forgetEvents: access.write("forgetEvents"),
    queueEvents: access.write("queueEvents"),
  } satisfies Partial<Index>;
}

function inspectionOf(access: Access) {
  const describeImage = access.readAll(inspecting.describeImage);
  const blobUsers = access.readAll(inspecting.blobUsers);
  return {
    describeRepositories: access.read(inspecting.describeRepositories),
    describeRepository: access.read(inspecting.describeRepository),
    describeTags: access.readAll(inspecting.describeTags),
    describeImage: (repository, digest, tagsMax) => describeImage({ repository, digest }, tagsMax),
    describeChildren: access.readAll(inspecting.describeChildren),
    blobUsers: (digest, besides, namesMax) => blobUsers(digest, { besides, namesMax }),
  } satisfies Partial<Index>;
}

function usageOf(access: Access) {
  return {
    repositoryUsage: access.readAll(usage.repositoryUsage),
    usageTotals: access.readAll(usage.usageTotals),
    blobHolders: access.readAll(usage.blobHolders),
    usageHistory: access.read(usage.usageHistory),
    recordUsage: access.write("recordUsage"),
    recountUsage: access.write("recountUsage"),
    scanRepositoryUsage: access.read(scans.scanRepositoryUsage),
    scanTaggedImages: access.readAll(scans.scanTaggedImages),
    scanManifestBytes: access.read(scans.scanManifestBytes),
    scanBlobs: access.readAll(scans.scanBlobs),
    scanHeldBlobs: access.readAll(scans.scanHeldBlobs),
    scanManifests: access.readAll(scans.scanManifests),
    scanNamed: access.readAll(scans.scanNamed),
    scanTagsOf: access.readAll(scans.scanTagsOf),
    scanUnheldBlobs: access.readAll(scans.scanUnheldBlobs),
    scanRestorableBlobs: access.readAll(scans.scanRestorableBlobs),
    scanUploads: access.read(scans.scanUploads),
  } satisfies Partial<Index>;
}

function retentionOf(access: Access) {
  const manifestTies = access.readAll(retaining.manifestTies);
  return {
    beginPullTimes: access.write("beginPullTimes"),
    pullTimesSince: access.read(pullTimesSince),
    recordPulls: access.write("recordPulls"),
    retentionTags: access.readAll(retaining.retentionTags),
    isJudgeable: access.readAll(retaining.isJudgeable),
    untaggedManifests: access.readAll(retaining.untaggedManifests),
    holdersOf: access.readAll(retaining.holdersOf),
    manifestTies: (repository, digest, nowMs) => manifestTies({ repository, digest }, nowMs),
    retireImages: access.write("retireImages"),
    retireUntagged: access.write("retireUntagged"),
    retentionRuns: access.read(retaining.retentionRuns),
    setRetentionRuns: access.write("setRetentionRuns"),
  } satisfies Partial<Index>;
}

function tokensOf(access: Access) {
  return {
    createToken: access.write("createToken"),
    findToken: access.read(tokens.findToken),
    listTokens: access.read(tokens.listTokens),
    revokeToken: access.write("revokeToken"),
    noteTokenUse: access.write("noteTokenUse"),
  } satisfies Partial<Index>;
}
