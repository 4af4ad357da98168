import { expect, test } from "bun:test";
import { reportTurns, Turnstile } from "./turnstile.ts";

test("two at a time, the others in their order, and not too many of them", async () => {
  const turnstile = new Turnstile(reportTurns);
  const order: number[] = [];
  let inside = 0;
  const enter = (n: number): Promise<void> =>
    turnstile.pass(async () => {
      inside += 1;
      expect(inside).toBeLessThanOrEqual(2);
      await Bun.sleep(1);
      order.push(n);
      inside -= 1;
      if (n % 3 === 0) throw new Error(`${n} failed`);
    });
  const all = Array.from({ length: 30 }, (_, n) => enter(n));
  const results = await Promise.allSettled(all);
  const refused = results.filter(
    (result) =>
      result.status === "rejected" &&
      String(result.reason).includes("TooManyRequestsError: 20 reports wait"),
  );
  expect(refused).toHaveLength(8);
  expect(order).toEqual(Array.from({ length: 22 }, (_, n) => n));
  // One that failed has left, too.
  await Promise.all([enter(1), enter(2), enter(4)]);
});
