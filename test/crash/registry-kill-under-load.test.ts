// The server is killed with SIGKILL at random moments, while four clients push, overwrite, delete and
// pull images that share layers and garbage-collect runs in a loop; and, while there is no server, the
// command that has become the owner. After each start every acknowledged image is there; at the end all
// pull byte for byte, `verify` is clean, INV-1 to INV-4 hold, and a collection leaves exactly what the tags need.
// A quarter of all kills: 25 of 100, or of PLIMSOLL_KILLS; PLIMSOLL_SEED for the same choices again.
import { expect, setDefaultTimeout, test } from "bun:test";
import { type Sandbox, withSandbox } from "../e2e/sandbox.ts";
import { makeLayerPool, StormClient } from "../e2e/storm-client.ts";
import { digestsOf } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { productCommand, type RunningRegistry } from "../support/registry-process.ts";
import { checkInvariants, type Violations } from "./check-world.ts";
import { compareWithTree, openIndexOf, openStorageOf } from "./disk.ts";
import { finishCollection } from "./live-on.ts";
import { killsOf, Random } from "./random.ts";
import { knownRepositories, removeTemporaryFiles, storedBlobs } from "./stored-tree.ts";
import { createWorld, TestClock } from "./world.ts";

const kills = killsOf(0.25);
const clients = 4;
/** Most requests that are sent between a start and the kill; an image takes some twenty. */
const requestsMax = 150;
/** A command needs some 150 ms to become the owner, and not much longer for its work. */
const commandMsMax = 400;

/** After a kill every manifest is asked for, and of one image in so many also the layers; at the end of all. */
const layersOfOneIn = 4;

setDefaultTimeout(60_000 + kills * 60_000);

test(
  `${kills} kills under load lose no acknowledged image`,
  withSandbox(killUnderLoad, { more: "gc:\n  grace: 2s\n" }),
);

async function killUnderLoad(sandbox: Sandbox): Promise<void> {
  const random = new Random();
  console.log(`${kills} kills under load; again: PLIMSOLL_SEED=${random.seed}`);
  const crew = makeCrew(`http://${sandbox.host}`, random);
  for (let kill = 1; kill <= kills; kill++) {
    const server = await sandbox.start();
    await pullAcknowledged(crew, () => random.below(layersOfOneIn) === 0);
    await loadUntilKilled(sandbox, { server, crew, random });
    if (random.below(2) === 0) await collectAlone(sandbox, random);
  }
  await expectSound(sandbox, crew);
  expect(await checkRoot(sandbox, crew)).toEqual([]);
  await expectSound(sandbox, crew);
  const pushes = crew.reduce((sum, { counts }) => sum + counts.pushes, 0);
  // A load that did nothing would prove nothing.
  expect(pushes).toBeGreaterThan(kills);
}

/** A server serves every acknowledged image, finds nothing wrong, and stops cleanly. */
async function expectSound(sandbox: Sandbox, crew: readonly StormClient[]): Promise<void> {
  const server = await sandbox.start();
  await pullAcknowledged(crew);
  const verified = await sandbox.command("verify", "--hash");
  expect(verified.exitCode, verified.stdout + verified.stderr).toBe(0);
  expect(await server.stop()).toBe(0);
}

function makeCrew(url: string, random: Random): StormClient[] {
  const pool = makeLayerPool();
  return Array.from({ length: clients }, (_, n) => {
    const http = new PushClient(url);
    const seed = random.below(2 ** 31);
    return new StormClient({ name: `w${n}`, http, pool, seed, skopeo: null });
  });
}

async function pullAcknowledged(
  crew: readonly StormClient[],
  isWhole: () => boolean = () => true,
): Promise<void> {
  for (const client of crew) {
    for (const [key, image] of client.acknowledged) {
      const [repository = "", tag = ""] = key.split(":");
      if (isWhole()) await client.expectPullable(repository, tag, image);
      const { digest } = await client.http.getManifest(repository, tag);
      expect(digest).toBe(image.manifest.digest);
    }
  }
}

interface Load {
  readonly server: RunningRegistry;
  readonly crew: readonly StormClient[];
  readonly random: Random;
}

async function loadUntilKilled(sandbox: Sandbox, { server, crew, random }: Load): Promise<void> {
  const run = { isKilled: false };
  const work = crew.map(async (client) => {
    try {
      await client.runUntil(Number.POSITIVE_INFINITY);
    } catch (error) {
      // Nobody answers any more: what was acknowledged is looked at after the next start.
      if (!run.isKilled) throw error;
    }
  });
  const collecting = collectUntilKilled(sandbox, run);
  const until = requestsOf(crew) + random.below(requestsMax);
  // A client that fails before the kill ends the waiting, and the test.
  const failed = Promise.all(work).then(() => true);
  while (requestsOf(crew) < until) if (await Promise.race([Bun.sleep(2), failed])) break;
  run.isKilled = true;
  expect(await server.stop("SIGKILL")).toBe(128 + 9);
  await Promise.all(work);
  await collecting;
}

function requestsOf(crew: readonly StormClient[]): number {
  return crew.reduce((sum, { http }) => sum + http.requests, 0);
}

function startCollecting(sandbox: Sandbox): Bun.Subprocess<"ignore", "ignore", "pipe"> {
  return Bun.spawn([...productCommand, "garbage-collect", "-m", sandbox.configPath], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
}

/** A command that loses its server may fail, or become the owner and do the work itself. */
async function collectUntilKilled(
  sandbox: Sandbox,
  run: { readonly isKilled: boolean },
): Promise<void> {
  while (!run.isKilled) {
    const command = startCollecting(sandbox);
    const complaints = command.stderr.text();
    const exitCode = await command.exited;
    const said = await complaints;
    if (exitCode !== 0 && !run.isKilled) throw new Error(said);
  }
}

/** The command is the owner, and is killed, or comes to its end in time. */
async function collectAlone(sandbox: Sandbox, random: Random): Promise<void> {
  const command = startCollecting(sandbox);
  const complaints = command.stderr.text();
  const timer = setTimeout(() => command.kill("SIGKILL"), random.below(commandMsMax));
  const exitCode = await command.exited;
  clearTimeout(timer);
  if (command.signalCode === null) expect(exitCode, await complaints).toBe(0);
}

/** The root by itself, without a server. */
async function checkRoot(sandbox: Sandbox, crew: readonly StormClient[]): Promise<Violations> {
  const index = await openIndexOf(sandbox.root);
  const storage = openStorageOf(sandbox.root);
  const clock = new TestClock();
  clock.passEverything();
  const compare = (): Promise<void> => compareWithTree(sandbox.root, index, clock);
  const world = createWorld({ index, storage, clock, compare });
  await world.follower.catchUp();
  await removeTemporaryFiles(storage);
  const wrong = [
    ...(await checkInvariants(world)),
    ...(await finishCollection(world, { untagged: true })),
  ];
  for (const { repository, facts } of await knownRepositories(index)) {
    const untagged = facts.revisions.difference(new Set(facts.tags.values()));
    for (const digest of untagged) wrong.push(`${digest} in ${repository} has no tag, and is left`);
  }
  const stored = await storedBlobs(storage);
  for (const client of crew) {
    for (const image of client.acknowledged.values()) {
      for (const digest of digestsOf(image)) {
        if (![...stored.keys()].some((one) => one === digest)) wrong.push(`${digest} is gone`);
      }
    }
  }
  await index.close();
  return wrong;
}
