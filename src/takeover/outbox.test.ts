import { describe, expect, test } from "bun:test";
import { Outbox, StoppedError } from "./outbox.ts";

/** Whether a promise has settled once everything that can go on has gone on. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  const late = new Promise((resolve) => setImmediate(() => resolve(pending)));
  return (await Promise.race([promise.catch(() => undefined), late])) === pending;
}

describe("Outbox", () => {
  test("at most three batches are under way; the next waits until one is taken", async () => {
    const posted: number[] = [];
    const outbox = new Outbox<number>((n) => posted.push(n));
    for (const n of [1, 2, 3]) await outbox.send(n);
    const fourth = outbox.send(4);
    expect(await isPending(fourth)).toBe(true);
    expect(posted).toEqual([1, 2, 3]);
    outbox.taken();
    await fourth;
    expect(posted).toEqual([1, 2, 3, 4]);
  });

  test("is settled when all have been taken", async () => {
    const outbox = new Outbox<number>(() => undefined);
    await outbox.send(1);
    await outbox.send(2);
    const settled = outbox.settle();
    outbox.taken();
    expect(await isPending(settled)).toBe(true);
    outbox.taken();
    await settled;
  });

  test("a stop reaches whoever waits, and whoever comes later", async () => {
    const outbox = new Outbox<number>(() => undefined);
    await outbox.send(1);
    const settled = outbox.settle();
    outbox.stop();
    const isStopped = (error: unknown): boolean => error instanceof StoppedError;
    expect(await settled.then(() => false, isStopped)).toBe(true);
    expect(await outbox.send(2).then(() => false, isStopped)).toBe(true);
  });
});
