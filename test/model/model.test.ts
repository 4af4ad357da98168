// Random histories of clients, collections, stops and kills against the model (test/model/model.ts). What
// the model holds can be pulled byte for byte, everything else is 404; a dry run foretells the run; after
// a collection exactly what is kept is left; the queue misses nothing.
// PLIMSOLL_SEQUENCES: how many (2,000 nightly). A failure prints the seed and the path that give it back:
// PLIMSOLL_SEED, PLIMSOLL_PATH and PLIMSOLL_REPLAY_PATH.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { expectNoEmptyDirectories } from "./check.ts";
import { commands } from "./commands.ts";
import type { Both } from "./client.ts";
import * as client from "./client.ts";
import { graceMs, Model } from "./model.ts";
import { collect } from "./operate.ts";
import { Real } from "./real.ts";

const sequences = wholeNumber("PLIMSOLL_SEQUENCES", 200);
const seed = wholeNumber("PLIMSOLL_SEED", Math.floor(Math.random() * 2 ** 31));
const path = process.env["PLIMSOLL_PATH"];
const replayPath = process.env["PLIMSOLL_REPLAY_PATH"];

function wholeNumber(name: string, usual: number): number {
  const number = Number(process.env[name] ?? usual);
  if (!Number.isInteger(number)) throw new Error(`${name} must be a whole number`);
  return number;
}

test(`${sequences} random histories come to what the model says`, async () => {
  let count = 0;
  let steps = 0;
  const histories = fc.commands(commands, {
    maxCommands: 40,
    size: "max",
    ...(replayPath === undefined ? {} : { replayPath }),
  });
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const model = new Model();
      const real = new Real();
      await fc.asyncModelRun(() => ({ model, real }), history);
      await letEverythingGo({ model, real, underWay: new Set() });
      count += 1;
      steps += [...history].length;
    }),
    { numRuns: sequences, seed, ...(path === undefined ? {} : { path }) },
  );
  console.log(`${count} histories, ${steps} commands, seed ${seed}: nothing was lost`);
}, 3_600_000);

/** Leases are over: only what a tag leads to stays. Then that is deleted, and nothing at all is left. */
async function letEverythingGo(both: Both): Promise<void> {
  const { model, real } = both;
  await client.expireUploads(both);
  real.clock.nowMs += 2 * graceMs;
  await collect(both, { untagged: false, keepDeletedMs: 0 });
  await collect(both, { untagged: true, keepDeletedMs: 0 });
  for (const [name, here] of model.repositories) {
    for (const digest of here.manifests.keys()) {
      await client.deleteManifest(both, name, digest);
    }
  }
  await collect(both, { untagged: false, keepDeletedMs: 0 });
  expect(model.repositories.size + model.stored.size).toBe(0);
  await expectNoEmptyDirectories(both);
}
