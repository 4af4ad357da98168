// Where the server listens, how it stops, and lists too long for memory.
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tag } from "../../src/oci/index.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import {
  type OciErrorBody,
  type RawAnswer,
  rawAnswer,
  RawConnection,
  rejection,
  startHarness,
  textLike,
} from "./harness.ts";
import { createRealRegistry } from "./real-registry.ts";

describe("unix sockets", () => {
  const directory = mkdtempSync(join(tmpdir(), "http-unix-"));
  const path = join(directory, "registry.sock");
  const options = { listen: { kind: "unix", path } } as const;
  const base = () => fetch("http://registry/v2/", { unix: path });

  test("serves, knows its callers as unix, and takes the socket away when it stops", async () => {
    const registry = createFakeRegistry();
    const harness = await startHarness(() => registry, options);
    expect(harness.server.address).toBe(path);
    expect(await (await base()).text()).toBe("{}");
    await fetch("http://registry/v2/app/manifests/v1", { unix: path, method: "HEAD" });
    expect(harness.lines.at(-1)?.fields["http.request.remoteaddr"]).toBe("unix");
    await harness.server.stop();
    expect(existsSync(path)).toBe(false);
  });

  test("removes a socket that a killed server left, but not one that answers", async () => {
    const script = `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response() });
      process.stdout.write("up"); setInterval(() => {}, 1000);`;
    const other = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    await other.stdout.getReader().read();
    expect(await rejection(startHarness(createFakeRegistry, options))).toMatch(
      "another server listens",
    );
    other.kill("SIGKILL");
    await other.exited;
    expect(existsSync(path)).toBe(true);
    await using _harness = await startHarness(createFakeRegistry, options);
    expect((await base()).status).toBe(200);
  });

  test("never removes a socket that it may not connect to", async () => {
    const shut = join(directory, "shut.sock");
    const other = Bun.serve({ unix: shut, fetch: () => new Response() });
    chmodSync(shut, 0o000);
    chmodSync(directory, 0o777);
    const listen = { kind: "unix", path: shut } as const;
    const nobody = 65_534;
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(nobody);
    const refusal = await rejection(startHarness(createFakeRegistry, { listen }));
    if (isRoot) process.seteuid?.(0);
    expect(refusal).toMatch(/cannot be told \(EACCES\); remove it if none does/);
    expect(existsSync(shut)).toBe(true);
    await other.stop(true);
  });

  test("never removes what is no socket", async () => {
    const precious = join(directory, "precious");
    writeFileSync(precious, "data");
    const listen = { kind: "unix", path: precious } as const;
    expect(await rejection(startHarness(createFakeRegistry, { listen }))).not.toBe("");
    expect(existsSync(precious)).toBe(true);
    rmSync(directory, { recursive: true });
  });
});

describe("addresses", () => {
  test("a port that is taken is an error: it is never shared", async () => {
    await using harness = await startHarness(createFakeRegistry);
    expect(harness.server.address).toBe(`127.0.0.1:${harness.server.port}`);
    const listen = { kind: "tcp", hostname: "127.0.0.1", port: harness.server.port } as const;
    const refusal = await rejection(startHarness(createFakeRegistry, { listen }));
    expect(refusal).toMatch(/cannot listen on 127\.0\.0\.1:\d+: .*in use/);
  });

  test("without a host name IPv4 clients are served, and known by their IPv4 address", async () => {
    const listen = { kind: "tcp", hostname: null, port: 0 } as const;
    await using harness = await startHarness(createFakeRegistry, { listen });
    expect(harness.server.address).toBe(`:${harness.server.port}`);
    await harness.ask("/v2/");
    expect(harness.accesses[0]?.remoteAddress).toBe("127.0.0.1");
  });
});

describe("stopping", () => {
  const slowUpload = async (drainTimeoutMs: number) => {
    const harness = await startHarness(createFakeRegistry, { drainTimeoutMs });
    const begun = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    const { pathname, search } = new URL(begun.headers.get("location") ?? "");
    const connection = await RawConnection.open(harness.server.port);
    connection.send(
      `PATCH ${pathname}${search} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel`,
    );
    await harness.ask("/v2/");
    return { harness, connection };
  };

  const refused = {
    status: 503,
    code: "UNAVAILABLE",
    connection: "close",
    retryAfter: textLike(/^[1-9]\d*$/),
  };
  const refusalIn = ({ status, headers, body }: RawAnswer) => ({
    status,
    code: (JSON.parse(body) as OciErrorBody).errors[0]?.code,
    connection: headers.get("connection"),
    retryAfter: headers.get("retry-after"),
  });
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

  test("lets a request under way end, and answers new ones with 503", async () => {
    const { harness, connection } = await slowUpload(60_000);
    const { port } = harness.server;
    const kept = await RawConnection.open(port);
    kept.send(get("/v2/"));
    expect((await kept.answer()).status).toBe(200);
    const stopped = harness.server.stop();
    kept.send(get("/v2/"));
    expect(refusalIn(await kept.answer())).toEqual(refused);
    await kept.closed();
    for (const path of ["/", "/v2/", "/v2/app/tags/list", "/api/v1/", "/nowhere"]) {
      expect(refusalIn(await rawAnswer(port, get(path)))).toEqual(refused);
    }
    const upload = "PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\nx";
    expect(refusalIn(await rawAnswer(port, upload))).toEqual(refused);
    const head = "HEAD /v2/ HTTP/1.1\r\nHost: a\r\n\r\n";
    expect((await rawAnswer(port, head, { head: true })).status).toBe(503);
    expect(harness.lines.at(-1)?.fields["http.response.status"]).toBe(503);
    connection.send("lo");
    const answer = await connection.answer();
    expect([answer.status, answer.headers.get("connection")]).toEqual([202, "close"]);
    await stopped;
    await connection.closed();
    expect(await rejection(harness.ask("/v2/"))).not.toBe("");
  });

  test("lets a download under way end", async () => {
    const harness = await startHarness(createRealRegistry, { drainTimeoutMs: 60_000 });
    const content = "x".repeat(32 * 1024 * 1024);
    const digest = await harness.pushBlob("app", content);
    const download = await harness.ask(`/v2/app/blobs/${digest}`);
    const stopped = harness.server.stop();
    expect((await harness.ask("/v2/")).status).toBe(503);
    expect((await download.text()).length).toBe(content.length);
    await stopped;
  });

  test("does not wait for connections without a request", async () => {
    const harness = await startHarness(createFakeRegistry, { drainTimeoutMs: 60_000 });
    const [kept, begun] = [
      await RawConnection.open(harness.server.port),
      await RawConnection.open(harness.server.port),
    ];
    kept.send(get("/v2/"));
    await kept.answer();
    begun.send("GET /v2/ HTTP/1.1\r\nHo");
    await Bun.sleep(20);
    const startMs = performance.now();
    await harness.server.stop();
    expect(performance.now() - startMs).toBeLessThan(5_000);
    await kept.closed();
    await begun.closed();
  });

  test.each([0, 1])("cuts it off when the drain timeout of %p ms is over", async (timeoutMs) => {
    const { harness, connection } = await slowUpload(timeoutMs);
    await harness.server.stop();
    await connection.closed();
    await harness.server.stop();
    expect(harness.lines.filter(({ level }) => level === "warn")).toEqual([
      { level: "warn", message: "requests cut off by the stop: 1", fields: {} },
    ]);
  });

  test("may be asked for again meanwhile", async () => {
    const { harness, connection } = await slowUpload(60_000);
    const both = [harness.server.stop(), harness.server.stop()];
    connection.send("lo");
    expect((await connection.answer()).status).toBe(202);
    await Promise.all(both);
  });
});

describe("very long lists", () => {
  /** A repository of so many tags, which are counted out instead of held. */
  function withTags(count: number): { registry: Registry; largest: () => number } {
    const registry = createFakeRegistry();
    let largest = 0;
    const listTags: Registry["catalog"]["listTags"] = async (_repository, { after, limit }) => {
      largest = Math.max(largest, limit);
      const first = after === null ? 0 : Number(after.slice(1)) + 1;
      const length = Math.max(0, Math.min(limit, count - first));
      return Array.from({ length }, (_, i) => `t${String(first + i).padStart(7, "0")}` as Tag);
    };
    const catalog = { ...registry.catalog, listTags };
    return { registry: { ...registry, catalog }, largest: () => largest };
  }

  test.each([9_999, 10_000, 10_001, 25_000])("of %p tags are whole and in order", async (count) => {
    const { registry, largest } = withTags(count);
    await using harness = await startHarness(() => registry);
    const response = await harness.ask("/v2/app/tags/list");
    // Beyond ten thousand the list is streamed, so nobody knows its length beforehand.
    expect(response.headers.has("content-length")).toBe(count < 10_000);
    const head = await harness.ask("/v2/app/tags/list", { method: "HEAD" });
    expect(head.headers.get("content-length")).toBe(response.headers.get("content-length"));
    const { name, tags } = (await response.json()) as { name: string; tags: string[] };
    expect(name).toBe("app");
    expect(tags.length).toBe(count);
    expect(tags.at(-1)).toBe(`t${String(count - 1).padStart(7, "0")}`);
    expect(new Set(tags).size).toBe(count);
    expect(largest()).toBeLessThanOrEqual(1001);
  });
});
