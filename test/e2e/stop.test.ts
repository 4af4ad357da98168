// A stop: what is under way ends, new requests are told 503 and that the connection ends, and the
// process exits with 0. Later than `http.draintimeout`, or at a second signal, nothing is waited for.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestOf } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { freePort, type RunningRegistry } from "../support/registry-process.ts";
import { replaceInConfig, type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const content = Buffer.from("a layer that takes its time");

interface Exchange {
  readonly socket: Socket;
  readonly received: () => string;
  readonly closed: Promise<void>;
}

function exchange(server: RunningRegistry, text: string): Exchange {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  let received = "";
  socket.on("data", (data) => {
    received += data.toString("latin1");
  });
  // Whoever is cut off may be told by a reset.
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      resolve();
    });
  });
  socket.write(text);
  return { socket, received: () => received, closed };
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!(await what())) {
    if (performance.now() > endMs) throw new Error("it never came");
    await Bun.sleep(10);
  }
}

interface Under {
  readonly server: RunningRegistry;
  readonly debug: string;
  /** An upload of which some bytes are missing. */
  readonly upload: Exchange;
  readonly location: string;
}

async function withUpload(sandbox: Sandbox, drainTimeout: string): Promise<Under> {
  const debug = `127.0.0.1:${await freePort()}`;
  const addr = ` addr: ${sandbox.host}\n`;
  const more = ` draintimeout: ${drainTimeout}\n debug: {addr: "${debug}"}\n`;
  await replaceInConfig(sandbox, addr, addr + more);
  const server = await sandbox.start();
  const location = await new PushClient(server.url).beginUpload("team/app");
  const { pathname, search } = new URL(location, server.url);
  const head = `PATCH ${pathname}${search} HTTP/1.1\r\nHost: a\r\nContent-Length: ${content.length}`;
  const upload = exchange(server, `${head}\r\n\r\n${content.toString().slice(0, 7)}`);
  // Answered after it, so the upload has begun.
  for (let n = 0; n < 3; n += 1) await fetch(`${server.url}/v2/`);
  return { server, debug: `http://${debug}`, upload, location };
}

const get = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n";

test(
  "an upload under way ends, new requests get 503, and it exits with 0",
  withSandbox(async (sandbox) => {
    const { server, debug, upload, location } = await withUpload(sandbox, "60s");
    const kept = exchange(server, get);
    await until(() => kept.received().includes("200 OK"));
    expect((await fetch(`${debug}/readyz`)).status).toBe(200);
    const exited = server.stop();
    await until(async () => (await fetch(`${debug}/readyz`)).status === 503);
    await until(async () => (await fetch(`${server.url}/v2/`)).status === 503);
    expect((await fetch(`${server.url}/livez`)).status).toBe(200);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    for (const path of ["/", "/v2/_catalog", "/api/v1/repositories"]) {
      const refused = await fetch(server.url + path);
      expect(refused.status).toBe(503);
      expect(refused.headers.get("retry-after")).toMatch(/^[1-9]/);
      expect(await refused.text()).toContain("UNAVAILABLE");
    }
    kept.socket.write(get);
    await kept.closed;
    expect(kept.received()).toMatch(/503 Service Unavailable\r\n(.*\r\n)*Connection: close\r\n/);
    upload.socket.write(content.subarray(7));
    expect(await exited).toBe(0);
    await upload.closed;
    expect(upload.received()).toMatch(/^HTTP\/1.1 202 Accepted\r\n(.*\r\n)*Connection: close\r\n/);
    const again = new PushClient((await sandbox.start()).url);
    await again.finishUpload(new URL(location).pathname, digestOf(content));
    expect(await again.getBlob("team/app", digestOf(content))).toEqual(new Uint8Array(content));
  }),
);

test(
  "what is under way for longer than http.draintimeout is cut off, and it exits with 0",
  withSandbox(async (sandbox) => {
    const { server, upload } = await withUpload(sandbox, "300ms");
    expect(await server.stop()).toBe(0);
    await upload.closed;
    expect(upload.received()).toBe("");
    expect(await server.log()).toContain("cut off");
  }),
);

for (const second of ["SIGTERM", "SIGINT"] as const) {
  test(
    `a second signal waits for nothing: ${second}`,
    withSandbox(async (sandbox) => {
      const { server, upload, debug } = await withUpload(sandbox, "60s");
      const exited = server.stop();
      await until(async () => (await fetch(`${debug}/readyz`)).status === 503);
      process.kill(server.pid, second);
      expect(await exited).toBe(1);
      await upload.closed;
    }),
  );
}

test(
  "where nothing is under way nothing is waited for",
  withSandbox(async (sandbox) => {
    const { server, upload } = await withUpload(sandbox, "60s");
    upload.socket.write(content.subarray(7));
    await until(() => upload.received().includes("202"));
    const startMs = performance.now();
    expect(await server.stop()).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(10_000);
    await upload.closed;
  }),
);

test(
  "a receiver of traces that takes spans and never answers keeps no stop waiting",
  withSandbox(async (sandbox) => {
    let asked = 0;
    const receiver = createServer(() => {
      asked += 1;
    }).listen(0, "127.0.0.1");
    try {
      await until(() => receiver.listening);
      const { port } = receiver.address() as AddressInfo;
      const endpoint = `http://127.0.0.1:${port}`;
      const server = await sandbox.start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } });
      await fetch(`${server.url}/v2/`);
      const begunMs = performance.now();
      expect(await server.stop()).toBe(0);
      expect(asked).toBeGreaterThan(0);
      expect(performance.now() - begunMs).toBeLessThan(7_000);
    } finally {
      receiver.close();
    }
  }),
);
