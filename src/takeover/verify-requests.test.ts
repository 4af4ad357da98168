// Requests for verifications that nobody waits for: one at a time, stopped, and what is kept of one.
import { describe, expect, test } from "bun:test";
import type { VerifyEvent } from "./verify-events.ts";
import { type VerifyRequestParts, VerifyRequests } from "./verify-requests.ts";

const options = { hash: true, repair: false, resume: false, user: "someone" };

const finding = {
  kind: "orphan",
  digest: "sha256:1",
  path: "/x",
  detail: "nothing refers to it",
} as never;

function setUp(verify: VerifyRequestParts["verify"]) {
  const warnings: string[] = [];
  let nowMs = 0;
  const requests = new VerifyRequests({
    clock: { now: () => ++nowMs },
    log: { warn: (message) => void warnings.push(message) },
    verify,
  });
  return { requests, warnings };
}

async function whenOver(requests: VerifyRequests): Promise<void> {
  while (requests.current !== null) await new Promise((resolve) => setImmediate(resolve));
}

describe("a request for a verification", () => {
  test("is the only one until it is over, and keeps what it has found, bounded", async () => {
    const go = Promise.withResolvers<void>();
    const report = { isSound: false } as never;
    const { requests } = setUp(async (request, { tell }) => {
      expect(request).toEqual({ hash: true, repair: false, resume: false, progress: true });
      for (let n = 0; n < 150; n++) {
        await tell({ kind: "finding", finding, repair: null } satisfies VerifyEvent);
      }
      await go.promise;
      await tell({ kind: "summary", report } satisfies VerifyEvent);
    });
    expect(requests.start(options)).toBe(true);
    expect(requests.start(options)).toBe(false);
    while (requests.current?.findingsCount !== 150) await Promise.resolve();
    expect(requests.current.findings).toHaveLength(100);
    expect(requests.last).toBeNull();
    go.resolve();
    await whenOver(requests);
    expect(requests.last).toMatchObject({
      report,
      failure: null,
      isStopped: false,
      findingsCount: 150,
    });
    expect(requests.start(options)).toBe(true);
  });

  test("is stopped on request, and when the process stops", async () => {
    const { requests, warnings } = setUp(
      (_request, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            reject(signal.reason);
          });
        }),
    );
    expect(requests.stopRun()).toBe(false);
    requests.start(options);
    await Promise.resolve();
    expect(requests.stopRun()).toBe(true);
    await whenOver(requests);
    expect(requests.last).toMatchObject({ report: null, isStopped: true });
    requests.start(options);
    await Promise.resolve();
    await requests.stop();
    expect([requests.current, requests.start(options), warnings]).toEqual([null, false, []]);
  });

  test("that fails says why", async () => {
    const { requests, warnings } = setUp(() => Promise.reject(new Error("no such directory")));
    requests.start(options);
    await whenOver(requests);
    expect(requests.last).toMatchObject({ failure: "no such directory", isStopped: false });
    expect(warnings).toEqual(["the verification failed: no such directory"]);
  });
});
