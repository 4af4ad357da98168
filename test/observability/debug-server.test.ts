// The debug address: health as the classic registry answers it, probes for Kubernetes, profiles.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { observe } from "../../src/compose/observed.ts";
import { serve } from "../../src/compose/index.ts";
import { type Config, loadConfig } from "../../src/config/index.ts";
import { ServingReadiness } from "../../src/http/index.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import { rejection } from "../http/harness.ts";
import { sampleOf, silentLogs, startServed } from "./served.ts";

async function told(url: string, init?: RequestInit): Promise<[number, string]> {
  const response = await fetch(url, init);
  return [response.status, await response.text()];
}

/** Asks again until the answer has this status. */
async function until(url: string, status: number): Promise<string> {
  const giveUpMs = Date.now() + 10_000;
  for (;;) {
    const [found, text] = await told(url);
    if (found === status) return text;
    if (Date.now() > giveUpMs) throw new Error(`${url} answers ${found} ${text}`);
    await Bun.sleep(20);
  }
}

describe("health checks", () => {
  test("a file, a URL and a port: named and worded as in the classic registry", async () => {
    const directory = mkdtempSync(join(tmpdir(), "plimsoll-health-"));
    const file = join(directory, "out-of-rotation");
    let status = 200;
    const seen: (string | null)[] = [];
    const web = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        seen.push(`${request.method} ${request.headers.get("authorization")}`);
        return new Response(null, { status });
      },
    });
    const tcp = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const addr = `127.0.0.1:${tcp.port}`;
    const uri = `http://127.0.0.1:${web.port}/up`;
    await using served = await startServed(`health:
  storagedriver: {enabled: true, interval: 50ms}
  file: [{file: ${file}, interval: 20ms}]
  http: [{uri: "http://me:pass%3Aword@127.0.0.1:${web.port}/up", interval: 20ms, threshold: 2}]
  tcp: [{addr: "${addr}", interval: 20ms, timeout: 1s}]`);
    const health = `${served.debugOrigin}/debug/health`;
    expect(await until(health, 200)).toBe("{}");
    expect((await told(`${served.origin}/v2/`))[0]).toBe(200);
    writeFileSync(file, "");
    expect(JSON.parse(await until(health, 503))).toEqual({ [file]: "file exists" });
    // As in the classic, every request is refused then.
    expect((await told(`${served.origin}/v2/`))[0]).toBe(503);
    expect(await told(`${served.debugOrigin}/readyz`)).toEqual([
      503,
      "a health check fails: see /debug/health\n",
    ]);
    expect((await told(`${served.origin}/livez`))[0]).toBe(200);
    rmSync(file);
    await until(health, 200);
    status = 500;
    const down = { [uri]: "downstream service returned unexpected status: 500" };
    expect(JSON.parse(await until(health, 503))).toEqual(down);
    expect(seen.at(-1)).toBe(`HEAD Basic ${Buffer.from("me:pass:word").toString("base64")}`);
    status = 200;
    await until(health, 200);
    tcp.stop(true);
    const gone = { [addr]: `connection to ${addr} failed` };
    expect(JSON.parse(await until(health, 503))).toEqual(gone);
    await web.stop(true);
    rmSync(directory, { recursive: true });
  });

  test("there is nothing else at this address, and nothing to write to", async () => {
    await using served = await startServed();
    expect((await told(`${served.debugOrigin}/v2/`))[0]).toBe(404);
    expect((await told(`${served.debugOrigin}/debug/health`, { method: "POST" }))[0]).toBe(405);
    for (const path of ["/debug/health", "/metrics", "/debug/pprof/heap", "/debug/pprof/profile"]) {
      expect((await told(served.origin + path))[0]).toBe(404);
    }
  });
});

describe("probes", () => {
  test("on both addresses, in no log, and never in the way of the API", async () => {
    await using served = await startServed();
    for (const origin of [served.origin, served.debugOrigin]) {
      expect(await told(`${origin}/livez`)).toEqual([200, "ok\n"]);
      expect(await told(`${origin}/readyz`)).toEqual([200, "ok\n"]);
      expect(await told(`${origin}/readyz`, { method: "HEAD" })).toEqual([200, ""]);
    }
    expect((await told(`${served.origin}/v2/livez/manifests/readyz`))[0]).toBe(404);
    expect(await served.debug("/metrics")).not.toContain('route="other"');
  });

  test("not ready while starting, without an index, while ill, and while stopping", async () => {
    const failing: Record<string, string> = {};
    const readiness = new ServingReadiness({ failing: () => failing });
    expect(await readiness.notReady()).toBe("starting");
    let isLost = false;
    readiness.serving(() => (isLost ? Promise.reject(new Error("lost")) : Promise.resolve(null)));
    expect(await readiness.notReady()).toBeNull();
    isLost = true;
    expect(await readiness.notReady()).toBe("the index cannot be asked");
    isLost = false;
    failing["storagedriver"] = "full";
    expect(await readiness.notReady()).toBe("a health check fails: see /debug/health");
    readiness.stopping();
    expect(await readiness.notReady()).toBe("stopping");
  });
});

describe("a start", () => {
  test("can be watched from its first moment on: alive, not ready", async () => {
    await using served = await startServed();
    const { config } = loadConfig({ path: join(served.root, "..", "config.yml"), env: {} });
    const observed = await observe(config, silentLogger);
    const origin = `http://${observed.debugServer?.address}`;
    expect(await told(`${origin}/livez`)).toEqual([200, "ok\n"]);
    expect(await told(`${origin}/readyz`)).toEqual([503, "starting\n"]);
    expect(await told(`${origin}/debug/health`)).toEqual([200, "{}"]);
    const [status, metrics] = await told(`${origin}/metrics`);
    expect([status, sampleOf(metrics, "plimsoll_index_up")]).toEqual([200, 0]);
    observed.stopping();
    expect(await told(`${origin}/readyz`)).toEqual([503, "stopping\n"]);
    await observed.stop();
  });

  test("of a second server on the same root is refused as that, not for its debug address", async () => {
    await using served = await startServed();
    const path = join(served.root, "..", "config.yml");
    const { config } = loadConfig({ path, env: {} });
    const address = served.serving.debugAddress ?? "";
    const listen = { kind: "tcp", hostname: "127.0.0.1", port: Number(address.split(":")[1]) };
    const taken = { ...config.http.debug, listen } as Config["http"]["debug"];
    const second = { ...config, http: { ...config.http, debug: taken } };
    const { signal } = new AbortController();
    expect(await rejection(serve(second, silentLogs, signal))).toContain("is in use by");
    const root = join(served.root, "elsewhere");
    const storage = { ...config.storage, driver: { kind: "filesystem", rootDirectory: root } };
    const other = { ...second, storage: storage as Config["storage"] };
    const failure = await rejection(serve(other, silentLogs, signal));
    expect(failure).toContain(`cannot listen on ${address}`);
  });
});

describe("profiles", () => {
  test("a CPU profile and a heap snapshot, one at a time", async () => {
    await using served = await startServed();
    const profiling = told(`${served.debugOrigin}/debug/pprof/profile?seconds=1`);
    await Bun.sleep(100);
    const [status, text] = await told(`${served.debugOrigin}/debug/pprof/heap`);
    expect(status).toBe(429);
    expect(text).toContain("one at a time");
    const [code, profile] = await profiling;
    expect(code).toBe(200);
    expect(Object.keys(JSON.parse(profile) as object)).toContain("nodes");
    // It rests before the next one.
    expect((await told(`${served.debugOrigin}/debug/pprof/heap`))[0]).toBe(429);
    await using other = await startServed();
    const heap = await other.debug("/debug/pprof/heap");
    expect(Object.keys(JSON.parse(heap) as object)).toContain("snapshot");
  });

  test.each(["0", "61", "-1", "1e9", "x", ""])("are not made for seconds=%p", async (seconds) => {
    await using served = await startServed();
    const [status, text] = await told(
      `${served.debugOrigin}/debug/pprof/profile?seconds=${seconds}`,
    );
    expect(status).toBe(400);
    expect(text).toContain("from 1 to 60");
  });
});
