// Push storms against collection: eight clients push, overwrite, delete and push again images that
// share layers, while garbage-collect runs in a loop from the command line. At the end every
// acknowledged image pulls byte for byte, and a last collection leaves exactly what the tags need.
// PLIMSOLL_SOAK_SECONDS=300 for the soak; 30 s under CI=true, else 10 s.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestsOf } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { createClient, describeWith } from "./clients.ts";
import type { Sandbox } from "./sandbox.ts";
import { storedDigests, withSandbox } from "./sandbox.ts";
import { StormClient, makeLayerPool } from "./storm-client.ts";

const stormSeconds = Number(
  process.env["PLIMSOLL_SOAK_SECONDS"] ?? (process.env["CI"] === "true" ? 30 : 10),
);
const clients = 8;
/** Of the eight, those that push with skopeo. */
const skopeoClients = 2;
/**
 * How long a lease outlives its caller here. Real clients look for layers in repositories that they
 * then do not push to; only when those leases are over can nothing but the tags' blobs be left.
 */
const graceSeconds = 10;
/** Of all pushes, how many may have had to begin again because a blob was collected under them. */
const retriedShareMax = 0.05;

setDefaultTimeout((stormSeconds + graceSeconds + 120) * 1000);

describeWith(["skopeo"], `a push storm of ${stormSeconds} s during collections`, () => {
  test(
    "loses no acknowledged image and leaves no garbage",
    withSandbox(storm, { more: `gc:\n  grace: ${graceSeconds}s\n` }),
  );
});

async function storm(sandbox: Sandbox): Promise<void> {
  const server = await sandbox.start();
  const crew = await makeCrew(sandbox, server.url);
  const deadline = performance.now() + stormSeconds * 1000;
  const [collections] = await Promise.all([
    collectUntil(sandbox, deadline),
    ...crew.map((client) => client.runUntil(deadline)),
  ]);

  const needed = new Set<string>();
  for (const client of crew) {
    for (const [key, image] of client.acknowledged) {
      const [repository = "", tag = ""] = key.split(":");
      await client.expectPullable(repository, tag, image);
      for (const digest of digestsOf(image)) needed.add(digest);
    }
  }
  await expectOnlyNeeded(sandbox, [...needed].sort());
  for (const client of crew) {
    for (const [key, image] of client.acknowledged) {
      const [repository = "", tag = ""] = key.split(":");
      await client.expectPullable(repository, tag, image);
    }
  }
  const verified = await sandbox.command("verify");
  expect(verified.exitCode, `${verified.stdout}\n${verified.stderr}`).toBe(0);
  expect(await server.stop()).toBe(0);
  report(crew, collections);
}

async function makeCrew(sandbox: Sandbox, url: string): Promise<StormClient[]> {
  const pool = makeLayerPool();
  const crew: StormClient[] = [];
  for (let n = 0; n < clients; n += 1) {
    const directory = join(sandbox.directory, `client-${n}`);
    await mkdir(directory);
    const skopeo =
      n < skopeoClients ? { client: await createClient("skopeo", directory), directory } : null;
    crew.push(
      new StormClient({ name: `w${n}`, http: new PushClient(url), pool, seed: n + 1, skopeo }),
    );
  }
  return crew;
}

/** Every other run with -m. Returns how many there were. */
async function collectUntil(sandbox: Sandbox, deadline: number): Promise<number> {
  let runs = 0;
  while (performance.now() < deadline) {
    const flags = runs % 2 === 0 ? [] : ["-m"];
    const result = await sandbox.command("garbage-collect", ...flags);
    expect(result.exitCode, `${result.stdout}\n${result.stderr}`).toBe(0);
    runs += 1;
  }
  return runs;
}

async function expectOnlyNeeded(sandbox: Sandbox, needed: readonly string[]): Promise<void> {
  const deadline = performance.now() + (graceSeconds + 5) * 1000;
  for (;;) {
    const result = await sandbox.command("garbage-collect", "-m", "--grace", "0s");
    expect(result.exitCode, `${result.stdout}\n${result.stderr}`).toBe(0);
    const stored = await storedDigests(sandbox);
    // Less than what is needed can never become right again.
    expect(needed.filter((digest) => !stored.includes(digest))).toEqual([]);
    if (stored.length === needed.length || performance.now() > deadline) {
      expect(stored).toEqual([...needed]);
      return;
    }
    await Bun.sleep(500);
  }
}

function report(crew: readonly StormClient[], collections: number): void {
  const sum = (of: (client: StormClient) => number): number =>
    crew.reduce((total, client) => total + of(client), 0);
  const pushes = sum((client) => client.counts.pushes);
  const retried = sum((client) => client.http.retriedPushes);
  console.log(
    `storm: ${pushes} pushes (${retried} begun again, ${sum((w) => w.http.busyAnswers)} x 503), ` +
      `${sum((w) => w.counts.deletions)} deletions, ${sum((w) => w.counts.pulls)} pulls, ` +
      `${collections} collections`,
  );
  // A storm that did nothing would prove nothing.
  expect(pushes).toBeGreaterThan(clients);
  expect(collections).toBeGreaterThan(1);
  expect(retried).toBeLessThanOrEqual(Math.ceil(pushes * retriedShareMax));
}
