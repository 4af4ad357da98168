// How one generation of a TLS listener takes the place of another: what becomes of connections that are
// kept, how many may be alive, and what is done where the kernel cannot be told.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { certificateFiles } from "../../src/http/file-source.ts";
import { runtimeTls, type TlsParts } from "../../src/http/tls.ts";
import { TlsListener, type TlsListenerParts } from "../../src/http/tls-listener.ts";
import { certify, handshake, makeCa } from "../support/certificates.ts";
import { rejection } from "./harness.ts";

const directory = mkdtempSync(join(tmpdir(), "http-tls-listener-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
const ca = makeCa(directory, "ca");
const clock = { now: () => Date.now() };
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const [first, second] = ["first", "second"].map((name) => {
  const files = certificateFiles(certify(directory, { ca, name }), { clock, logger: silent });
  files.close();
  return files.current();
});

/** `/held` is answered when it is let go; all else at once. */
function start(more: Partial<TlsListenerParts> = {}) {
  if (first === undefined || second === undefined) throw new Error("there are no certificates");
  const turns = [first, second];
  let at = 0;
  let changed = (): void => undefined;
  const tls: TlsParts = {
    certificates: {
      current: () => turns[at % 2] ?? first,
      onChange: (listener) => {
        changed = listener;
        return () => undefined;
      },
    },
    clients: null,
    minimumVersion: "tls1.2",
    cipherSuites: [],
  };
  const held: (() => void)[] = [];
  const lines: string[] = [];
  const log = (text: string): void => void lines.push(text);
  let port = 0;
  const trouble = { with: "" };
  const listener = new TlsListener({
    tls,
    logger: { info: log, warn: log, error: log },
    listener: {
      fetch: async (request) => {
        if (!request.url.endsWith("/held")) return new Response("hello");
        await new Promise<void>((resolve) => {
          held.push(resolve);
        });
        return new Response("held");
      },
      error: () => new Response(null, { status: 500 }),
    },
    open: (own) => {
      if (trouble.with !== "") throw new Error(trouble.with);
      const where = { port, hostname: "127.0.0.1", reusePort: true, idleTimeout: 0 };
      const server = Bun.serve({ ...own, ...where, tls: runtimeTls(tls) });
      port = server.port ?? 0;
      return server;
    },
    ...more,
  });
  const ask = (path: string): Promise<Response> => {
    const init = { tls: { rejectUnauthorized: false }, keepalive: false };
    return fetch(`https://127.0.0.1:${port}${path}`, init);
  };
  const turn = async (): Promise<void> => {
    at += 1;
    changed();
    await Bun.sleep(30);
  };
  const served = async () => (await handshake(port))?.commonName;
  const hold = async () => {
    const answer = ask("/held").then((response) => response.text());
    const before = held.length;
    while (held.length === before) await Bun.sleep(1);
    return { answer };
  };
  return { listener, lines, held, ask, turn, served, hold, port: () => port, trouble };
}

/** A connection that is kept; what is answered on it. */
async function kept(port: number) {
  let text = "";
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  const closed = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
  socket.on("data", (data: Buffer) => (text += data.toString("latin1")));
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => void socket.once("secureConnect", () => resolve()));
  const ask = async (): Promise<string> => {
    text = "";
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!text.endsWith("hello")) await Bun.sleep(1);
    return text;
  };
  return { ask, closed };
}

test("a connection that is kept is asked to close by the next answer, and is closed after a while", async () => {
  const { listener, turn, served, port } = start({ lingerMs: 300 });
  const [one, other] = [await kept(port()), await kept(port())];
  expect(await one.ask()).not.toMatch(/^connection: close/im);
  await turn();
  expect(await served()).toBe("second");
  expect(await one.ask()).toMatch(/^connection: close/im);
  await one.closed;
  await other.closed;
  // The kernel's order has changed with the listener that is gone.
  expect(await served()).toBe("second");
  await turn();
  expect(await served()).toBe("first");
  await listener.stop(true);
});

test("of many new certificates in short time each is served, and none costs a request", async () => {
  const { listener, ask, turn, served, hold, held } = start();
  const { answer } = await hold();
  for (let change = 1; change <= 12; change += 1) {
    await turn();
    expect(await served()).toBe(change % 2 === 0 ? "first" : "second");
    expect((await ask("/")).status).toBe(200);
  }
  held[0]?.();
  expect(await answer).toBe("held");
  await listener.stop(true);
});

test("so many that requests hold too many alive wait until one has ended; a stop waits for none", async () => {
  const { listener, turn, served, hold, held, lines } = start();
  const answers: Promise<string>[] = [];
  for (let change = 0; change < 16; change += 1) {
    answers.push((await hold()).answer);
    await turn();
  }
  expect(lines).toEqual([
    "http.tls: requests are under way with 16 certificates; the new one is used when those of one are over",
  ]);
  expect(await served()).toBe("second");
  held[0]?.();
  expect(await answers[0]).toBe("held");
  await Bun.sleep(50);
  expect(await served()).toBe("first");
  answers.push((await hold()).answer);
  await turn();
  for (const answer of answers) answer.catch(() => undefined);
  await listener.stop(true);
  for (const answer of answers.slice(1)) expect(await rejection(answer)).not.toBe("");
});

test("a stop and a new certificate in the same moment leave nothing that listens, whichever is first", async () => {
  for (const stopIsFirst of [true, false]) {
    const { listener, turn, ask } = start();
    const [one, other] = stopIsFirst
      ? [() => listener.stop(), turn]
      : [turn, () => listener.stop()];
    await Promise.all([one(), other()]);
    await turn();
    expect(await rejection(ask("/"))).not.toBe("");
  }
});

test("where the kernel cannot be told, requests under way end, and the new certificate is served", async () => {
  const { listener, turn, served, hold, held } = start({ steering: () => Promise.resolve(null) });
  const { answer } = await hold();
  await turn();
  for (let time = 0; time < 10; time += 1) expect(await served()).toBe("second");
  held[0]?.();
  expect(await answer).toBe("held");
  await turn();
  for (let time = 0; time < 10; time += 1) expect(await served()).toBe("first");
  await listener.stop(true);
});

test("a certificate that cannot be used is told, the old one stays, and it is tried again", async () => {
  const { listener, lines, turn, served, trouble } = start({ retryMs: 100 });
  trouble.with = "descriptors";
  await turn();
  await Bun.sleep(350);
  expect(lines).toEqual([
    "http.tls: a new certificate cannot be used: descriptors; the old one stays, and it is tried again every minute",
  ]);
  expect(await served()).toBe("first");
  trouble.with = "";
  await Bun.sleep(250);
  expect(await served()).toBe("second");
  expect(lines).toHaveLength(1);
  trouble.with = "descriptors";
  await turn();
  await listener.stop(true);
  trouble.with = "";
  await Bun.sleep(250);
  expect(await served()).toBeUndefined();
});
