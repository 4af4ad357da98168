// Clients that trickle, or say nothing, are cut off at a bounded cost; slow ones that are honest are not,
// and what a cut upload has brought stays. (Against the real thing for minutes: test/e2e/slow-clients.test.ts.)
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Limits } from "../../src/http/index.ts";
import { type LimitsOptions, noLimits } from "../../src/http/limits/options.ts";
import { digestOf } from "../../src/oci/index.ts";
import type { AccessController } from "../../src/registry/ports/access.ts";
import { type Harness, RawConnection, startHarness, withParameter } from "./harness.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import { createRealRegistry } from "./real-registry.ts";

/** The runtime looks at its timers every four seconds. */
const timerMs = 4_500;

function start(limits: Partial<LimitsOptions>): Promise<Harness> {
  return startHarness(() => createRealRegistry(), {
    limits: new Limits({ ...noLimits, ...limits }),
  });
}

/** Sends a letter ever so often until the connection is closed: how long that took. */
async function trickle(connection: RawConnection, eachMs: number): Promise<number> {
  const begunMs = performance.now();
  const trickling = setInterval(() => connection.send("x"), eachMs);
  await connection.closed();
  clearInterval(trickling);
  return performance.now() - begunMs;
}

describe("a header", () => {
  test(
    "that trickles is cut off, on a new connection and on one that has asked before",
    async () => {
      await using harness = await start({ idleMs: 1_000 });
      const fresh = await RawConnection.open(harness.server.port);
      fresh.send("GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Slow: ");
      const used = await RawConnection.open(harness.server.port);
      used.send("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
      expect((await used.answer()).status).toBe(200);
      used.send("GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Slow: ");
      const [freshMs, usedMs] = await Promise.all([trickle(fresh, 100), trickle(used, 100)]);
      expect(usedMs).toBeLessThan(1_000 + timerMs);
      // The runtime's own bound, which nothing changes.
      expect(freshMs).toBeLessThan(10_000 + timerMs);
      // Others are served.
      expect((await harness.ask("/v2/")).status).toBe(200);
    },
    { timeout: 20_000 },
  );

  test(
    "after a pause that is allowed is answered on the same connection; an idle one is closed",
    async () => {
      await using harness = await start({ idleMs: 8_000 });
      const connection = await RawConnection.open(harness.server.port);
      for (let n = 0; n < 2; n++) {
        connection.send("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
        expect((await connection.answer()).status).toBe(200);
        if (n === 0) await Bun.sleep(2_000);
      }
      const begunMs = performance.now();
      await connection.closed();
      expect(performance.now() - begunMs).toBeWithin(3_000, 8_000 + 2 * timerMs);
    },
    { timeout: 30_000 },
  );
});

describe("an answer", () => {
  test(
    "that takes longer than a connection may be idle is waited for",
    async () => {
      const controller: AccessController = {
        passwordRealm: null,
        decide: async () => {
          await Bun.sleep(1_000 + 2 * timerMs);
          return { kind: "challenge", challenge: { scheme: "basic", realm: "r" } };
        },
      };
      const limits = new Limits({ ...noLimits, idleMs: 1_000 });
      const access = { controller, issuer: null };
      await using harness = await startHarness(() => createRealRegistry(), { limits }, access);
      expect((await harness.ask("/v2/app/tags/list")).status).toBe(401);
    },
    { timeout: 20_000 },
  );
});

describe("a body", () => {
  const slow = { bytesPerSecondMin: 1_000, graceMs: 400 };

  async function begin(harness: Harness): Promise<string> {
    const posted = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    return new URL(posted.headers.get("location") ?? "", harness.origin).pathname;
  }

  test("that trickles is given up with 408; what arrived stays, and the upload goes on", async () => {
    await using harness = await start({ slow });
    const location = await begin(harness);
    const connection = await RawConnection.open(harness.server.port);
    connection.send(`PATCH ${location} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
    connection.send("5\r\nhello\r\n");
    const trickling = setInterval(() => connection.send("1\r\n!\r\n"), 50);
    const answer = await connection.answer();
    clearInterval(trickling);
    expect(answer.status).toBe(408);
    expect(answer.body).toMatch(/too little arrived for 0\.4 seconds, at 1000 bytes a second/);
    await connection.closed();
    const status = await harness.ask(location);
    const sizeBytes = Number(status.headers.get("range")?.split("-")[1]) + 1;
    expect(sizeBytes).toBeGreaterThan(5);
    const rest = await harness.ask(location, { method: "PATCH", body: " world" });
    const content = `hello${"!".repeat(sizeBytes - 5)} world`;
    const finish = withParameter(
      rest.headers.get("location"),
      "digest",
      digestOf(Buffer.from(content)),
    );
    expect((await harness.go(finish, { method: "PUT" })).status).toBe(201);
  });

  test("of an honest sender at the least rate is taken to its end, in whatever portions", async () => {
    await using harness = await start({ slow });
    const send = async (portion: number, eachMs: number): Promise<number> => {
      const location = await begin(harness);
      async function* body(): AsyncGenerator<string> {
        for (let sentMs = 0; sentMs < 2_000; sentMs += eachMs) {
          yield "x".repeat(portion);
          await Bun.sleep(eachMs);
        }
      }
      const init = { method: "PATCH", body: body() as unknown as string };
      return (await harness.ask(location, init)).status;
    };
    // Twice the least rate: a test is not a clock.
    expect(await Promise.all([send(400, 200), send(40, 20)])).toEqual([202, 202]);
  });

  test("of a manifest that never ends is given up", async () => {
    await using harness = await start({ slow });
    const connection = await RawConnection.open(harness.server.port);
    connection.send("PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{");
    expect((await connection.answer()).status).toBe(408);
    await connection.closed();
  });

  test("that waits for its turn, or for its share of the bandwidth, is not slow", async () => {
    const address = {
      requests: null,
      uploadsMax: 1,
      receiveBytesPerSecond: 100_000,
      sendBytesPerSecond: null,
    };
    await using harness = await start({ slow: { ...slow, graceMs: 300 }, address });
    const pushed = await Promise.all(
      [1, 2, 3].map((n) => harness.pushBlob("app", `${n}`.repeat(100_000))),
    );
    expect(pushed).toHaveLength(3);
  });
});

describe("a download", () => {
  test(
    "that waits for its share of the bandwidth is not cut off, however long it waits",
    async () => {
      const address = { ...noLimits.address, sendBytesPerSecond: 8_000 };
      const slow = { bytesPerSecondMin: 1_000, graceMs: 1_000 };
      const bytes = new Uint8Array(100_000).map((_, n) => n & 255);
      const directory = mkdtempSync(join(tmpdir(), "plimsoll-slow-"));
      await using files = await startHarness(() => createFakeRegistry({ directory }), {
        limits: new Limits({ ...noLimits, slow, address }),
      });
      const digest = await files.pushBlob("app", bytes);
      // 64 KiB go at once, and are paid for within eight seconds.
      const got = await files.ask(`/v2/app/blobs/${digest}`);
      expect(await got.bytes()).toEqual(bytes);
      rmSync(directory, { recursive: true });
    },
    { timeout: 40_000 },
  );

  test(
    "of which nothing is taken is cut off, and the file is let go",
    async () => {
      const limits = { slow: { bytesPerSecondMin: 1_000, graceMs: 1_000 } };
      await using harness = await start(limits);
      const directory = mkdtempSync(join(tmpdir(), "plimsoll-slow-"));
      await using files = await startHarness(() => createFakeRegistry({ directory }), {
        limits: new Limits({ ...noLimits, ...limits }),
      });
      const bytes = new Uint8Array(32 * 1024 * 1024);
      for (const served of [files, harness]) {
        const digest = await served.pushBlob("app", bytes);
        const connection = await RawConnection.open(served.server.port, { isPaused: true });
        connection.send(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: a\r\n\r\n`);
        const descriptors = () => readdirSync("/proc/self/fd").length;
        await Bun.sleep(200);
        const open = descriptors();
        const begunMs = performance.now();
        while (descriptors() >= open && performance.now() - begunMs < 15_000) await Bun.sleep(100);
        expect(performance.now() - begunMs).toBeLessThan(1_000 + 2 * timerMs);
        connection.destroy();
      }
      rmSync(directory, { recursive: true });
    },
    { timeout: 40_000 },
  );
});
