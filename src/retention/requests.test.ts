// A run that was asked for over the API, and what ends it.
import { expect, test } from "bun:test";
import { RetentionRequests } from "./requests.ts";

const asked = {
  what: "apply",
  rule: null,
  isWanted: null,
  actor: { caller: "alice", from: "127.0.0.1" },
} as const;

function untilStopped(_work: unknown, _hear: unknown, signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });
}

test("a run that is stopped says why; the next one goes by the rules of then", async () => {
  const seen: unknown[] = [];
  let rules: readonly never[] = [];
  const requests = new RetentionRequests({
    retention: {
      preview: untilStopped,
      apply: async (work, hear, signal) => {
        seen.push(work.rules);
        return await untilStopped(work, hear, signal);
      },
    },
    get rules() {
      return rules;
    },
    clock: { now: () => 5 },
    agreed: () => Promise.resolve(),
    log: { warn: () => undefined },
  });
  const before = rules;
  expect(requests.stopRun()).toBe(false);
  expect(requests.start(asked)).toBe(true);
  await Bun.sleep(1);
  rules = [];
  await requests.rulesChanged();
  expect(requests.current).toBeNull();
  expect(requests.last).toMatchObject({
    report: null,
    failure: "the rules have changed; ask again",
  });
  expect(requests.start(asked)).toBe(true);
  await Bun.sleep(1);
  await requests.stop();
  expect([seen[0] === before, seen[1] === rules]).toEqual([true, true]);
});
