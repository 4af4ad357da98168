// The worker thread that walks the tree beside the index, on a reading connection of its own, and hands
// on what it finds. A composition file: it puts the tree and the index together, as compose/ does for
// the rest. Never writes to either.
import { danglingPage } from "../index/dangling.ts";
import { factOf } from "../index/redo.ts";
import { blobsWithPrefix, listKnownRepositories, repositoryFacts } from "../index/snapshots.ts";
import { IndexDamagedError, openReader, type Sql, translateError } from "../index/sql.ts";
import { isCondemned } from "../index/collecting.ts";
import { orphanBlobs, orphanLinks } from "../index/orphans.ts";
import { repositoryDrift, totalsDrift } from "../index/usage-drift.ts";
import { expectedBlob, expectedBlobs, needersOf, unlinkedBlobs } from "../index/verifying.ts";
import { ScanDriver } from "./drive.ts";
import { Outbox, StoppedError } from "./outbox.ts";
import { reasonOf } from "./problems.ts";
import { ManifestReader } from "./read-manifests.ts";
import { finishScan, type ScanOptions, type Seen, type Share, scanTree } from "./scan.ts";
import type { FromScan, ScanJob, ScanMode, ToScan, VerifyJob } from "./scan-messages.ts";
import { FileTreeReader } from "./tree-reader.ts";
import { VerifyRun } from "./verify-run.ts";

declare const self: Worker;

/**
 * What was changed later than this before the start may be a write under way. The comparison begins
 * before anybody is served, so only the clocks of file systems need a margin; verify comes at any time.
 */
const settleMs: Readonly<Record<ScanMode, number | null>> = {
  "first-build": null,
  compare: 2_000,
  verify: 60_000,
  scrub: 60_000,
};

const outbox = new Outbox<FromScan>(post);

function post(message: FromScan): void {
  self.postMessage(message);
}

function scanOptions(job: ScanJob, sql: Sql, seen: Seen): ScanOptions {
  const reader = new FileTreeReader(job.rootDirectory);
  const settle = settleMs[job.mode];
  return {
    reader,
    manifests: new ManifestReader(reader),
    nowMs: job.nowMs,
    settledBeforeMs: settle === null ? null : job.nowMs - settle,
    thorough: job.mode === "verify",
    isFirst: job.mode === "first-build",
    seen,
    facts: {
      listKnownRepositories: (page) => listKnownRepositories(sql, page),
      repositoryFacts: (repository) => sql.inOneState(() => repositoryFacts(sql, repository)),
      blobsWithPrefix: (algorithm, prefix) => blobsWithPrefix(sql, algorithm, prefix),
      danglingPage: (after, limit) => sql.inOneState(() => danglingPage(sql, after, limit)),
    },
  };
}

function verifyRun(job: VerifyJob, sql: Sql, options: ScanOptions): VerifyRun {
  const { hash, resume, keepsWrong } = job;
  return new VerifyRun({
    walk: options,
    hash,
    resume,
    counts: { blobs: 0, hashedBytes: 0, ...resume?.counts },
    wrong: keepsWrong ? [] : null,
    facts: {
      factOf: (place) => sql.inOneState(() => factOf(sql, place)),
      expectedBlob: (digest) => sql.inOneState(() => expectedBlob(sql, digest)),
      isCondemned: (digest) => isCondemned(sql, digest),
      expectedBlobs: (after, limit) => expectedBlobs(sql, after, limit),
      needersOf: (digest, limit) => sql.inOneState(() => needersOf(sql, digest, limit)),
      unlinkedBlobs: (after, limit) => sql.inOneState(() => unlinkedBlobs(sql, after, limit)),
      orphanBlobs: (after, limit) => sql.inOneState(() => orphanBlobs(sql, after, limit)),
      orphanLinks: (after, limit) => sql.inOneState(() => orphanLinks(sql, after, limit)),
      repositoryDrift: (after) => sql.inOneState(() => repositoryDrift(sql, after)),
      totalsDrift: () => sql.inOneState(() => totalsDrift(sql)),
    },
  });
}

/** One walk, from its start to the end of its finish. */
interface Walk {
  readonly job: ScanJob;
  readonly sql: Sql;
  readonly options: ScanOptions;
  readonly driver: ScanDriver;
  readonly verify: VerifyRun | null;
}

let walk: Walk | null = null;
let isRunning = false;

function begin(job: ScanJob): Walk {
  const sql = openReader(job.indexPath);
  const seen: Seen = { repositories: 0, manifests: 0, blobs: 0 };
  const options = scanOptions(job, sql, seen);
  const verify = job.verify === null ? null : verifyRun(job.verify, sql, options);
  const isBeside = job.mode !== "first-build" && job.verify?.isAlone !== true;
  const counts = verify?.counts ?? null;
  const rateBytes = job.verify?.rateBytes ?? null;
  const driver = new ScanDriver({ outbox, post, seen, counts, isBeside, rateBytes });
  return { job, sql, options, driver, verify };
}

async function runWalk(job: ScanJob, share: Share): Promise<void> {
  isRunning = true;
  walk = begin(job);
  const { options, driver, verify } = walk;
  if (job.mode !== "scrub") {
    const items = scanTree(options, share);
    await driver.drive(verify === null ? items : verify.walk(items));
  }
  isRunning = false;
  // One share goes on to the end of everything.
  if (share.index !== 0) end();
  post({ kind: "walked", seen: options.seen });
}

async function runFinish(seen: Seen): Promise<void> {
  if (walk === null) throw new Error("told to finish what was not begun");
  isRunning = true;
  const { job, options, driver, verify } = walk;
  Object.assign(options.seen, seen);
  if (job.mode === "scrub") await verify?.readBlobs(driver);
  else {
    await driver.drive(finishScan(options));
    await verify?.finish(driver);
  }
  end();
  post({ kind: "done", counts: verify?.counts ?? null });
}

/** Lets go of the index, so that its log can be emptied. */
function end(): void {
  walk?.sql.close();
  walk = null;
}

function fail(error: unknown): void {
  end();
  const isDamage = translateError(error) instanceof IndexDamagedError;
  post({ kind: "failed", message: reasonOf(error), isDamage });
}

self.onmessage = ({ data }: MessageEvent<ToScan>) => {
  switch (data.kind) {
    case "walk":
      runWalk(data.job, data.share).catch(fail);
      break;
    case "finish":
      runFinish(data.seen).catch(fail);
      break;
    case "taken":
      outbox.taken();
      break;
    case "stop":
      outbox.stop();
      if (!isRunning) fail(new StoppedError());
      break;
  }
};
