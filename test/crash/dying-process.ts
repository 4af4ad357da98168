// A program that carries out one part of the script on a root, and is killed at a call of its parent's
// choice, or by its parent. Writes every entry of its journal to stdout at once, a line each: what a pipe
// has taken outlives the writer. Its one argument is an Assignment as JSON.
import { writeSync } from "node:fs";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { DyingIndex } from "./dying-index.ts";
import { FaultyStorage } from "../support/faulty-storage.ts";
import { openIndexOf } from "./disk.ts";
import { type Entry, Journal } from "./journal.ts";
import { runSteps } from "./run-steps.ts";
import { parts } from "./steps.ts";
import { createWorld, endWorld, TestClock } from "./world.ts";

export interface Assignment {
  readonly rootDirectory: string;
  readonly part: string;
  /** The number of its first step. */
  readonly steps: number;
  readonly nowMs: number;
  /** Null: the parent kills it. */
  readonly death: {
    readonly of: "storage" | "index";
    readonly at: number;
    readonly when: "before" | "after";
  } | null;
}

/** `ready`: from now on it works. */
export type Line = Entry | { readonly at: "ready" };

async function main(assignment: Assignment): Promise<void> {
  const { rootDirectory, death } = assignment;
  const index = await openIndexOf(rootDirectory);
  const fault = death === null ? null : ({ kind: "kill", ...death } as const);
  const ofStorage = death?.of === "storage" ? fault : null;
  const storage = new FaultyStorage(new FilesystemStorage(rootDirectory), ofStorage);
  const dying = new DyingIndex(index, death?.of === "index" ? fault : null);
  const clock = new TestClock();
  clock.nowMs = assignment.nowMs;
  const world = createWorld({ index: dying.index, storage, clock, runsBeside: true });
  tell({ at: "ready" });
  await runSteps(world, parts[assignment.part] ?? [], new Journal(tell, assignment.steps));
  await endWorld(world);
  await index.close();
}

function tell(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

await main(JSON.parse(process.argv[2] ?? "") as Assignment);
