// INV-2, INV-3 and the totals under SIGKILL: a process that changes an index is killed at random moments;
// what it was told to be done is there afterwards, and what it was not told is there as a whole or not at
// all. 20 times, beside the 100 kills of the registry; PLIMSOLL_KILLS=1000 for ten times as many.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openIndex } from "../../src/index/sqlite-index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { allFacts, missedByQueue, recount } from "../contract/index/collect.ts";
import { repo } from "../contract/index/world.ts";
import {
  applyTo,
  type Change,
  clients,
  condemnedBlob,
  firstChange,
  isAsExpected,
  type Line,
  type State,
} from "./index-kill-worker.ts";
import { killsOf } from "./random.ts";

const kills = killsOf(0.2);
/** Lines of a process before it is killed: from none to a few hundred. */
const linesMax = 400;

interface Client {
  readonly state: State;
  /** Number of its next change. */
  next: number;
  /** Begun, not acknowledged. */
  pending: Change | null;
}

function copyOf(state: State): State {
  return {
    layers: new Set(state.layers),
    revisions: new Set(state.revisions),
    tags: new Map(state.tags),
  };
}

/** Runs the clients until they have said so many lines, and kills them at that moment. */
async function runUntilKilled(
  root: string,
  known: readonly Client[],
  linesUntilKill: number,
): Promise<Line[]> {
  const worker = join(import.meta.dir, "index-kill-worker.ts");
  const child = Bun.spawn(
    [process.execPath, worker, root, ...known.map(({ next }) => String(next))],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const lines: Line[] = [];
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) lines.push(JSON.parse(part) as Line);
    // What it says between now and its end is read too: it was acknowledged.
    if (lines.length >= linesUntilKill) child.kill("SIGKILL");
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  return lines;
}

function follow(known: readonly Client[], lines: readonly Line[]): void {
  for (const { says, change } of lines) {
    const client = known[change.client];
    if (client === undefined) throw new Error(`no client ${change.client}`);
    if (says === "begun") {
      client.pending = change;
    } else {
      applyTo(client.state, change);
      client.pending = null;
      client.next = change.n + 1;
    }
  }
}

const isAboutGarbage = ({ kind }: Change): boolean => kind === "condemn" || kind === "forget";

/** What was acknowledged is there; what was only begun, as a whole or not at all. */
async function check(index: Index, number: number, client: Client): Promise<void> {
  const facts = await index.repositoryFacts(repo(`client-${number}`));
  const { pending } = client;
  if (pending !== null) {
    const after = copyOf(client.state);
    applyTo(after, pending);
    // Condemning and forgetting may be half done: they are done once more.
    if (!isAboutGarbage(pending) && isAsExpected(facts, after)) {
      applyTo(client.state, pending);
      client.next = pending.n + 1;
    }
    client.pending = null;
  }
  if (!isAsExpected(facts, client.state)) {
    throw new Error(
      `client ${number}: expected ${Bun.inspect(client.state)}, found ${Bun.inspect(facts)}`,
    );
  }
}

async function checkGarbage(index: Index, last: Change | undefined): Promise<void> {
  if (last === undefined) return;
  const digest = condemnedBlob(last);
  expect(await index.isCondemned(digest)).toBe(last.kind === "condemn");
  expect(await index.findBlobAnywhere(digest)).toBeNull();
}

describe("an index whose process is killed", () => {
  const known: Client[] = Array.from({ length: clients }, () => ({
    state: { layers: new Set(), revisions: new Set(), tags: new Map() },
    next: firstChange,
    pending: null,
  }));
  let root = "";

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "plimsoll-kill-"));
  });
  afterAll(() => {
    rmSync(root, { recursive: true });
  });

  test(
    `has all that was acknowledged, ${kills} times`,
    async () => {
      let acknowledged = 0;
      for (let kill = 0; kill < kills; kill++) {
        const lines = await runUntilKilled(root, known, Math.floor(Math.random() * linesMax));
        acknowledged += lines.filter(({ says }) => says === "done").length;
        follow(known, lines);
        const pending = new Set(known.map((client) => client.pending));
        const index = await openIndex(join(root, "index.db"), root);
        for (const [number, client] of known.entries()) {
          await check(index, number, client);
          const about = lines
            .filter(({ says, change }) => says === "done" && change.client === number)
            .map(({ change }) => change)
            .findLast(isAboutGarbage);
          const isSettled = ![...pending].some(
            (change) => change?.client === number && isAboutGarbage(change),
          );
          if (isSettled) await checkGarbage(index, about);
        }
        expect(await index.totals()).toEqual(recount(await allFacts(index)));
        expect(await missedByQueue(index, 1_000)).toEqual([]);
        await index.close();
        const file = new Database(join(root, "index.db"));
        expect(file.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
        file.close();
      }
      expect(acknowledged).toBeGreaterThan(kills);
    },
    kills * 30_000,
  );
});
