// The parts of the script, each with the root as it is when the part begins: so that dying at the n-th
// call of a part need not repeat all the parts before it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DyingIndex } from "./dying-index.ts";
import { FaultyStorage } from "../support/faulty-storage.ts";
import { copyRoot, openIndexOf, openStorageOf } from "./disk.ts";
import { type Entry, Journal } from "./journal.ts";
import { runSteps } from "./run-steps.ts";
import { parts, type Script } from "./steps.ts";
import { createWorld, endWorld, TestClock } from "./world.ts";

export interface Stage {
  readonly name: string;
  readonly number: number;
  readonly script: Script;
  /** The root before the part; not to be changed. */
  readonly rootDirectory: string;
  /** What had been acknowledged before it. */
  readonly entries: readonly Entry[];
  readonly steps: number;
  readonly nowMs: number;
  /** How many changing calls the part makes. */
  readonly storageCalls: number;
  readonly indexCalls: number;
}

export class Stages {
  /** Everything of this test is below; removed at the end. */
  readonly directory = mkdtempSync(join(tmpdir(), "plimsoll-crash-"));
  readonly #stages = new Map<string, Stage>();

  static async prepare(): Promise<Stages> {
    const stages = new Stages();
    const root = join(stages.directory, "root");
    const journal = new Journal();
    const clock = new TestClock();
    await (await openIndexOf(root)).close();
    for (const [name, script] of Object.entries(parts)) {
      const number = stages.#stages.size;
      const rootDirectory = join(stages.directory, `stage-${number}`);
      copyRoot(root, rootDirectory);
      const before = { entries: [...journal.entries], nowMs: clock.nowMs };
      const steps = before.entries.filter(({ at }) => at === "begin").length;
      const calls = await play(root, script, { journal, clock });
      stages.#stages.set(name, { name, number, script, rootDirectory, steps, ...before, ...calls });
    }
    return stages;
  }

  get(name: string): Stage {
    const stage = this.#stages.get(name);
    if (stage === undefined) throw new Error(`there is no part "${name}"`);
    return stage;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function play(
  root: string,
  script: Script,
  { journal, clock }: { readonly journal: Journal; readonly clock: TestClock },
): Promise<Pick<Stage, "storageCalls" | "indexCalls">> {
  const index = await openIndexOf(root);
  const storage = new FaultyStorage(openStorageOf(root));
  const dying = new DyingIndex(index, null, storage);
  const world = createWorld({ index: dying.index, storage, clock });
  await runSteps(world, script, journal);
  await endWorld(world);
  await index.close();
  return { storageCalls: storage.calls, indexCalls: dying.calls };
}
