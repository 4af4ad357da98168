// The process dies at its n-th change of the storage or of the index, for every n. Exhaustive, and in
// memory: no process is killed for it; at the death every further call fails, and all but disk and index
// is made anew. registry-death-on-disk.test.ts does the same on a real disk with a real index, for a
// sample; registry-kill.test.ts kills real processes. INV-1 to INV-4 hold afterwards, and so does what
// was acknowledged; clients and collections go on.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { dieAtEach } from "./memory-death.ts";

setDefaultTimeout(600_000);

describe("the process dies", () => {
  test("after each change of the storage", async () => {
    const deaths = await dieAtEach({ of: "storage", when: "after", loses: "nothing" });
    expect(deaths).toBeGreaterThan(200);
  });

  test("before each change of the index", async () => {
    const deaths = await dieAtEach({ of: "index", when: "before", loses: "nothing" });
    expect(deaths).toBeGreaterThan(80);
  });

  test("after each change of the index", async () => {
    const deaths = await dieAtEach({ of: "index", when: "after", loses: "nothing" });
    expect(deaths).toBeGreaterThan(80);
  });
});
