import { describe, expect, test } from "bun:test";
import { digestOf, parseRepositoryName } from "../oci/index.ts";
import type { Pull, PullIndex } from "./ports/index.ts";
import { PullLog } from "./pull-log.ts";

const hourMs = 3_600_000;
const repository = parseRepositoryName("a");
const digest = (n: number): Pull["digest"] => digestOf(new TextEncoder().encode(`${n}`));

class FakeIndex implements Pick<PullIndex, "recordPulls"> {
  readonly batches: (readonly Pull[])[] = [];
  fails = false;
  /** Runs while a batch is being written. */
  meanwhile: () => void = () => undefined;

  async recordPulls(pulls: readonly Pull[]): Promise<null> {
    await Promise.resolve();
    this.meanwhile();
    if (this.fails) throw new Error("the disk is full");
    this.batches.push(pulls);
    return null;
  }

  get written(): Pull[] {
    return this.batches.flat();
  }
}

function logOf() {
  const index = new FakeIndex();
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs };
  const told: string[] = [];
  const reports = {
    info: (message: string) => void told.push(message),
    error: (message: string) => void told.push(message),
  };
  return { index, clock, told, log: new PullLog({ index, clock, reports }) };
}

describe("noting pulls", () => {
  test("one write for a manifest and an hour", async () => {
    const { index, clock, log } = logOf();
    for (let n = 0; n < 100; n++) log.note(repository, digest(1));
    await log.settle();
    clock.nowMs += hourMs - 1;
    log.note(repository, digest(1));
    await log.settle();
    expect(index.written).toEqual([{ repository, digest: digest(1), pulledAtMs: 1_000_000 }]);
    clock.nowMs += 1;
    log.note(repository, digest(1));
    await log.settle();
    expect(index.written).toHaveLength(2);
    await log.stop();
  });

  test("waits until it is written, and says so", async () => {
    const { log } = logOf();
    expect(log.isWaiting(repository, digest(1))).toBe(false);
    log.note(repository, digest(1));
    expect(log.isWaiting(repository, digest(1))).toBe(true);
    expect(log.isWaiting(repository, digest(2))).toBe(false);
    await log.settle();
    expect(log.isWaiting(repository, digest(1))).toBe(false);
    await log.stop();
  });

  test("a clean stop writes everything, in batches", async () => {
    const { index, log } = logOf();
    for (let n = 0; n < 450; n++) log.note(repository, digest(n));
    await log.stop();
    expect(index.batches.map((batch) => batch.length)).toEqual([200, 200, 50]);
    expect(new Set(index.written.map((pull) => pull.digest)).size).toBe(450);
  });

  test("what is noted while a batch is written is not lost", async () => {
    const { index, clock, log } = logOf();
    log.note(repository, digest(1));
    index.meanwhile = () => {
      index.meanwhile = () => undefined;
      clock.nowMs += hourMs;
      log.note(repository, digest(1));
      log.note(repository, digest(2));
    };
    await log.settle();
    await log.settle();
    expect(index.written.map(({ pulledAtMs }) => pulledAtMs - 1_000_000)).toEqual([
      0,
      hourMs,
      hourMs,
    ]);
    await log.stop();
  });

  test("pulls that go on keep nobody waiting who wants those before written", async () => {
    const { index, log } = logOf();
    let n = 0;
    index.meanwhile = () => {
      for (let more = 0; more < 300; more++) log.note(repository, digest(n++));
    };
    for (; n < 250; n++) log.note(repository, digest(n));
    await log.settle();
    expect(index.batches.length).toBe(2);
    index.meanwhile = () => undefined;
    await log.stop();
    expect(index.written).toHaveLength(n);
  });

  test("a failure is told once, keeps what was noted, and does not throw", async () => {
    const { index, told, log } = logOf();
    index.fails = true;
    log.note(repository, digest(1));
    await log.settle();
    await log.settle();
    expect(told).toEqual(["pull times could not be written; trying again"]);
    expect(log.isWaiting(repository, digest(1))).toBe(true);
    index.fails = false;
    await log.settle();
    expect(index.written).toHaveLength(1);
    await log.stop();
  });

  test("memory is bounded while nothing can be written; what is dropped is counted and told", async () => {
    const { index, told, log } = logOf();
    index.fails = true;
    for (let n = 0; n < 20_007; n++) log.note(repository, digest(n));
    await log.settle();
    index.fails = false;
    await log.settle();
    expect(index.written).toHaveLength(20_000);
    expect(told.at(-1)).toBe("7 pulls were not noted while pull times could not be written");
    // They are noted when they are pulled again.
    log.note(repository, digest(20_006));
    await log.stop();
    expect(index.written.at(-1)?.digest).toBe(digest(20_006));
  });

  test("many manifests an hour: a few are written again rather than memory growing", async () => {
    const { index, log } = logOf();
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 60_000; n++) {
        log.note(repository, digest(n));
        if (n % 5_000 === 0) await log.settle();
      }
    }
    await log.stop();
    expect(index.written.length).toBeGreaterThanOrEqual(60_000);
    expect(index.written.length).toBeLessThanOrEqual(120_000);
  });
});
