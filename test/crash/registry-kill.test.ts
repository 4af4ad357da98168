// Real processes on a real disk, killed with SIGKILL: just before and just after changes of the storage
// and of the index, a sample of them, and at random moments, in the middle of whatever is under way.
// In them the tree follows, and files of uploads go, beside the requests, as in a server.
// Every n, without a process: registry-death.test.ts. The whole server: registry-kill-under-load.test.ts.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkAfterDeath } from "./after-death.ts";
import { copyRoot } from "./disk.ts";
import type { Assignment, Line } from "./dying-process.ts";
import type { Entry } from "./journal.ts";
import { killsOf, Random } from "./random.ts";
import { type Stage, Stages } from "./stages.ts";
import { parts } from "./steps.ts";

const program = fileURLToPath(new URL("./dying-process.ts", import.meta.url));
/** Processes at the same time. */
const atOnce = 2;
/** A part takes about as long; later kills would come too late. */
const killWithinMs = 150;

setDefaultTimeout(600_000);

let stages: Stages;
let tried = 0;

beforeAll(async () => {
  stages = await Stages.prepare();
});
afterAll(() => {
  stages.remove();
});

interface Killing {
  readonly stage: Stage;
  readonly death: Assignment["death"];
  /** Without `death`: when the parent kills it. */
  readonly afterMs: number;
}

/** Runs a process until it is killed. Returns what it had written down, and whether it was killed. */
async function runKilled(
  rootDirectory: string,
  { stage, death, afterMs }: Killing,
): Promise<{ readonly entries: readonly Entry[]; readonly killed: boolean }> {
  const { name: part, steps, nowMs } = stage;
  const assignment: Assignment = { rootDirectory, part, steps, nowMs, death };
  const child = Bun.spawn([process.execPath, program, JSON.stringify(assignment)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const complaints = child.stderr.text();
  let text = "";
  let timer: Timer | null = null;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (death === null) timer ??= setTimeout(() => child.kill("SIGKILL"), afterMs);
  }
  const exitCode = await child.exited;
  if (timer !== null) clearTimeout(timer);
  const killed = child.signalCode === "SIGKILL";
  if (!killed && exitCode !== 0) throw new Error(`${part}: ${await complaints}`);
  // A line is written at once; what follows the last end of line is nothing.
  const lines = text.split("\n").slice(0, -1);
  const entries = lines
    .map((line) => JSON.parse(line) as Line)
    .filter((line): line is Entry => line.at !== "ready");
  return { entries, killed };
}

async function tryKill(killing: Killing): Promise<boolean> {
  const { stage } = killing;
  const number = tried++;
  const root = join(stages.directory, `${number}`);
  copyRoot(stage.rootDirectory, root);
  const { entries, killed } = await runKilled(root, killing);
  const wrong = await checkAfterDeath(root, {
    entries: [...stage.entries, ...entries],
    livesOn: number % 4 === 0,
  });
  rmSync(root, { recursive: true });
  const how =
    killing.death === null ? `after ${killing.afterMs} ms` : JSON.stringify(killing.death);
  expect(wrong, `${stage.name}: killed ${how}`).toEqual([]);
  return killed;
}

/** Carries them out, two at a time. Returns how many processes were killed. */
async function tryAll(killings: readonly Killing[]): Promise<number> {
  const waiting = killings.values();
  let killed = 0;
  const work = async (): Promise<void> => {
    for (const killing of waiting) if (await tryKill(killing)) killed++;
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return killed;
}

/** Two changes in each part and port: others before than after, early and late ones. */
function chosenDeaths(stage: Stage): Killing[] {
  const deathsOf = (of: "storage" | "index", calls: number): Killing[] => {
    const at = (share: number): number => 1 + Math.floor(calls * share);
    const spread = (stage.number + 1) / 8;
    return [
      { stage, afterMs: 0, death: { of, at: at(spread / 2), when: "before" } },
      { stage, afterMs: 0, death: { of, at: at(0.5 + spread / 2), when: "after" } },
    ];
  };
  return [...deathsOf("storage", stage.storageCalls), ...deathsOf("index", stage.indexCalls)];
}

test("killed just before and just after changes of the storage and of the index", async () => {
  const killings = Object.keys(parts).flatMap((name) => chosenDeaths(stages.get(name)));
  // Beside the requests things fall together differently each time, and some calls with them.
  expect(await tryAll(killings)).toBeGreaterThan(killings.length / 2);
});

test("killed at random moments", async () => {
  const random = new Random();
  const kills = killsOf(0.15);
  console.log(`${kills} kills at random moments; again: PLIMSOLL_SEED=${random.seed}`);
  const names = Object.keys(parts);
  const killings = Array.from({ length: kills }, (_, n): Killing => {
    const stage = stages.get(names[n % names.length] ?? "");
    return { stage, death: null, afterMs: random.below(killWithinMs) };
  });
  expect(await tryAll(killings)).toBeGreaterThan(0);
});
