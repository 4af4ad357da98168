// `http.limits` as clients meet it: a text of a configuration in, answers out.
import { describe, expect, test } from "bun:test";
import { contentBounds, limitsOptions } from "../../src/compose/config-mapping.ts";
import { type Config, loadConfig } from "../../src/config/index.ts";
import { Limits } from "../../src/http/index.ts";
import { digestOf } from "../../src/oci/index.ts";
import { ContentLimits } from "../../src/registry/content-limits.ts";
import {
  errorIn,
  type Harness,
  imageManifest,
  manifestInit,
  RawConnection,
  startHarness,
  withParameter,
} from "./harness.ts";
import { createRealRegistry } from "./real-registry.ts";

function configOf(limits: string): Config {
  const text = `version: 0.1\nstorage: inmemory\nhttp: {limits: ${limits}}\n`;
  return loadConfig({ path: "config.yml", env: {}, readFile: () => text }).config;
}

interface Limited extends Harness {
  /** Names of the limits for which something was refused. */
  readonly refused: string[];
  replace(limits: string): void;
}

async function start(text: string): Promise<Limited> {
  const config = configOf(text);
  const limits = new Limits(limitsOptions(config));
  const content = new ContentLimits(contentBounds(config));
  const refused: string[] = [];
  const observer = {
    begun: () => undefined,
    received: () => undefined,
    completed: () => undefined,
    refused: (limit: string) => refused.push(limit),
  };
  const options = {
    trustedProxies: { unix: false, networks: [{ address: "127.0.0.1", bits: 32 }] },
  };
  const registry = () => createRealRegistry(undefined, { content });
  const harness = await startHarness(registry, { ...options, limits, observer });
  const replace = (changed: string): void => {
    limits.replace(limitsOptions(configOf(changed)));
    content.replace(contentBounds(configOf(changed)));
  };
  return Object.assign(harness, { refused, replace });
}

async function refusal(response: Response): Promise<string> {
  const { code, message } = await errorIn(response);
  return `${response.status} ${code} ${message}`;
}

function from(address: string): RequestInit {
  return { headers: { "X-Forwarded-For": address } };
}

async function begin(harness: Harness, repository = "app"): Promise<string> {
  const posted = await harness.ask(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
  expect(posted.status).toBe(202);
  return posted.headers.get("location") ?? "";
}

describe("requests", () => {
  test("beyond the limit: 429 with the limit, what to do, and an honest Retry-After", async () => {
    await using harness = await start("{address: {requests: 1, burst: 3}}");
    const ask = () => harness.ask("/v2/", from("10.0.0.1"));
    for (let n = 0; n < 3; n++) expect((await ask()).status).toBe(200);
    const refused = await ask();
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await refusal(refused)).toBe(
      "429 TOOMANYREQUESTS too many requests from your address: http.limits.address.requests allows 1 a second; slow down, and ask again after the time in Retry-After",
    );
    expect((await harness.ask("/v2/", from("10.0.0.2"))).status).toBe(200);
    // Those who look whether it is alive are no clients.
    expect((await harness.ask("/livez", from("10.0.0.1"))).status).toBe(200);
    await Bun.sleep(1_000);
    expect((await ask()).status).toBe(200);
    expect(harness.refused).toEqual(["address.requests"]);
    const told = harness.lines.filter(({ fields }) => fields["http.response.status"] === 429);
    expect(told.map(({ level }) => level)).toEqual(["error"]);
  });

  test("another limit holds at once", async () => {
    await using harness = await start("{}");
    for (let n = 0; n < 50; n++) expect((await harness.ask("/v2/")).status).toBe(200);
    harness.replace("{address: {requests: 1, burst: 1}}");
    expect((await harness.ask("/v2/")).status).toBe(200);
    expect((await harness.ask("/v2/")).status).toBe(429);
    harness.replace("{}");
    expect((await harness.ask("/v2/")).status).toBe(200);
  });
});

describe("uploads at the same time", () => {
  test("more than are allowed wait for their turn, and arrive", async () => {
    await using harness = await start("{address: {uploads: 1}}");
    const first = await begin(harness);
    const turns: string[] = [];
    const sent = Promise.withResolvers<void>();
    async function* slowly(): AsyncGenerator<string> {
      turns.push("first begins");
      yield "a";
      await sent.promise;
      yield "b";
    }
    const patched = harness.go(first, { method: "PATCH", body: slowly() as unknown as string });
    while (turns.length === 0) await Bun.sleep(5);
    await Bun.sleep(50);
    const pushed = harness.pushBlob("app", "second").then(() => turns.push("second is there"));
    await Bun.sleep(100);
    turns.push("first ends");
    sent.resolve();
    expect((await patched).status).toBe(202);
    await pushed;
    expect(turns).toEqual(["first begins", "first ends", "second is there"]);
    expect(harness.refused).toEqual([]);
  });

  test("whose client goes away while it waits gives its place to the next", async () => {
    await using harness = await start("{address: {uploads: 1}}");
    const sent = Promise.withResolvers<void>();
    async function* slowly(): AsyncGenerator<string> {
      yield "a";
      await sent.promise;
    }
    const first = harness.go(await begin(harness), {
      method: "PATCH",
      body: slowly() as unknown as string,
    });
    await Bun.sleep(100);
    for (let n = 0; n < 20; n++) {
      const { pathname } = new URL(await begin(harness), harness.origin);
      const connection = await RawConnection.open(harness.server.port);
      connection.send(`PATCH ${pathname} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12`);
      await Bun.sleep(20);
      connection.destroy();
      await Bun.sleep(20);
    }
    const last = harness.pushBlob("app", "last");
    await Bun.sleep(50);
    sent.resolve();
    expect((await first).status).toBe(202);
    await last;
    expect(harness.refused).toEqual([]);
    const gone = harness.lines.filter(({ fields }) => fields["http.response.status"] === 499);
    expect(gone).toHaveLength(20);
  });

  test("where too many wait already, a push is refused before it begins", async () => {
    await using harness = await start("{address: {uploads: 1}}");
    const sent = Promise.withResolvers<void>();
    async function* slowly(): AsyncGenerator<string> {
      yield "a";
      await sent.promise;
    }
    const locations = await Promise.all(Array.from({ length: 9 }, () => begin(harness)));
    const all = locations.map((location) =>
      harness.go(location, { method: "PATCH", body: slowly() as unknown as string }),
    );
    await Bun.sleep(200);
    const refused = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    expect(refused.headers.get("retry-after")).toBe("10");
    expect(await refusal(refused)).toMatch(
      /^429 TOOMANYREQUESTS too many uploads from your address/,
    );
    sent.resolve();
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual(all.map(() => 202));
    await begin(harness);
  });
});

describe("bandwidth", () => {
  const bytes = new Uint8Array(400_000).map((_, n) => (n * 7) & 255);

  test("of downloads is shared by what one address asks for; bytes, ranges and HEAD are right", async () => {
    await using harness = await start("{address: {send: 800kB}}");
    const digest = await harness.pushBlob("app", bytes);
    const path = `/v2/app/blobs/${digest}`;
    const begunMs = performance.now();
    const [whole, part, head, other] = await Promise.all([
      harness.ask(path, from("10.0.0.1")),
      harness.ask(path, {
        headers: { Range: "bytes=100000-299999", "X-Forwarded-For": "10.0.0.1" },
      }),
      harness.ask(path, { method: "HEAD", ...from("10.0.0.1") }),
      harness.ask(path, from("10.0.0.2")),
    ]);
    expect(head.headers.get("content-length")).toBe("400000");
    expect(part.status).toBe(206);
    expect(part.headers.get("content-range")).toBe("bytes 100000-299999/400000");
    expect(await other.bytes()).toEqual(bytes);
    const otherMs = performance.now() - begunMs;
    expect(await part.bytes()).toEqual(bytes.subarray(100_000, 300_000));
    expect(await whole.bytes()).toEqual(bytes);
    // 600 kB at 800 kB a second, less what may go at once; by itself 400 kB.
    expect(performance.now() - begunMs).toBeGreaterThan(450);
    expect(otherMs).toBeLessThan(performance.now() - begunMs);
  });

  test("an upload that waits for its share is over when its client has gone", async () => {
    await using harness = await start("{address: {receive: 10kB}}");
    const location = await begin(harness);
    const leaving = new AbortController();
    const init = { method: "PATCH", body: bytes, signal: leaving.signal };
    const sent = harness.go(location, init).catch(String);
    await Bun.sleep(500);
    leaving.abort();
    expect(await sent).toStartWith("AbortError");
    const begunMs = performance.now();
    // The session does not wait until what came is paid for, which takes half a minute.
    expect((await harness.go(location)).status).toBe(204);
    expect(performance.now() - begunMs).toBeLessThan(3_000);
  });

  test("of uploads is held by reading no faster", async () => {
    await using harness = await start("{address: {receive: 400kB}}");
    const begunMs = performance.now();
    const digest = await harness.pushBlob("app", bytes);
    expect(performance.now() - begunMs).toBeGreaterThan(600);
    harness.replace("{}");
    const got = await harness.ask(`/v2/app/blobs/${digest}`);
    expect(await got.bytes()).toEqual(bytes);
  });
});

describe("sizes and counts", () => {
  test("a blob is refused as soon as it is known to be too large, and nothing of it stays", async () => {
    await using harness = await start("{blobsize: 1kB}");
    const small = await harness.pushBlob("app", "x".repeat(1_000));
    const large = "x".repeat(1_001);
    const location = await begin(harness);
    // Announced.
    const announced = await harness.go(location, { method: "PATCH", body: large });
    expect(await refusal(announced)).toMatch(
      /^413 SIZE_INVALID .*http\.limits\.blobsize allows 1000/,
    );
    // In chunks of which nobody knows how many come.
    async function* chunks(): AsyncGenerator<string> {
      yield "x".repeat(600);
      await Bun.sleep(20);
      yield "x".repeat(600);
    }
    const chunked = await harness.go(location, {
      method: "PATCH",
      body: chunks() as unknown as string,
    });
    expect(chunked.status).toBe(413);
    const status = await harness.go(location);
    expect(status.headers.get("range")).toBe("0-0");
    // In parts, each of which is small enough.
    const part = await harness.go(location, { method: "PATCH", body: "x".repeat(600) });
    const next = part.headers.get("location");
    expect((await harness.go(next, { method: "PATCH", body: "x".repeat(600) })).status).toBe(413);
    const at = withParameter(next, "digest", digestOf(Buffer.from("x".repeat(1_000))));
    expect((await harness.go(at, { method: "PUT", body: "x".repeat(400) })).status).toBe(201);
    const atOnce = `/v2/app/blobs/uploads/?digest=${digestOf(Buffer.from(large))}`;
    expect((await harness.ask(atOnce, { method: "POST", body: large })).status).toBe(413);
    // What is there is not judged.
    const mount = `/v2/other/blobs/uploads/?mount=${small}&from=app`;
    harness.replace("{blobsize: 10}");
    expect((await harness.ask(mount, { method: "POST" })).status).toBe(201);
    expect(harness.refused).toEqual(["blobsize", "blobsize", "blobsize", "blobsize"]);
  });

  test("a blob that is announced to be too large is refused though nothing of it comes", async () => {
    await using harness = await start("{blobsize: 1kB}");
    const { pathname } = new URL(await begin(harness), harness.origin);
    const connection = await RawConnection.open(harness.server.port);
    const begunMs = performance.now();
    connection.send(`PATCH ${pathname} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n`);
    expect((await connection.answer()).status).toBe(413);
    // As long as others are given who send all before they read.
    expect(performance.now() - begunMs).toBeLessThan(8_000);
    connection.destroy();
  }, 15_000);

  test("a manifest: bytes, references, nesting, tags", async () => {
    await using harness = await start("{manifestsize: 2kB, references: 3, nesting: 8, tags: 2}");
    const config = await harness.pushBlob("app", "{}");
    const layers = await Promise.all(["a", "b"].map((text) => harness.pushBlob("app", text)));
    const put = async (more: Record<string, unknown>, of = layers): Promise<string> => {
      const init = manifestInit(imageManifest({ config, layers: of, more }));
      const response = await harness.ask("/v2/app/manifests/v1", init);
      return response.status === 201 ? "201" : await refusal(response);
    };
    expect(await put({})).toBe("201");
    expect(await put({ annotations: { a: "x".repeat(2_000) } })).toBe(
      "413 MANIFEST_INVALID the manifest is larger than the 2000 bytes that are accepted",
    );
    expect(await put({}, [...layers, await harness.pushBlob("app", "c")])).toBe(
      "400 MANIFEST_INVALID the manifest refers to more than 3 digests",
    );
    let deep: unknown = {};
    for (let n = 0; n < 9; n++) deep = { deep };
    expect(await put({ deep })).toBe(
      "400 MANIFEST_INVALID the manifest nests deeper than 8 levels",
    );
    const manifest = imageManifest({ config, layers });
    const path = `/v2/app/manifests/${digestOf(Buffer.from(manifest))}`;
    const tagged = (query: string) => harness.ask(path + query, manifestInit(manifest));
    expect((await tagged("?tag=a&tag=b")).status).toBe(201);
    expect(await refusal(await tagged("?tag=a&tag=b&tag=c"))).toMatch(/^414 TAG_INVALID 3 tag/);
    // What was accepted under other limits is served on.
    harness.replace("{manifestsize: 1kB, references: 1, nesting: 1}");
    expect((await harness.ask("/v2/app/manifests/v1")).status).toBe(200);
  });

  test("indexes in indexes", async () => {
    await using harness = await start("{indexes: 1}");
    const type = "application/vnd.oci.image.index.v1+json";
    const put = async (tag: string, digest: string): Promise<Response> => {
      const manifests = [{ mediaType: type, digest, size: 1 }];
      const index = JSON.stringify({ schemaVersion: 2, mediaType: type, manifests });
      return harness.ask(`/v2/app/manifests/${tag}`, manifestInit(index, type));
    };
    const first = await put("v1", await harness.pushImage("app", "image"));
    expect(first.status).toBe(201);
    const digest = first.headers.get("docker-content-digest") ?? "";
    expect(await refusal(await put("v2", digest))).toBe(
      "400 MANIFEST_INVALID the index has more than 1 levels of indexes below each other, as many as http.limits.indexes allows",
    );
    expect((await harness.ask("/v2/app/manifests/v2")).status).toBe(404);
    harness.replace("{}");
    expect((await put("v2", digest)).status).toBe(201);
  });

  test("open upload sessions of a repository", async () => {
    await using harness = await start("{sessions: 2}");
    const first = await begin(harness);
    await begin(harness);
    const refused = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    expect(refused.headers.get("retry-after")).toBe("60");
    expect(await refusal(refused)).toMatch(
      /^429 TOOMANYREQUESTS app has 2 open uploads, as many as http\.limits\.sessions allows/,
    );
    await begin(harness, "other");
    expect((await harness.go(first, { method: "DELETE" })).status).toBe(204);
    await begin(harness);
    expect(harness.refused).toEqual(["sessions"]);
  });
});
