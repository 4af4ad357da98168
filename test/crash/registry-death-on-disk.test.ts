// The process dies at its n-th change of the storage or of the index, on a real file system and with a
// real index and its writer thread. No process is killed for it: at the death every further call fails,
// what had been handed to the kernel or to the writer comes to its end, and the directory is copied as it
// is then, the index's log unmerged: what SIGKILL leaves at that moment.
// Every fifth n, and one before a call; PLIMSOLL_EXHAUSTIVE=true for every n, before and after: minutes.
// In memory every n is tried always: registry-death.test.ts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DyingIndex } from "./dying-index.ts";
import { FaultyStorage } from "../support/faulty-storage.ts";
import { checkAfterDeath } from "./after-death.ts";
import { copyRoot, openIndexOf, openStorageOf } from "./disk.ts";
import { type Entry, Journal } from "./journal.ts";
import { failureOf, runSteps } from "./run-steps.ts";
import { type Stage, Stages } from "./stages.ts";
import { parts } from "./steps.ts";
import { createWorld, endWorld, TestClock } from "./world.ts";

interface Death {
  readonly of: "storage" | "index";
  readonly at: number;
  readonly when: "before" | "after";
}

const isExhaustive = process.env["PLIMSOLL_EXHAUSTIVE"] === "true";
/** Deaths that are tried at the same time; mostly they wait for the disk. */
const atOnce = 3;

setDefaultTimeout(1_800_000);

let stages: Stages;
let tried = 0;

beforeAll(async () => {
  stages = await Stages.prepare();
});
afterAll(() => {
  stages.remove();
});

/** Runs the part until it dies, and leaves the root in `to` as the dead process left it. */
async function dieIn(stage: Stage, death: Death, to: string): Promise<Entry[]> {
  const root = `${to}-before`;
  copyRoot(stage.rootDirectory, root);
  const index = await openIndexOf(root);
  const fault = { kind: "throw", at: death.at, when: death.when } as const;
  const storage = new FaultyStorage(openStorageOf(root), death.of === "storage" ? fault : null);
  const dying = new DyingIndex(index, death.of === "index" ? fault : null, storage);
  const clock = new TestClock();
  clock.nowMs = stage.nowMs;
  const world = createWorld({ index: dying.index, storage, clock });
  const journal = new Journal(undefined, stage.steps);
  const failure = await failureOf(runSteps(world, stage.script, journal));
  await endWorld(world);
  await dying.settle();
  copyRoot(root, to);
  await index.close();
  rmSync(root, { recursive: true });
  // How concurrent steps fall together differs from run to run: it may end without having died.
  if (!dying.isDead && failure !== null) throw failure;
  return [...stage.entries, ...journal.entries];
}

async function tryDeath(stage: Stage, death: Death): Promise<void> {
  const number = tried++;
  const root = join(stages.directory, `${number}`);
  const entries = await dieIn(stage, death, root);
  const wrong = await checkAfterDeath(root, { entries, livesOn: number % 4 === 0 });
  rmSync(root, { recursive: true });
  expect(wrong, `${stage.name}: ${JSON.stringify(death)}`).toEqual([]);
}

/** The n of this test: in each part others, so that every kind of call has its turn. */
function deathsIn(stage: Stage, of: Death["of"]): Death[] {
  const calls = of === "storage" ? stage.storageCalls : stage.indexCalls;
  const all = Array.from({ length: calls }, (_, n) => n + 1).flatMap((at): Death[] => [
    { of, at, when: "before" },
    { of, at, when: "after" },
  ]);
  if (isExhaustive) return all;
  const chosen = all.filter(({ when, at }) => when === "after" && at % 5 === stage.number % 5);
  return [...all.slice(0, 1), ...chosen];
}

for (const name of Object.keys(parts)) {
  describe(name, () => {
    for (const of of ["storage", "index"] as const) {
      test(`the process dies at changes of the ${of}`, async () => {
        const stage = stages.get(name);
        const deaths = deathsIn(stage, of).values();
        const work = async (): Promise<void> => {
          for (const death of deaths) await tryDeath(stage, death);
        };
        await Promise.all(Array.from({ length: atOnce }, work));
      });
    }
  });
}
