// A stop of a server that speaks TLS: an upload that began under an earlier certificate ends like one
// under the present one, and new requests are told 503 meanwhile.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import type { TlsParts } from "../../src/http/tls.ts";
import { certify, handshake, makeCa } from "../support/certificates.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import { rejection, startHarness } from "./harness.ts";

const directory = mkdtempSync(join(tmpdir(), "http-tls-stop-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
const ca = makeCa(directory, "ca");
const [first, second] = ["first", "second"].map((name) => {
  const { certificate, key } = certify(directory, { ca, name });
  return { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
});

interface Upload {
  readonly socket: TLSSocket;
  readonly received: Promise<string>;
}

async function begin(port: number, location: string): Promise<Upload> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  const received = new Promise<string>((resolve) => {
    let text = "";
    socket.on("data", (data: Buffer) => {
      text += data.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      resolve(text);
    });
  });
  socket.write(`PATCH ${location} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { socket, received };
}

test("whatever certificate a request began under, it ends; new ones get 503", async () => {
  if (first === undefined || second === undefined) throw new Error("there are no certificates");
  let current = first;
  let changed = (): void => undefined;
  const tls: TlsParts = {
    certificates: {
      current: () => current,
      onChange: (listener) => {
        changed = listener;
        return () => undefined;
      },
    },
    clients: null,
    minimumVersion: "tls1.2",
    cipherSuites: [],
  };
  const harness = await startHarness(createFakeRegistry, { tls, drainTimeoutMs: 60_000 });
  const { port } = harness.server;
  const locations = await Promise.all(
    ["one", "two"].map(async (name) => {
      const begun = await harness.ask(`/v2/${name}/blobs/uploads/`, { method: "POST" });
      const { pathname, search } = new URL(begun.headers.get("location") ?? "");
      return pathname + search;
    }),
  );
  const earlier = await begin(port, locations[0] ?? "");
  current = second;
  changed();
  while ((await handshake(port))?.commonName !== "second") await Bun.sleep(20);
  const present = await begin(port, locations[1] ?? "");
  const stopped = harness.server.stop();
  expect((await harness.ask("/v2/", { keepalive: false })).status).toBe(503);
  present.socket.write("lo");
  expect(await present.received).toMatch(/^HTTP\/1.1 202 Accepted\r\n(.*\r\n)*Connection: close/);
  // Long enough for a stop that does not know of the other one.
  await Bun.sleep(300);
  expect((await harness.ask("/v2/", { keepalive: false })).status).toBe(503);
  earlier.socket.write("lo");
  expect(await earlier.received).toMatch(/^HTTP\/1.1 202 Accepted\r\n(.*\r\n)*Connection: close/);
  await stopped;
  expect(await rejection(harness.ask("/v2/", { keepalive: false }))).not.toBe("");
});
