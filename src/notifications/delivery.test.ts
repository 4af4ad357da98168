// One endpoint's loop: order, what is left out, how long it waits, what it says. Time is the test's.
import { afterEach, describe, expect, test } from "bun:test";
import type { EndpointConfig } from "../config/index.ts";
import type { EventIndex, QueuedEvent, RegistryEvent } from "../registry/ports/index.ts";
import { blobNo, repo } from "../../test/contract/index/world.ts";
import { Delivery } from "./delivery.ts";

const event = (n: number, more: Partial<RegistryEvent> = {}): QueuedEvent => ({
  position: n,
  event: {
    id: `id-${n}`,
    atMs: 1_700_000_000_000 + n,
    action: "push",
    what: "blob",
    repository: repo("a"),
    digest: blobNo(n),
    tag: null,
    mediaType: "application/octet-stream",
    sizeBytes: n,
    fromRepository: null,
    origin: null,
    ...more,
  },
});

interface Message {
  readonly id: string;
  readonly headers: Headers;
  readonly event: {
    readonly id: string;
    readonly action: string;
    readonly target: Readonly<Record<string, unknown>>;
    readonly actor: object;
    readonly collection?: object;
  };
}

class World implements Disposable {
  queue: QueuedEvent[] | null = [];
  readonly settled: number[] = [];
  readonly slept: number[] = [];
  readonly messages: Message[] = [];
  readonly said: string[] = [];
  registrations = 0;
  /** How often it cannot be settled. */
  refusals = 0;
  status: (attempt: number) => number = () => 200;
  #attempts = 0;
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { events } = (await request.json()) as { events: [Message["event"]] };
      this.#attempts += 1;
      const status = this.status(this.#attempts);
      if (status < 300) {
        const [sent] = events;
        this.messages.push({ id: sent.id, headers: request.headers, event: sent });
      }
      const headers = status === 301 ? { Location: "/elsewhere" } : undefined;
      return new Response("", { status, ...(headers && { headers }) });
    },
  });

  /** Runs until it has slept so many times. */
  async run(sleeps: number, more: Partial<EndpointConfig> = {}): Promise<void> {
    const enough = Promise.withResolvers<void>();
    const index: EventIndex = {
      setEventEndpoints: () => Promise.resolve(false),
      forgetEvents: () => Promise.resolve(false),
      queueEvents: () => Promise.resolve(true),
      nextEvents: () => Promise.resolve(this.queue?.slice(0, 100) ?? null),
      settleEvents: (_name, { position: upTo }) => {
        if (this.refusals-- > 0) return Promise.reject(new Error("busy"));
        this.settled.push(upTo);
        this.queue = this.queue?.filter(({ position }) => position > upTo) ?? null;
        return Promise.resolve();
      },
    };
    const delivery = new Delivery(
      {
        index,
        source: { addr: "r:5000", instanceId: "i" },
        register: () => {
          this.registrations += 1;
          this.queue = [];
          return Promise.resolve();
        },
        referencesOf: (digest) =>
          digest === blobNo(9) ? Promise.reject(new Error("odd")) : Promise.resolve([{ digest }]),
        log: {
          info: (text) => void this.said.push(text),
          warn: (text) => void this.said.push(text),
        },
        sleep: async (ms, signal) => {
          this.slept.push(ms);
          if (this.slept.length < sleeps) return;
          enough.resolve();
          // Until it is stopped.
          await new Promise((resolve) => {
            signal.addEventListener("abort", resolve);
          });
        },
      },
      {
        name: "one",
        url: `http://me:pass%20word@127.0.0.1:${this.#server.port}/hook`,
        headers: { "X-One": ["a", "b"] },
        timeoutMs: 1_000,
        threshold: 3,
        backoffMs: 1_000,
        ignoredMediaTypes: [],
        ignoredActions: [],
        includedActions: [],
        includesReferences: false,
        mediaType: "application/x",
        ...more,
      },
    );
    delivery.start();
    await enough.promise;
    await delivery.stop();
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

let world = new World();
afterEach(() => {
  world[Symbol.dispose]();
  world = new World();
});

describe("a delivery", () => {
  test("sends in order, with the headers that are asked for, and settles what was sent", async () => {
    world.queue = [event(1), event(2), event(5)];
    await world.run(1);
    expect(world.messages.map(({ id }) => id)).toEqual(["id-1", "id-2", "id-5"]);
    expect(world.settled).toEqual([5]);
    const { headers } = world.messages[0] ?? { headers: new Headers() };
    expect(headers.get("content-type")).toBe("application/x");
    expect(headers.get("x-one")).toBe("a, b");
    expect(headers.get("authorization")).toBe(`Basic ${btoa("me:pass word")}`);
  });

  test("leaves out what is ignored, and settles it all the same", async () => {
    world.queue = [
      event(1, { action: "pull" }),
      event(2, { mediaType: "a/b" }),
      event(3, { action: "delete", mediaType: null }),
    ];
    await world.run(1, { ignoredActions: ["pull"], ignoredMediaTypes: ["a/b"] });
    expect(world.messages.map(({ id }) => id)).toEqual(["id-3"]);
    expect(world.settled).toEqual([3]);
  });

  test("what the classic does not know comes only to who asks for it; what is restored, to others as a push", async () => {
    const run = { run: 7, blobs: 3 };
    const collect = {
      action: "collect",
      what: "run",
      repository: null,
      mediaType: null,
      run,
    } as const;
    world.queue = [
      event(1, { action: "restore", what: "manifest" }),
      event(2, { ...collect, actor: "collector" }),
    ];
    const queue = [...world.queue];
    await world.run(1);
    expect(world.messages.map(({ id, event: { action } }) => [id, action])).toEqual([
      ["id-1", "push"],
    ]);
    expect(world.settled).toEqual([2]);
    world[Symbol.dispose]();
    world = new World();
    world.queue = queue;
    await world.run(1, { includedActions: ["restore", "collect"] });
    expect(world.messages.map((one) => one.event.action)).toEqual(["restore", "collect"]);
    expect(world.messages[1]?.event).toMatchObject({
      target: { mediaType: "application/vnd.plimsoll.collection.v1+json" },
      actor: { name: "collector" },
      collection: run,
    });
    world[Symbol.dispose]();
    world = new World();
    world.queue = queue;
    await world.run(1, {
      includedActions: ["restore", "collect"],
      ignoredActions: ["restore"],
      ignoredMediaTypes: ["application/vnd.plimsoll.collection.v1+json"],
    });
    expect(world.messages).toEqual([]);
  });

  test("descriptors of what a manifest refers to, where they are asked for and can be had", async () => {
    const manifest = { what: "manifest" } as const;
    world.queue = [
      event(1, manifest),
      event(2, { ...manifest, action: "pull" }),
      event(3, { ...manifest, action: "delete" }),
      event(4),
      event(9, manifest),
    ];
    await world.run(1, { includesReferences: true });
    expect(world.messages.map((one) => one.event.target["references"])).toEqual([
      [{ digest: blobNo(1) }],
      [{ digest: blobNo(2) }],
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("tries again, from the threshold on less and less often; says so once, and when it is over", async () => {
    world.queue = [event(1), event(2)];
    world.status = (attempt) => (attempt <= 6 ? 503 : 200);
    await world.run(7);
    expect(world.slept).toEqual([100, 100, 1_000, 2_000, 4_000, 8_000, 500]);
    expect(world.messages.map(({ id }) => id)).toEqual(["id-1", "id-2"]);
    expect(world.said).toEqual([
      "endpoint one could not be notified, its events wait: it answers 503",
      "endpoint one takes notifications again",
    ]);
    expect(world.said.join()).not.toContain("pass");
  });

  test("says how many events it was never told of, because too many waited", async () => {
    world.queue = [event(1), event(2)];
    world.status = (attempt) => {
      // Meanwhile the oldest are dropped, twice.
      if (attempt === 3) world.queue = [event(41), event(42)];
      if (attempt === 4) world.queue = [event(50)];
      return attempt <= 4 ? 503 : 200;
    };
    await world.run(5);
    expect(world.messages.map(({ id }) => id)).toEqual(["id-50"]);
    expect(world.said).toEqual([
      "endpoint one could not be notified, its events wait: it answers 503",
      "endpoint one is never told of 40 events: more waited for it than are kept",
      "endpoint one is never told of 9 events: more waited for it than are kept",
      "endpoint one takes notifications again",
    ]);
  });

  test("what was sent before a failure is not sent again", async () => {
    world.queue = [event(1), event(2), event(3)];
    world.status = (attempt) => (attempt === 3 ? 500 : 200);
    await world.run(2);
    expect(world.settled).toEqual([2, 3]);
    expect(world.messages.map(({ id }) => id)).toEqual(["id-1", "id-2", "id-3"]);
  });

  test("what the index cannot settle just now is not sent again", async () => {
    world.queue = [event(1), event(2)];
    world.refusals = 3;
    await world.run(4);
    expect(world.messages.map(({ id }) => id)).toEqual(["id-1", "id-2"]);
    expect(world.settled).toEqual([2]);
  });

  test("a redirect is no taking: followed, it would lose the event", async () => {
    world.queue = [event(1)];
    world.status = (attempt) => (attempt === 1 ? 301 : 200);
    await world.run(2);
    expect(world.messages.map(({ id }) => id)).toEqual(["id-1"]);
    expect(world.said[0]).toContain("it answers 301: redirects are not followed");
  });

  test("waits a minute at most", async () => {
    world.queue = [event(1)];
    world.status = () => 500;
    await world.run(14);
    expect(world.slept.at(-1)).toBe(60_000);
  });

  test("an index that was built anew is told again who is to be notified", async () => {
    world.queue = null;
    await world.run(1);
    expect(world.registrations).toBe(1);
  });
});
