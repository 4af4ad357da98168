// Garbage collection over the API: begun, watched, stopped, looked back at; refused where it may not be.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytesOf, digestOf, makeImage } from "../../support/images.ts";
import { RawConnection } from "../harness.ts";
import { type Served, type ServedOptions, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

interface Status {
  readonly state: "idle" | "waiting" | "running";
  readonly current: { readonly blobs: number; readonly askedBy: string } | null;
  readonly last: {
    readonly report: {
      readonly blobs: number;
      readonly bytes: number;
      readonly completed: boolean;
      readonly stopped: string | null;
      readonly dryRun: boolean;
      readonly restorable: { readonly count: number };
      readonly untaggedKept: { readonly count: number };
    } | null;
  } | null;
}

interface Told {
  readonly event: string;
  readonly status: Status;
}

const image = makeImage("collected", [1000, 2000]);

/** Pushes an image and deletes it again. */
async function leaveGarbage(served: Served, repository = "app"): Promise<void> {
  await served.push.push(repository, "x", image);
  await served.push.deleteManifest(repository, image.manifest.digest);
}

/** As many blobs that nothing refers to, whose leases are over at once. */
async function pushUnreferenced(served: Served, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const bytes = randomBytesOf(`blob ${n}`, 100);
    await served.push.pushBlob("blobs", { mediaType: "x/y", digest: digestOf(bytes), bytes });
  }
}

async function whenIdle(served: Served): Promise<Status> {
  for (;;) {
    const status = await served.get<Status>("/collection");
    if (status.state === "idle") return status;
    await Bun.sleep(20);
  }
}

/** Reads events as they come; each status is held against the description. */
async function* events(served: Served, signal: AbortSignal): AsyncGenerator<Told> {
  const response = await fetch(`${served.origin}/api/v1/collection/events`, { signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(response.headers.get("x-accel-buffering")).toBe("no");
  if (response.body === null) throw new Error("no body");
  let rest = "";
  const decoder = new TextDecoder();
  const body: AsyncIterable<Uint8Array> = response.body;
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const match = /^event: (\w+)\ndata: (.*)$/.exec(part);
      if (match === null) throw new Error(`no event: ${part}`);
      const status = JSON.parse(match[2] ?? "") as Status;
      served.description.checkAs("CollectionStatus", status);
      yield { event: match[1] ?? "", status };
    }
  }
}

describe("a collection", () => {
  test("is begun, and says what came of it, there and in the history", async () => {
    await using served = await startServed({ more: { gc: { enabled: false, keepdeleted: "0s" } } });
    await leaveGarbage(served);
    const begun = await served.post("/collection/start", {});
    expect(begun.status).toBe(202);
    expect(((await begun.json()) as Status).state).not.toBe("idle");
    const { last } = await whenIdle(served);
    expect(last?.report).toMatchObject({ blobs: 4, completed: true, stopped: null, dryRun: false });
    const runs = await served.get<{ items: object[] }>("/collection/runs");
    expect(runs.items).toMatchObject([
      { id: 1, askedBy: "api", user: "127.0.0.1", blobs: 4, isOver: true, stopped: null },
    ]);
    expect(await served.get<object>("/")).toMatchObject({
      isCollecting: false,
      lastCollection: { id: 1 },
      totals: { blobs: 0, bytes: 0 },
    });
  });

  test("leaves what can be restored, as configured, unless it is told otherwise", async () => {
    await using served = await startServed();
    await leaveGarbage(served);
    await served.post("/collection/start");
    const kept = await whenIdle(served);
    expect(kept.last?.report).toMatchObject({ blobs: 0, restorable: { count: 1 } });
    await served.post("/collection/start", { keepDeletedSeconds: 0 });
    expect((await whenIdle(served)).last?.report).toMatchObject({ blobs: 4 });
  });

  test("a dry run says what would go, and nothing goes", async () => {
    await using served = await startServed();
    await leaveGarbage(served);
    await served.post("/collection/start", { dryRun: true, keepDeletedSeconds: 0 });
    const { last } = await whenIdle(served);
    expect(last?.report).toMatchObject({ dryRun: true, blobs: 4 });
    expect(await served.get<object>("/")).toMatchObject({ totals: { blobs: 4 } });
    expect(await served.get<object>("/collection/runs")).toEqual({ items: [], next: null });
  });

  test("the history comes in pages, the youngest first", async () => {
    await using served = await startServed();
    for (let n = 0; n < 5; n++) {
      await served.post("/collection/start");
      await whenIdle(served);
    }
    const ids: number[][] = [];
    let at: string | null = "/collection/runs?limit=2";
    while (at !== null) {
      const page: { items: { id: number }[]; next: string | null } = await served.get(at);
      ids.push(page.items.map(({ id }) => id));
      at = page.next?.replace(/^\/api\/v1/, "") ?? null;
      // A run that comes meanwhile moves nothing.
      await served.post("/collection/start");
      await whenIdle(served);
    }
    expect(ids).toEqual([[5, 4], [3, 2], [1]]);
  });
});

describe("one that takes its time", () => {
  const atOnce: ServedOptions = {
    more: { gc: { enabled: false, grace: "0s", keepdeleted: "0s" } },
  };

  test("is watched as it goes, by several, until its end", async () => {
    await using served = await startServed(atOnce);
    await pushUnreferenced(served, 120);
    const hangUp = new AbortController();
    const watch = async (): Promise<Told[]> => {
      const told: Told[] = [];
      for await (const one of events(served, hangUp.signal)) {
        told.push(one);
        if (told.length === 1) watching.resolve();
        if (one.event === "ended") return told;
      }
      throw new Error("the stream ended first");
    };
    const watching = Promise.withResolvers<void>();
    const both = [watch(), watch()];
    await watching.promise;
    await served.post("/collection/start");
    for (const told of await Promise.all(both)) {
      expect(told[0]).toMatchObject({ event: "status", status: { state: "idle", last: null } });
      expect(told.at(-1)?.status.last?.report).toMatchObject({ blobs: 120, completed: true });
    }
    hangUp.abort();
  });

  test("in the background, is followed and stopped, and the rest stays for the next", async () => {
    const slowly = { enabled: true, interval: "1s", grace: "0s", keepdeleted: "0s", maxrate: 50 };
    await using served = await startServed({ more: { gc: slowly } });
    await pushUnreferenced(served, 300);
    const hangUp = new AbortController();
    for await (const { event, status } of events(served, hangUp.signal)) {
      if (status.current !== null) {
        expect(status).toMatchObject({ state: "running", current: { askedBy: "background" } });
        // Not before something has gone. It may be over by now: then there will be another.
        if (status.current.blobs === 0) continue;
        expect([202, 409]).toContain((await served.post("/collection/stop")).status);
      }
      if (event === "ended" && status.last?.report?.stopped === "asked") break;
    }
    hangUp.abort();
    const { totals } = await served.get<{ totals: { blobs: number } }>("/");
    expect(totals.blobs).toBeGreaterThan(0);
    expect(totals.blobs).toBeLessThan(300);
  });

  test("a stream whose client goes away costs nothing more", async () => {
    await using served = await startServed(atOnce);
    const port = Number(new URL(served.origin).port);
    // 100 are served at once, so more than that show that those before were given up.
    for (let round = 0; round < 3; round++) {
      const connections = await Promise.all(
        Array.from({ length: 90 }, async () => {
          const connection = await RawConnection.open(port);
          connection.send("GET /api/v1/collection/events HTTP/1.1\r\nHost: a\r\n\r\n");
          return connection;
        }),
      );
      // They have all been heard when the next request is answered.
      while ((await served.ask("/collection")).status !== 200) await Bun.sleep(10);
      for (const connection of connections) connection.destroy();
      await Bun.sleep(300);
    }
    const hangUp = new AbortController();
    for await (const { event } of events(served, hangUp.signal)) {
      expect(event).toBe("status");
      break;
    }
    hangUp.abort();
  });

  test("more streams than are served get 503, and a stop of the server ends them", async () => {
    const served = await startServed(atOnce);
    const streams = await Promise.all(
      Array.from({ length: 100 }, () => fetch(`${served.origin}/api/v1/collection/events`)),
    );
    const refused = await served.ask("/collection/events");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "10"]);
    const begunMs = performance.now();
    const ends = streams.map((stream) => stream.text());
    await served[Symbol.asyncDispose]();
    // Without the drain timeout (1 s), which is for requests that end by themselves.
    expect(performance.now() - begunMs).toBeLessThan(900);
    for (const text of await Promise.all(ends)) expect(text).toStartWith("event: status\n");
  });
});

describe("what may not be", () => {
  const codeOf = async (response: Response): Promise<string> =>
    ((await response.json()) as { error: { code: string } }).error.code;

  test("in read-only mode only a dry run", async () => {
    await using served = await startServed({ readOnly: true });
    const refused = await served.post("/collection/start", {});
    expect([refused.status, await codeOf(refused)]).toEqual([403, "READ_ONLY"]);
    expect((await served.post("/collection/start", { dryRun: true })).status).toBe(202);
    await whenIdle(served);
    const repair = await served.post("/verification/start", { repair: true });
    expect([repair.status, await codeOf(repair)]).toEqual([403, "READ_ONLY"]);
  });

  test("with deleting disabled nothing that removes manifests", async () => {
    await using served = await startServed({ deletes: false });
    const refused = await served.post("/collection/start", { untagged: true });
    expect([refused.status, await codeOf(refused)]).toEqual([403, "DELETE_DISABLED"]);
    expect((await served.post("/collection/start", {})).status).toBe(202);
    await whenIdle(served);
  });

  test("nothing to stop, and a second request while one is not over", async () => {
    await using served = await startServed();
    const nothing = await served.post("/collection/stop");
    expect([nothing.status, await codeOf(nothing)]).toEqual([409, "NOTHING_TO_STOP"]);
    const both = await Promise.all([
      served.post("/collection/start"),
      served.post("/collection/start"),
    ]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([202, 409]);
    await whenIdle(served);
  });
});
