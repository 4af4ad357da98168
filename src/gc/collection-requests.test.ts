// Requests for collections that nobody waits for, and what is seen of a run meanwhile.
import { describe, expect, test } from "bun:test";
import { repository, World } from "../../test/race/world.ts";
import type { CollectionEvent, CollectOptions } from "./collection-events.ts";
import { CollectionRequests } from "./collection-requests.ts";
import { Collector } from "./collector.ts";

const options: CollectOptions = {
  dryRun: false,
  untagged: false,
  full: false,
  foreignGraceMs: 0,
  askedBy: { kind: "api", user: "someone" },
  listing: "nothing",
};

function setUp(agreed: (signal: AbortSignal) => Promise<void> = () => Promise.resolve()) {
  const world = new World();
  const warnings: string[] = [];
  const { collector } = world;
  const log = { warn: (message: string) => void warnings.push(message) };
  return { world, warnings, requests: new CollectionRequests({ collector, agreed, log }) };
}

async function whenOver(requests: CollectionRequests): Promise<void> {
  while (requests.isAsked) await new Promise((resolve) => setImmediate(resolve));
}

describe("a request for a collection", () => {
  test("is carried out once index and tree agree; until then there is no second one", async () => {
    const agreed = Promise.withResolvers<void>();
    const { world, requests } = setUp(() => agreed.promise);
    await world.pushBlob(repository, "left");
    world.nowMs += 10 * 3_600_000;
    expect(requests.start(options)).toBe(true);
    expect(requests.start(options)).toBe(false);
    for (let n = 0; n < 100; n++) await new Promise((resolve) => setImmediate(resolve));
    const { monitor } = world.collector;
    expect([requests.isAsked, monitor.current, monitor.last]).toEqual([true, null, null]);
    agreed.resolve();
    await whenOver(requests);
    expect(world.collector.monitor.last).toMatchObject({ report: { blobs: 1, completed: true } });
    expect(requests.start(options)).toBe(true);
    await whenOver(requests);
  });

  test("that waits is given up when it is stopped, and when the process stops", async () => {
    const { requests, warnings } = setUp(
      (signal) =>
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
    requests.start(options);
    await Promise.resolve();
    await requests.stop();
    expect([requests.isAsked, requests.start(options), warnings]).toEqual([false, false, []]);
  });

  test("that fails as a whole is said in the log, and by the monitor", async () => {
    const { world, requests, warnings } = setUp();
    const broken = new Collector({
      ...world.parts,
      index: {
        ...world.index,
        listCondemned: () => Promise.reject(new Error("the disk is away")),
      },
    });
    const failing = new CollectionRequests({
      collector: broken,
      agreed: () => Promise.resolve(),
      log: { warn: (message) => void warnings.push(message) },
    });
    failing.start(options);
    await whenOver(failing);
    expect(warnings).toEqual(["the collection that was asked for failed: the disk is away"]);
    expect(broken.monitor.last).toMatchObject({ failure: "the disk is away" });
    expect(broken.monitor.current).toBeNull();
    expect(requests.isAsked).toBe(false);
  });
});

describe("what is seen of a run", () => {
  test("is how far it has come, whoever asked, and then its report", async () => {
    const { world } = setUp();
    for (const content of ["one", "two"]) await world.pushBlob(repository, content);
    world.nowMs += 10 * 3_600_000;
    const { collector } = world;
    const seen: unknown[] = [];
    const observer = ({ kind }: CollectionEvent): void => {
      if (kind === "blob-removed") seen.push(collector.monitor.current);
    };
    const before = collector.monitor.changes;
    const report = await collector.collect(
      { ...options, askedBy: { kind: "command", user: "me" } },
      observer,
    );
    const common = { askedBy: "command", user: "me", expected: { blobs: 2, bytes: 6 } };
    expect(seen).toMatchObject([
      { ...common, blobs: 1, bytes: 3 },
      { ...common, blobs: 2, bytes: 6 },
    ]);
    expect(collector.monitor.last).toEqual({ report });
    expect(collector.monitor.current).toBeNull();
    expect(collector.monitor.changes).toBeGreaterThan(before);
  });

  test("a run is stopped between two batches, and says by whose wish", async () => {
    const { world } = setUp();
    for (let n = 0; n < 250; n++) await world.pushBlob(repository, `blob ${n}`);
    world.nowMs += 10 * 3_600_000;
    const { collector } = world;
    expect(collector.stopRun()).toBe(false);
    const report = await collector.collect(options, ({ kind }) => {
      if (kind === "blob-removed") expect(collector.stopRun()).toBe(true);
    });
    expect(report).toMatchObject({ stopped: "asked", completed: false, ok: false });
    expect(report.blobs).toBeGreaterThan(0);
    expect(report.blobs).toBeLessThan(250);
    expect((await collector.collect(options, () => undefined)).blobs).toBe(250 - report.blobs);
  });
});
