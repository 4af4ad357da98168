// TLS: who gets in, with which version and suite, and certificates that change under load.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificateFiles, clientCaFiles, type Watching } from "../../src/http/file-source.ts";
import type { CertificateSource, TlsParts } from "../../src/http/tls.ts";
import { certify, handshake, type KeyPair, makeCa } from "../support/certificates.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import { type Harness, RawConnection, rejection, startHarness } from "./harness.ts";
import type { Outcome } from "./tls-client.ts";

setDefaultTimeout(60_000);

const directory = mkdtempSync(join(tmpdir(), "http-tls-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
const ca = makeCa(directory, "ca");
const first = certify(directory, { ca, name: "first" });
const second = certify(directory, { ca, name: "second" });
const withRsa = certify(directory, { ca, name: "with-rsa", kind: "rsa" });
const alice = certify(directory, { ca, name: "alice" });
const mallory = certify(directory, { ca: makeCa(directory, "other-ca"), name: "mallory" });

const lines: string[] = [];
const log = (text: string): void => void lines.push(text);
const logger = { info: log, warn: log, error: log };
let nowMs = Date.now();
const clock = { now: () => nowMs };
const watch = { clock, logger };

function tlsOf(pair: KeyPair, more: Partial<TlsParts> = {}): TlsParts {
  const certificates = certificateFiles(pair, watch);
  return { certificates, clients: null, minimumVersion: "tls1.2", cipherSuites: [], ...more };
}

function start(tls: TlsParts, more: object = {}): Promise<Harness> {
  return startHarness(createFakeRegistry, { tls, ...more });
}

describe("with TLS", () => {
  test("locations and links are https, unless a proxy says otherwise; peers are known", async () => {
    await using harness = await start(tlsOf(first));
    const post = (headers: Record<string, string> = {}) =>
      harness.ask("/v2/app/blobs/uploads/", { method: "POST", headers });
    expect((await post()).headers.get("location")).toStartWith(`${harness.origin}/v2/app/`);
    const proxied = await post({ "X-Forwarded-Proto": "http" });
    expect(proxied.headers.get("location")).toStartWith("http://127.0.0.1:");
    await harness.pushImage("app", "v1");
    await harness.pushImage("app", "v2");
    expect((await harness.ask("/v2/app/tags/list?n=1")).status).toBe(200);
    expect(harness.accesses[0]?.remoteAddress).toBe("127.0.0.1");
  });

  test("who does not speak it gets no answer", async () => {
    await using harness = await start(tlsOf(first));
    const connection = await RawConnection.open(harness.server.port);
    connection.send("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    await connection.closed();
    expect(harness.accesses).toEqual([]);
  });

  test("a port that is taken is never shared, whoever came first", async () => {
    await using harness = await start(tlsOf(first));
    const listen = { kind: "tcp", hostname: "127.0.0.1", port: harness.server.port } as const;
    const inUse = /cannot listen on 127\.0\.0\.1:\d+: .*in use/;
    expect(await rejection(start(tlsOf(second), { listen }))).toMatch(inUse);
    expect(await rejection(startHarness(createFakeRegistry, { listen }))).toMatch(inUse);
    await using plain = await startHarness(createFakeRegistry);
    const other = { ...listen, port: plain.server.port };
    expect(await rejection(start(tlsOf(first), { listen: other }))).toMatch(inUse);
    expect((await handshake(harness.server.port))?.commonName).toBe("first");
  });

  test("on a unix socket", async () => {
    const path = join(directory, "registry.sock");
    const listen = { kind: "unix", path } as const;
    await using _harness = await start(tlsOf(first), { listen });
    const tls = { rejectUnauthorized: false };
    expect((await fetch("https://registry/v2/", { unix: path, tls })).status).toBe(200);
  });
});

describe("versions and suites", () => {
  const weak = "ALL:@SECLEVEL=0";
  const meets = async (tls: TlsParts): Promise<Record<string, string | undefined>> => {
    await using harness = await start(tls);
    const met: Record<string, string | undefined> = {};
    for (const version of ["tls1", "tls1_1", "tls1_2", "tls1_3"]) {
      const found = await handshake(harness.server.port, `-${version}`, "-cipher", weak);
      if (found !== null) met[version] = found.suite;
    }
    return met;
  };
  const aes256 = "TLS_AES_256_GCM_SHA384";

  test("the oldest version that is accepted", async () => {
    const from = (minimumVersion: TlsParts["minimumVersion"]) =>
      meets(tlsOf(withRsa, { minimumVersion })).then(Object.keys);
    expect(await from("tls1.0")).toEqual(["tls1", "tls1_1", "tls1_2", "tls1_3"]);
    expect(await from("tls1.1")).toEqual(["tls1_1", "tls1_2", "tls1_3"]);
    expect(await from("tls1.2")).toEqual(["tls1_2", "tls1_3"]);
    expect(await from("tls1.3")).toEqual(["tls1_3"]);
  });

  test("suites up to TLS 1.2 are those of the configuration", async () => {
    const only = (...cipherSuites: string[]) => meets(tlsOf(withRsa, { cipherSuites }));
    expect(await only("ECDHE-RSA-AES128-GCM-SHA256")).toEqual({
      tls1_2: "ECDHE-RSA-AES128-GCM-SHA256",
      tls1_3: aes256,
    });
    expect(await only("ECDHE-ECDSA-AES128-GCM-SHA256")).toEqual({ tls1_3: aes256 });
  });
});

describe("client certificates", () => {
  const asClient = (pair: KeyPair | null) => {
    const own = pair === null ? {} : { cert: Bun.file(pair.certificate), key: Bun.file(pair.key) };
    return { tls: { rejectUnauthorized: false, ...own }, keepalive: false };
  };
  const clientsOf = (authorities: string[], verified: boolean) => ({
    clients: { authorities: clientCaFiles(authorities, watch), verified },
  });

  test("are required, and looked at before any handler is", async () => {
    await using harness = await start(tlsOf(first, clientsOf([ca.certificate], true)));
    const as = (pair: KeyPair | null) => harness.ask("/v2/", asClient(pair));
    expect((await as(alice)).status).toBe(200);
    expect(await rejection(as(null))).not.toBe("");
    expect(await rejection(as(mallory))).not.toBe("");
    expect(harness.accesses).toHaveLength(1);
  });

  test("may be asked for without being looked at", async () => {
    await using harness = await start(tlsOf(first, clientsOf([ca.certificate], false)));
    for (const pair of [alice, null, mallory]) {
      expect((await harness.ask("/v2/", asClient(pair))).status).toBe(200);
    }
  });

  test("of a CA that is added later are accepted from then on", async () => {
    const trusted = join(directory, "trusted.pem");
    copyFileSync(ca.certificate, trusted);
    const parts = clientsOf([trusted], true);
    await using harness = await start(tlsOf(first, parts));
    const as = (pair: KeyPair | null) => harness.ask("/v2/", asClient(pair));
    expect(await rejection(as(mallory))).not.toBe("");
    copyFileSync(join(directory, "other-ca.pem"), trusted);
    parts.clients.authorities.readAgain();
    await Bun.sleep(100);
    expect((await as(mallory)).status).toBe(200);
    expect(await rejection(as(alice))).not.toBe("");
  });
});

/** Files that begin as a copy of a pair and can be replaced by another one's. */
function replaceable(name: string, pair: KeyPair) {
  const paths = {
    certificate: join(directory, `${name}.pem`),
    key: join(directory, `${name}.key`),
  };
  let stamp = 1_700_000_000;
  const replace = (by: Partial<KeyPair>): void => {
    for (const which of ["certificate", "key"] as const) {
      const from = by[which];
      if (from === undefined) continue;
      copyFileSync(from, paths[which]);
      // Else two changes in one tick of the file system's clock could look like one.
      utimesSync(paths[which], stamp, stamp);
      stamp += 1;
    }
  };
  replace(pair);
  return { paths, replace };
}

/** Its own certificate, and half of the next one, as while it is written. */
const cutOff =
  readFileSync(first.certificate, "utf8") + readFileSync(ca.certificate, "utf8").slice(0, 200);

function lookLater(source: Watching): void {
  nowMs += 2_000;
  source.look();
}

describe("a certificate whose files change", () => {
  test("is served at the second look, the first sees that they are still being written", async () => {
    const { paths, replace } = replaceable("changing", first);
    const certificates = certificateFiles(paths, watch);
    await using harness = await start(tlsOf(first, { certificates }));
    const served = async () => (await handshake(harness.server.port))?.commonName;
    replace({ certificate: second.certificate });
    lookLater(certificates);
    replace({ key: second.key });
    lookLater(certificates);
    expect(await served()).toBe("first");
    lookLater(certificates);
    await Bun.sleep(100);
    expect(await served()).toBe("second");
    expect(lines.at(-1)).toMatch(
      /^http\.tls: the certificate is for .*localhost.*, serial [0-9A-F]+, valid from .* until /,
    );
  });

  test.each<[string, (paths: KeyPair) => void, RegExp]>([
    ["of another key", (to) => copyFileSync(second.key, to.key), /it is not the key of the cert/],
    ["without a key", (to) => rmSync(to.key), /\.key cannot be used: ENOENT/],
    ["whose chain is cut off", (to) => writeFileSync(to.certificate, cutOff), /not whole/],
    ["that is none", (to) => writeFileSync(to.certificate, "-"), /it holds no PEM certificate/],
    ["too large", (to) => writeFileSync(to.key, Buffer.alloc(2 ** 21)), /larger than 1048576/],
  ])("%s is refused with a line, and the old one stays", async (name, spoil, expected) => {
    const { paths, replace } = replaceable(`spoilt ${name}`, first);
    const certificates = certificateFiles(paths, watch);
    await using harness = await start(tlsOf(first, { certificates }));
    spoil(paths);
    lookLater(certificates);
    lookLater(certificates);
    lookLater(certificates);
    expect(lines.at(-1)).toMatch(expected);
    expect(lines.at(-1)).toEndWith("; what was read before stays");
    expect(lines.filter((line) => line === lines.at(-1))).toHaveLength(1);
    expect((await handshake(harness.server.port))?.commonName).toBe("first");
    replace(second);
    lookLater(certificates);
    lookLater(certificates);
    await Bun.sleep(100);
    expect((await handshake(harness.server.port))?.commonName).toBe("second");
  });

  test("that is not valid now is served, with a warning", () => {
    const warnings: string[] = [];
    const warn = (text: string): void => void warnings.push(text);
    const later = { now: () => Date.now() + 21 * 24 * 3_600_000 };
    certificateFiles(first, { clock: later, logger: { ...logger, warn } }).close();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toEndWith(": not now, and clients will refuse it");
    certificateFiles(first, { clock, logger: { ...logger, warn } }).close();
    expect(warnings).toHaveLength(1);
  });

  test("and that is the same as before changes nothing", () => {
    const { paths, replace } = replaceable("same", first);
    const certificates = certificateFiles(paths, watch);
    let changes = 0;
    certificates.onChange(() => (changes += 1));
    replace(first);
    lookLater(certificates);
    lookLater(certificates);
    expect(changes).toBe(0);
    certificates.close();
  });
});

/** A source that gives one certificate after the other. */
function turning(pairs: readonly KeyPair[]): CertificateSource & { turn(): void } {
  const sources = pairs.map((pair) => certificateFiles(pair, watch).current());
  const listeners = new Set<() => void>();
  let at = 0;
  return {
    current: () => sources[at % sources.length] ?? { certificate: "", key: "" },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    turn: () => {
      at += 1;
      for (const listener of listeners) listener();
    },
  };
}

describe("under load", () => {
  test("ten new certificates cost not one request, and end no upload and no download", async () => {
    const root = mkdtempSync(join(directory, "root-"));
    const certificates = turning([first, second]);
    const registry = createFakeRegistry({ directory: root });
    const tls = tlsOf(first, { certificates });
    await using harness = await startHarness(() => registry, { tls });
    const blob = new Uint8Array(48 * 1024 * 1024).fill(7);
    const digest = await harness.pushBlob("app", blob);
    const begun = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    const { pathname, search } = new URL(begun.headers.get("location") ?? "");
    const client = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, "tls-client.ts"),
        String(harness.server.port),
        "5000",
        pathname + search,
        `/v2/app/blobs/${digest}`,
      ],
      { stdout: "pipe" },
    );
    await Bun.sleep(1_000);
    for (let change = 0; change < 10; change += 1) {
      certificates.turn();
      await Bun.sleep(300);
    }
    const outcome = JSON.parse(await client.stdout.text()) as Outcome;
    expect(outcome.failures).toEqual({});
    expect(outcome.fresh).toBeGreaterThan(100);
    expect(outcome.kept).toBeGreaterThan(100);
    expect(Object.keys(outcome.met).sort()).toEqual(["first", "second"]);
    expect(outcome.uploadedBytes).toBe(outcome.sentBytes);
    expect(outcome.downloadedBytes).toBe(blob.byteLength);
    // From the moment of a change on, nobody meets the old one.
    for (const name of ["second", "first", "second"]) {
      certificates.turn();
      await Bun.sleep(20);
      const met = await Promise.all(
        Array.from({ length: 20 }, () => handshake(harness.server.port)),
      );
      expect(new Set(met.map((one) => one?.commonName))).toEqual(new Set([name]));
    }
  });

  test("a stop waits for what is under way with an old certificate, and then cuts", async () => {
    for (const drainTimeoutMs of [60_000, 1]) {
      const certificates = turning([first, second]);
      const harness = await start(tlsOf(first, { certificates }), { drainTimeoutMs });
      const begun = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
      const sent = Promise.withResolvers<void>();
      const body = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.from("hel");
        await sent.promise;
        yield Buffer.from("lo");
      };
      const answer = harness.go(begun.headers.get("location"), { method: "PATCH", body: body() });
      answer.catch(() => undefined);
      await Bun.sleep(50);
      for (let change = 0; change < 7; change += 1) {
        certificates.turn();
        await Bun.sleep(20);
      }
      const stopped = harness.server.stop();
      if (drainTimeoutMs === 1) {
        await stopped;
        expect(await rejection(answer)).not.toBe("");
      } else {
        await Bun.sleep(50);
        sent.resolve();
        expect((await answer).headers.get("range")).toBe("0-4");
        await stopped;
      }
      expect(await rejection(harness.ask("/v2/"))).not.toBe("");
      sent.resolve();
    }
  });
});

test("no line of the log shows a key", () => {
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.join("\n")).not.toContain("PRIVATE");
});
