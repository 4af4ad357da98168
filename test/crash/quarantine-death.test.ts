// A quarantine that dies, with its process or with the power, before and after each of its steps. What is
// found afterwards: altered bytes still where a fact speaks of them, so that the next look finds them
// again, or moved away with or without the fact, which heals (INV-9). Never altered bytes without a fact:
// the next comparison would take those in. And they are never lost.
import { describe, expect, test } from "bun:test";
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import { digestOf } from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import { Quarantine } from "../../src/registry/quarantine.ts";
import { blobDataPath, quarantinePath } from "../../src/storage/layout.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { FaultyStorage } from "../support/faulty-storage.ts";
import { PowerCutStorage } from "../support/power-cut-storage.ts";
import { imageA, multi } from "./content.ts";
import { checkInvariants, checkPull } from "./check-world.ts";
import { DyingIndex } from "./dying-index.ts";
import { Journal } from "./journal.ts";
import { runSteps } from "./run-steps.ts";
import { everything } from "./steps.ts";
import { createWorld, TestClock } from "./world.ts";

const bad = new TextEncoder().encode("not what was pushed");
const badDigest = digestOf(bad);

interface Death {
  readonly of: "storage" | "index";
  readonly at: number;
  readonly when: "before" | "after";
  readonly power: "stays" | "all is lost" | "by chance";
}

const victims = { layer: imageA.blobs[0], manifest: imageA.digest, index: multi.digest } as const;

const deaths: Death[] = [
  { of: "storage", at: 1 },
  { of: "storage", at: 2 },
  { of: "index", at: 1 },
].flatMap((step) =>
  (["before", "after"] as const).flatMap((when) =>
    (["stays", "all is lost", "by chance"] as const).map((power) => ({
      ...step,
      of: step.of as Death["of"],
      when,
      power,
    })),
  ),
);

for (const [what, victim] of Object.entries(victims)) {
  if (victim === undefined) throw new Error("there is one");
  describe(`a quarantine of a ${what}`, () => {
    for (const death of deaths) {
      const { of, at, when, power } = death;
      test(`dies ${when} change ${at} of the ${of}, the power ${power}`, async () => {
        const index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
        const disk = diskOf(death);
        const clock = new TestClock();
        const before = createWorld({ index, storage: disk.storage, clock });
        await runSteps(before, everything, new Journal());
        await before.follower.catchUp();
        await disk.storage.putFile(blobDataPath(victim), bad);

        const fault = { kind: "throw", at, when } as const;
        const storage = new FaultyStorage(disk.storage, of === "storage" ? fault : null);
        const dying = new DyingIndex(index, of === "index" ? fault : null, storage);
        const quarantine = new Quarantine({ index: dying.index, storage, locks: new KeyedLocks() });
        expect(quarantine.check(victim)).rejects.toThrow("dead");
        expect(dying.isDead).toBe(true);

        const found = await disk.die();
        const there = await digestAt(found, blobDataPath(victim));
        const kept = await digestAt(found, quarantinePath(victim, 1));
        expect([there, kept].filter((digest) => digest === badDigest)).toHaveLength(1);
        if (there !== null) expect(await index.findBlobAnywhere(victim)).not.toBeNull();

        await expectQuarantinedAndMended({ index, storage: found, clock }, victim);
      });
    }
  });
}

type After = { readonly index: Index; readonly storage: Storage; readonly clock: TestClock };

/** The next look quarantines what the one before did not get to, and the next push of everything mends. */
async function expectQuarantinedAndMended(
  { index, storage, clock }: After,
  victim: (typeof victims)["manifest"],
): Promise<void> {
  await new Quarantine({ index, storage, locks: new KeyedLocks() }).check(victim);
  expect(await digestAt(storage, blobDataPath(victim))).toBeNull();
  expect(await digestAt(storage, quarantinePath(victim, 1))).toBe(badDigest);
  const world = createWorld({ index, storage, clock });
  await runSteps(world, everything, new Journal());
  await world.follower.catchUp();
  const wrong = [...(await checkInvariants(world))];
  for (const step of everything) {
    if (step.kind === "put-manifest") wrong.push(...(await checkPull(world, step)));
  }
  expect(wrong).toEqual([]);
  expect(await digestAt(storage, quarantinePath(victim, 1))).toBe(badDigest);
}

async function digestAt(storage: Storage, path: string): Promise<string | null> {
  const bytes = await storage.readSmall(path, Number.POSITIVE_INFINITY);
  return bytes === null ? null : digestOf(bytes);
}

function diskOf({ power, at, when }: Death): { storage: Storage; die: () => Promise<Storage> } {
  if (power === "stays") {
    const storage = new MemoryStorage();
    return { storage, die: () => Promise.resolve(storage) };
  }
  const seed = at * 2 + (when === "before" ? 0 : 1);
  const storage = new PowerCutStorage(power === "by chance" ? { seed } : {});
  return { storage, die: () => storage.powerCut() };
}
