// An index that dies at a changing call of one's choice: the process is killed there, or seems to be.
// Counts every call that changes something. Never changes what a call does, but for failing it.
// The storage's counterpart is support/faulty-storage.ts.
import type { Index } from "../../src/registry/ports/index.ts";
import type { FaultyStorage } from "../support/faulty-storage.ts";

export interface IndexFault {
  /** `kill`: SIGKILL to this process. `throw`: that call and every later one, look-ups too, throws. */
  readonly kind: "kill" | "throw";
  /** The changing call at which it happens, from 1. */
  readonly at: number;
  readonly when: "before" | "after";
}

/** What each method does; `life`: belongs to who opened the index, and is let through. */
const effects: Readonly<Record<keyof Index, "changes" | "looks" | "life">> = {
  findBlob: "looks",
  findBlobAnywhere: "looks",
  findManifest: "looks",
  findTag: "looks",
  findSizes: "looks",
  listTags: "looks",
  listRepositories: "looks",
  listReferrers: "looks",
  listHolders: "looks",
  createToken: "changes",
  findToken: "looks",
  listTokens: "looks",
  revokeToken: "changes",
  noteTokenUse: "changes",
  findUpload: "looks",
  listIdleUploads: "looks",
  beginUpload: "changes",
  touchUpload: "changes",
  expireUpload: "changes",
  endUpload: "changes",
  finishUpload: "changes",
  mountBlob: "changes",
  findAndLeaseBlob: "changes",
  findAndLeaseManifest: "changes",
  acceptManifest: "changes",
  deleteManifest: "changes",
  deleteRestorably: "changes",
  deleteTagRestorably: "changes",
  deleteImage: "changes",
  deleteRepository: "changes",
  previewImageDeletion: "looks",
  previewRepositoryDeletion: "looks",
  listUploads: "looks",
  listDeletions: "looks",
  findDeletion: "looks",
  heldManifests: "looks",
  previewRestore: "looks",
  restoreDeletion: "changes",
  deleteTag: "changes",
  unlinkBlob: "changes",
  pendingRedo: "looks",
  newestRedo: "looks",
  clearRedo: "changes",
  rootId: "looks",
  setRootId: "changes",
  checkpoint: "changes",
  close: "life",
  totals: "looks",
  manifestCandidates: "looks",
  manifestStandings: "looks",
  blobCandidates: "looks",
  blobStandings: "looks",
  namedByManifest: "looks",
  namersOf: "looks",
  heldDigests: "looks",
  keptDeletions: "looks",
  releaseDeletions: "changes",
  collectionDue: "looks",
  beginRun: "changes",
  endRun: "changes",
  interruptRuns: "changes",
  listRuns: "looks",
  enqueuePage: "changes",
  removeManifests: "changes",
  condemn: "changes",
  listCondemned: "looks",
  isCondemned: "looks",
  forget: "changes",
  dropEmptyRepositories: "changes",
  emptyRepositories: "looks",
  expireLeases: "changes",
  beginPullTimes: "changes",
  pullTimesSince: "looks",
  recordPulls: "changes",
  retentionTags: "looks",
  isJudgeable: "looks",
  untaggedManifests: "looks",
  manifestTies: "looks",
  holdersOf: "looks",
  retireImages: "changes",
  retireUntagged: "changes",
  retentionRuns: "looks",
  setRetentionRuns: "changes",
  isComplete: "looks",
  markComplete: "changes",
  startRebuild: "changes",
  absorb: "changes",
  loseBytes: "changes",
  readingPosition: "looks",
  setReadingPosition: "changes",
  listKnownRepositories: "looks",
  repositoryFacts: "looks",
  blobsWithPrefix: "looks",
  recordProblems: "changes",
  listProblems: "looks",
  hasUnlistable: "looks",
  gauges: "looks",
  countPage: "looks",
  setEventEndpoints: "changes",
  nextEvents: "looks",
  settleEvents: "changes",
  forgetEvents: "changes",
  queueEvents: "changes",
  blobBytes: "looks",
  findHeld: "looks",
  describeRepositories: "looks",
  describeRepository: "looks",
  describeTags: "looks",
  describeImage: "looks",
  describeChildren: "looks",
  blobUsers: "looks",
  repositoryUsage: "looks",
  usageTotals: "looks",
  scanRepositoryUsage: "looks",
  scanTaggedImages: "looks",
  scanManifestBytes: "looks",
  scanBlobs: "looks",
  scanHeldBlobs: "looks",
  scanManifests: "looks",
  scanNamed: "looks",
  scanTagsOf: "looks",
  blobHolders: "looks",
  scanUnheldBlobs: "looks",
  scanRestorableBlobs: "looks",
  scanUploads: "looks",
  recordUsage: "changes",
  usageHistory: "looks",
  recountUsage: "changes",
};

type Method = (...args: readonly unknown[]) => Promise<unknown>;

export class DyingIndex {
  /** What the code under test is given. */
  readonly index: Index;
  readonly #fault: IndexFault | null;
  readonly #storage: FaultyStorage | null;
  readonly #underWay = new Set<Promise<unknown>>();
  #calls = 0;
  #dead = false;

  /** `storage`: the other port of the same process; when one of the two dies, so does the other. */
  constructor(inner: Index, fault: IndexFault | null, storage: FaultyStorage | null = null) {
    this.#fault = fault;
    this.#storage = storage;
    this.index = new Proxy(inner, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        const effect = effects[name as keyof Index] as string | undefined;
        if (typeof method !== "function" || effect === undefined || effect === "life") {
          return method;
        }
        return this.#wrap(method as Method, effect === "changes");
      },
    });
  }

  /** How many changing calls there were. */
  get calls(): number {
    return this.#calls;
  }

  get isDead(): boolean {
    return this.#dead || this.#storage?.isDead === true;
  }

  /** As if the process had died now. */
  die(): void {
    this.#dead = true;
    if (this.#storage === null) return;
    this.#storage.fault = { kind: "throw", at: this.#storage.calls + 1, when: "before" };
  }

  /** Waits until what had been handed on before the death is over. */
  async settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  #wrap(method: Method, changes: boolean): Method {
    return async (...args) => {
      this.#checkAlive();
      const isLast = changes && ++this.#calls === this.#fault?.at;
      if (isLast && this.#fault?.when === "before") return this.#end();
      const answer = method(...args);
      this.#underWay.add(answer);
      // A failure is passed on below.
      await Promise.allSettled([answer]);
      this.#underWay.delete(answer);
      if (isLast) return this.#end();
      // An answer that comes after the death reaches nobody.
      this.#checkAlive();
      return answer;
    };
  }

  #end(): Promise<never> {
    if (this.#fault?.kind === "kill") {
      process.kill(process.pid, "SIGKILL");
      // Not one step further, should the signal take a moment.
      return new Promise(() => undefined);
    }
    this.die();
    throw dead();
  }

  #checkAlive(): void {
    if (this.isDead) throw dead();
  }
}

function dead(): Error {
  return new Error("the process is dead, as the test asked");
}
