// The process dies just before or just after a change of the index while the index is built from a tree
// for the first time, built again, or compared with a tree that somebody else has written to; on disk, with
// the real walk. Opened again it is built, or compared, to its end, and what the tree holds is served.
// Every third n, before and after in turn; PLIMSOLL_EXHAUSTIVE=true for every n, before and after.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Index } from "../../src/registry/ports/index.ts";
import { Comparison, type ComparisonMode } from "../../src/takeover/comparison.ts";
import { checkInvariants, checkPull } from "./check-world.ts";
import { compareWithTree, copyRoot, openIndexOf, openStorageOf, verify } from "./disk.ts";
import { DyingIndex } from "./dying-index.ts";
import { Journal } from "./journal.ts";
import { finishCollection } from "./live-on.ts";
import { failureOf, runSteps } from "./run-steps.ts";
import { everything, repositories, type Script, type Step } from "./steps.ts";
import { createWorld, endWorld, TestClock } from "./world.ts";

setDefaultTimeout(600_000);

const isExhaustive = process.env["PLIMSOLL_EXHAUSTIVE"] === "true";
const directory = mkdtempSync(join(tmpdir(), "plimsoll-takeover-death-"));
const full = join(directory, "full");
const half = join(directory, "half");
const clock = new TestClock();
clock.passEverything();

/** A root that a clean stop has left after these steps. */
async function makeRoot(root: string, steps: Script): Promise<void> {
  const index = await openIndexOf(root);
  const storage = openStorageOf(root);
  const world = createWorld({ index, storage, clock: new TestClock() });
  await runSteps(world, steps, new Journal());
  await world.follower.catchUp();
  await endWorld(world);
  await index.markComplete();
  await index.close();
}

beforeAll(async () => {
  await makeRoot(full, everything);
  await makeRoot(half, everything.slice(0, everything.length >> 1));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

interface Takeover {
  readonly mode: ComparisonMode;
  /** Whose index is there before: of the same tree, of less than the tree holds, or none. */
  readonly indexOf: string | null;
}

const takeovers: Readonly<Record<string, Takeover>> = {
  "a first build": { mode: "first-build", indexOf: null },
  "a rebuild": { mode: "first-build", indexOf: full },
  "a comparison that takes in what another program wrote": { mode: "compare", indexOf: half },
};

function makeTakeoverRoot(root: string, { indexOf }: Takeover): void {
  copyRoot(full, root);
  rmSync(join(root, "plimsoll"), { recursive: true });
  if (indexOf !== null) copyRoot(join(indexOf, "plimsoll"), join(root, "plimsoll"));
}

function takeOver(index: Index, root: string, mode: ComparisonMode): Promise<unknown> {
  const tree = { rootDirectory: root, indexPath: join(root, "plimsoll/index.db") };
  return new Comparison({ index, tree, clock }).run(mode, new AbortController().signal);
}

interface Death {
  readonly at: number;
  readonly when: "before" | "after";
}

/** False: it came to its end without dying. */
async function dieIn(takeover: Takeover, death: Death, root: string): Promise<boolean> {
  const before = `${root}-before`;
  makeTakeoverRoot(before, takeover);
  const index = await openIndexOf(before);
  const dying = new DyingIndex(index, { kind: "throw", ...death });
  const work = takeOver(dying.index, before, takeover.mode).then(() => undefined);
  const failure = await failureOf(work);
  if (failure !== null && !dying.isDead) throw failure;
  await dying.settle();
  copyRoot(before, root);
  await index.close();
  rmSync(before, { recursive: true });
  return dying.isDead;
}

/** As a start does it: an index that is not complete is built, any other compared. */
async function checkAfter(root: string, livesOn: boolean): Promise<readonly string[]> {
  const index = await openIndexOf(root);
  const storage = openStorageOf(root);
  const compare = (): Promise<void> => compareWithTree(root, index, clock);
  const world = createWorld({ index, storage, clock, compare });
  try {
    await world.follower.catchUp();
    if (await index.isComplete()) await compare();
    else await takeOver(index, root, "first-build");
    const wrong = [...(await checkInvariants(world))];
    for (const step of everything) {
      if (step.kind === "put-manifest") wrong.push(...(await checkPull(world, step)));
    }
    wrong.push(...(await checkTags(index)));
    if (!livesOn) return wrong;
    wrong.push(...(await verify(root, clock)), ...(await finishCollection(world)));
    return wrong;
  } finally {
    await index.close();
  }
}

async function checkTags(index: Index): Promise<readonly string[]> {
  const puts = everything.filter(
    (step): step is Extract<Step, { kind: "put-manifest" }> => step.kind === "put-manifest",
  );
  const wrong: string[] = [];
  for (const repository of repositories) {
    const { tags } = await index.repositoryFacts(repository);
    const wanted = puts.filter((put) => put.repository === repository).flatMap((put) => put.tags);
    for (const tag of wanted) if (!tags.has(tag)) wrong.push(`${repository}:${tag} is gone`);
  }
  return wrong;
}

for (const [name, takeover] of Object.entries(takeovers)) {
  test(`the process dies in ${name}`, async () => {
    let deaths = 0;
    for (let at = 1, died = true; died; at += isExhaustive ? 1 : 3) {
      const sides = (["before", "after"] as const).filter((_, n) => isExhaustive || at % 2 === n);
      for (const when of sides) {
        const root = join(directory, "dying");
        died = await dieIn(takeover, { at, when }, root);
        if (died) deaths++;
        const livesOn = isExhaustive || at === 1;
        expect(await checkAfter(root, livesOn), `${when} change ${at}`).toEqual([]);
        rmSync(root, { recursive: true });
      }
    }
    expect(deaths).toBeGreaterThan(takeover.mode === "compare" ? 0 : 2);
  });
}
