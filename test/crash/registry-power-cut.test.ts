// The power fails while images are pushed, deleted and collected: whatever was not fsynced is gone, or
// there, or torn. INV-1 to INV-4 hold afterwards, and what was acknowledged; INV-9 for lost bytes is in
// registry-lost-bytes.test.ts. Exhaustive: after every call that changes the disk or the index, and at
// every turn of the event loop. The disk is power-cut-storage.ts, in memory.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { dieAtEach } from "./memory-death.ts";

setDefaultTimeout(600_000);

describe("the power fails, and everything that was not fsynced is lost", () => {
  const how = { loses: "all", when: "after" } as const;

  test("after each change of the storage", async () => {
    expect(await dieAtEach({ ...how, of: "storage" })).toBeGreaterThan(200);
  });

  test("after each change of the index", async () => {
    expect(await dieAtEach({ ...how, of: "index" })).toBeGreaterThan(80);
  });
});

describe("the power fails, and chance decides over what was not fsynced", () => {
  test("at each turn of the event loop, in the middle of a call", async () => {
    const deaths = await dieAtEach({ of: "turn", when: "after", loses: "by chance" });
    expect(deaths).toBeGreaterThan(100);
  });
});
