// Verify over the API: begun, looked at, stopped; one at a time.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { truncateSync } from "node:fs";
import { join } from "node:path";
import { makeImage } from "../../support/images.ts";
import { textLike } from "../harness.ts";
import { type Served, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

interface Status {
  readonly current: object | null;
  readonly last: {
    readonly report: { readonly isSound: boolean; readonly blobs: number } | null;
    readonly findings: readonly { readonly kind: string }[];
    readonly findingsCount: number;
    readonly isStopped: boolean;
  } | null;
}

async function whenOver(served: Served): Promise<NonNullable<Status["last"]>> {
  for (;;) {
    const { current, last } = await served.get<Status>("/verification");
    if (current === null && last !== null) return last;
    await Bun.sleep(20);
  }
}

const image = makeImage("verified", [1000, 2000]);

describe("verify", () => {
  test("finds everything in order, and says so", async () => {
    await using served = await startServed();
    await served.push.push("app", "x", image);
    const begun = await served.post("/verification/start", { hash: true });
    expect(begun.status).toBe(202);
    expect(await begun.json()).toMatchObject({
      current: { hash: true, repair: false, user: "127.0.0.1" },
    });
    const again = await served.post("/verification/start");
    expect(again.status).toBe(409);
    expect(await whenOver(served)).toMatchObject({
      report: { isSound: true, blobs: 4 },
      findings: [],
      isStopped: false,
      failure: null,
    });
  });

  test("finds what is broken", async () => {
    await using served = await startServed();
    await served.push.push("app", "x", image);
    const hex = image.layers[0]?.digest.slice("sha256:".length) ?? "";
    const path = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    truncateSync(join(served.root, path), 5);
    await served.post("/verification/start");
    const last = await whenOver(served);
    expect(last.report?.isSound).toBe(false);
    expect(last.findings).toMatchObject([{ kind: "wrong-size", repair: null }]);
    expect(last.findingsCount).toBe(1);
  });

  test("is stopped, if it is not over by then", async () => {
    await using served = await startServed();
    expect((await served.post("/verification/stop")).status).toBe(409);
    await served.post("/verification/start");
    expect([202, 409]).toContain((await served.post("/verification/stop")).status);
    const { report, isStopped } = await whenOver(served);
    expect(isStopped).toBe(report === null);
  });

  test("refuses what makes no sense, and has nothing to do in memory", async () => {
    await using served = await startServed({ inMemory: true });
    const resume = await served.post("/verification/start", { resume: true });
    expect([resume.status, await resume.text()]).toEqual([400, textLike(/give hash as well/)]);
    const nothing = await served.post("/verification/start");
    expect([nothing.status, await nothing.text()]).toEqual([409, textLike(/NOTHING_TO_VERIFY/)]);
    expect(await served.get<object>("/verification")).toEqual({ current: null, last: null });
    expect(await served.get<object>("/")).toMatchObject({
      storage: { driver: "inmemory", rootDirectory: null },
    });
  });
});
