// Lets a registry on a disk and an index in memory die at a moment of one's choice, with the power or
// without, and checks what is found afterwards. The index outlives the death whole: its commits are
// durable, SQLite sees to that. Everything but disk and index is made anew.
import { expect } from "bun:test";
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import type { Digest } from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { DyingIndex } from "./dying-index.ts";
import { FaultyStorage } from "../support/faulty-storage.ts";
import { PowerCutStorage } from "../support/power-cut-storage.ts";
import { checkExpectation, checkInvariants, checkUnknownBytes } from "./check-world.ts";
import { Expectation } from "./expectation.ts";
import { Journal } from "./journal.ts";
import { continueUploads, finishCollection, pushAndDeleteEverything } from "./live-on.ts";
import { failureOf, runSteps } from "./run-steps.ts";
import { parts, type Script } from "./steps.ts";
import { storedBlobs } from "./stored-tree.ts";
import { createWorld, endWorld, TestClock } from "./world.ts";

export interface Death {
  /** `turn`: at the n-th turn of the event loop, in the middle of whatever is under way. */
  readonly of: "storage" | "index" | "turn";
  readonly at: number;
  readonly when: "before" | "after";
  /** What the disk loses: only a power cut makes it lose what was not fsynced, all of it or by chance. */
  readonly loses: "nothing" | "all" | "by chance";
  /** Other steps than those of all parts. */
  readonly script?: Script;
}

/** Pushing and deleting everything once more takes half of the time: not after every death. */
const livesOnEvery = 8;

const allParts: Script = Object.values(parts).flat();

interface Disk {
  readonly storage: Storage;
  /** The disk as it is found afterwards. */
  readonly die: () => Promise<Storage>;
}

function newDisk({ loses, at }: Death): Disk {
  if (loses === "nothing") {
    const storage = new MemoryStorage();
    return { storage, die: () => Promise.resolve(storage) };
  }
  const storage = new PowerCutStorage(loses === "all" ? {} : { seed: at });
  return { storage, die: () => storage.powerCut() };
}

interface Outcome {
  readonly died: boolean;
  readonly journal: Journal;
  readonly storage: Storage;
  readonly index: Index;
  readonly clock: TestClock;
  /** What the index is told when it looks at the tree. */
  readonly sizes: Map<Digest, number>;
}

async function runUntil(death: Death): Promise<Outcome> {
  const sizes = new Map<Digest, number>();
  const index = createMemoryIndex({
    link: () => null,
    blobSizeBytes: (digest) => sizes.get(digest) ?? null,
  });
  const disk = newDisk(death);
  const fault = { kind: "throw", at: death.at, when: death.when } as const;
  const storage = new FaultyStorage(disk.storage, death.of === "storage" ? fault : null);
  const dying = new DyingIndex(index, death.of === "index" ? fault : null, storage);
  const clock = new TestClock();
  const world = createWorld({ index: dying.index, storage, clock });
  const journal = new Journal();
  let after: Promise<Storage> | null = null;
  const run = { isOver: false };
  const watching = eachTurn(run, (turn) => {
    if (death.of === "turn" && turn === death.at) dying.die();
    if (dying.isDead) after ??= disk.die();
  });
  const failure = await failureOf(runSteps(world, death.script ?? allParts, journal));
  await endWorld(world);
  run.isOver = true;
  await watching;
  if (!dying.isDead && failure !== null) throw failure;
  return {
    died: dying.isDead,
    journal,
    storage: await (after ?? disk.die()),
    index,
    clock,
    sizes,
  };
}

async function eachTurn(
  run: { readonly isOver: boolean },
  act: (turn: number) => void,
): Promise<void> {
  for (let turn = 1; !run.isOver; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    act(turn);
  }
}

/** Whether it died at all: the script may have no such moment. */
export async function tryDeath(death: Death): Promise<boolean> {
  const { died, journal, storage, index, clock, sizes } = await runUntil(death);
  const world = createWorld({ index, storage, clock });
  const expectation = new Expectation(journal.entries);
  await world.follower.catchUp();
  const bytesMayBeLost = death.loses !== "nothing";
  const unknown = await checkUnknownBytes(world, expectation.underWay);
  const wrong = [
    ...(await checkInvariants(world)),
    ...(await checkExpectation(world, expectation)),
    ...(await continueUploads(world, expectation.uploads, { bytesMayBeLost })),
  ];
  // A power cut may bring back what had been unlinked.
  if (!bytesMayBeLost) wrong.push(...unknown);
  for (const [digest, bytes] of await storedBlobs(storage)) sizes.set(digest, bytes.length);
  wrong.push(...(await finishCollection(world)));
  if (death.at % livesOnEvery === 0) wrong.push(...(await pushAndDeleteEverything(world)));
  const { of, at, when, loses } = death;
  expect(wrong, JSON.stringify({ of, at, when, loses })).toEqual([]);
  return died;
}

/** Dies at 1, 2, 3 … until the script ends without dying. Returns how often it died. */
export async function dieAtEach(how: Omit<Death, "at">): Promise<number> {
  for (let at = 1; ; at++) {
    if (!(await tryDeath({ ...how, at }))) return at - 1;
  }
}
