// The fuzzer: a few seconds of each kind of registry, at every run. The long form is of as many requests as
// FUZZ_REQUESTS says, divided among them; FUZZ_SEED gives a run's choices back. docs/reliability.md
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";
import { fuzzSeed } from "./chance.ts";
import { drive, type Kept, type Outcome } from "./drive.ts";
import { digestOf } from "./manifests.ts";
import { footprintOf, settled } from "../support/footprint.ts";
import { LogWatch, strayFiles } from "./surroundings.ts";
import { heapObjects, startTarget, type Target, targetNames, verified } from "./targets.ts";

const requests = Number(process.env["FUZZ_REQUESTS"] ?? 0);
/** Of each registry, where nothing else is asked for: so long, and so many at least. */
const secondsEach = 4;
const requestsMin = 1_200;
/**
 * What a registry may hold once it is at rest, however many requests there were. (It starts with 80 to 90;
 * a heap that has held 200,000 brackets and bodies of 4 MiB stays at some 200.)
 */
const residentMiBMax = 320;
/** Of those that something still refers to: 80,000 at the start, and what caches of bounded size hold. */
const objectsMax = 300_000;
/** Files that a registry keeps open may be a few more than at its start. */
const moreDescriptorsMax = 24;

setDefaultTimeout(24 * 3_600_000);

const seed = fuzzSeed();
console.log(`FUZZ_SEED=${seed}`);

for (const [n, name] of targetNames.entries()) {
  test(`whatever is sent to a registry (${name}), it stays sound`, async () => {
    await using target = await startTarget(name);
    const log = new LogWatch(join(target.outer, "server.log"));
    const before = await footprintOf(target.server.pid);
    const outcome = await fuzzed(target, log, seed + n);
    tell(name, outcome);
    expect(outcome.requests).toBeGreaterThanOrEqual(requestsMin);
    // It went deep, and not only against the door.
    expect(outcome.statuses.get(200) ?? 0).toBeGreaterThan(outcome.requests / 50);

    const objects = await heapObjects(target);
    const after = await settled(
      target.server.pid,
      ({ residentMiB, descriptors }) =>
        residentMiB < residentMiBMax && descriptors <= before.descriptors + moreDescriptorsMax,
      20_000,
    );
    const footprints = `before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`;
    console.log(`${name}: ${footprints}, ${objects} objects`);
    expect(objects).toBeLessThan(objectsMax);
    expect(after.residentMiB).toBeLessThan(residentMiBMax);
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + moreDescriptorsMax);

    await expectKept(target, outcome.kept);
    expect(await target.server.stop()).toBe(0);
    expect(await log.problems()).toEqual([]);
    expect(log.lines).toBeGreaterThan(outcome.plain);
    expect(await strayFiles(target.outer, target.root)).toEqual([]);
    expect(await verified(target)).toBe("in order");
  });
}

/** In rounds, so that the log is read while it grows, and memory can be seen to stay. */
async function fuzzed(target: Target, log: LogWatch, from: number): Promise<Outcome> {
  if (requests === 0) {
    const notBeforeMs = performance.now() + secondsEach * 1_000;
    return await drive(target, from, { requests: requestsMin, notBeforeMs });
  }
  const share = Math.ceil(requests / targetNames.length);
  const all: Outcome = { requests: 0, plain: 0, statuses: new Map(), kept: [] };
  for (let round = 0; all.requests < share; round += 1) {
    const budget = { requests: Math.min(20_000, share - all.requests), notBeforeMs: 0 };
    const outcome = await drive(target, from + round * 104_729, budget);
    all.requests += outcome.requests;
    all.plain += outcome.plain;
    all.kept.push(...outcome.kept);
    for (const [status, count] of outcome.statuses) {
      all.statuses.set(status, (all.statuses.get(status) ?? 0) + count);
    }
    expect(await log.problems()).toEqual([]);
    const { residentMiB, descriptors } = await footprintOf(target.server.pid);
    console.log(`${target.name}: ${all.requests}, ${residentMiB} MiB, ${descriptors} descriptors`);
  }
  return all;
}

function tell(name: string, { requests: sent, plain, statuses, kept }: Outcome): void {
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`);
  console.log(
    `${name}: ${sent} requests, ${plain} whole; ${counts.join(", ")}; ${kept.length} kept`,
  );
}

async function expectKept(target: Target, kept: readonly Kept[]): Promise<void> {
  const headers = target.keeper === null ? {} : { Authorization: target.keeper };
  const base = `${target.server.url}${target.rules.prefix}/v2`;
  for (const { repository, manifest, blobs } of kept) {
    const wanted = [
      [`${base}/${repository}/manifests/${digestOf(manifest)}`, manifest],
      ...blobs.map((blob) => [`${base}/${repository}/blobs/${digestOf(blob)}`, blob] as const),
    ] as const;
    for (const [url, bytes] of wanted) {
      const answer = await fetch(url, { headers });
      expect([url, answer.status]).toEqual([url, 200]);
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0);
    }
  }
}
