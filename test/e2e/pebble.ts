// The real pebble, a CA that speaks ACME, beside a registry: for it every name leads to 127.0.0.1, where it
// asks for challenges on a port that the test chooses.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { certify, makeCa } from "../support/certificates.ts";
import { freePort } from "../support/registry-process.ts";
import { programPath } from "./clients.ts";

export interface PebbleOptions {
  /** Where it asks whether a host is the client's. */
  readonly challengePort: number;
  /** Of a certificate; five years without. */
  readonly validSeconds?: number;
}

export interface Pebble {
  readonly directoryUrl: string;
  /** Of the CA that certifies pebble itself, for NODE_EXTRA_CA_CERTS. */
  readonly caPath: string;
  /** The root that its certificates lead to, as a file. */
  rootPath(): Promise<string>;
  /** Orders that it took so far; it refuses some at random, to be asked again. */
  orders(): Promise<number>;
  stop(): Promise<void>;
}

export async function startPebble(directory: string, options: PebbleOptions): Promise<Pebble> {
  const home = join(directory, "pebble");
  await mkdir(home);
  const ca = makeCa(home, "pebble-ca");
  const own = certify(home, { ca, name: "pebble" });
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()];
  const [directoryAt, management, dns, challenges] = ports.map((port) => `127.0.0.1:${port}`);
  const configuration = {
    listenAddress: directoryAt,
    managementListenAddress: management,
    certificate: own.certificate,
    privateKey: own.key,
    httpPort: options.challengePort,
    tlsPort: await freePort(),
    ocspResponderURL: "",
    externalAccountBindingRequired: false,
    certificateValidityPeriod: options.validSeconds ?? 0,
  };
  const configPath = join(home, "pebble.json");
  await writeFile(configPath, JSON.stringify({ pebble: configuration }));
  const none = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""];
  const names = ["-defaultIPv4", "127.0.0.1", "-dns01", dns ?? "", "-management", challenges ?? ""];
  const logPath = join(home, "pebble.log");
  const children = [
    start("pebble-challtestsrv", [...none, ...names], join(home, "dns.log")),
    start("pebble", ["-config", configPath, "-dnsserver", dns ?? ""], logPath),
  ];
  const stop = async (): Promise<void> => {
    for (const child of children) await child.end();
  };
  const trusted = { tls: { ca: await readFile(ca.certificate, "utf8") } };
  try {
    await listening(`https://${directoryAt}/dir`, trusted);
  } catch (error) {
    await stop();
    throw new Error(`pebble does not answer:\n${await readFile(logPath, "utf8")}`, {
      cause: error,
    });
  }
  return {
    directoryUrl: `https://${directoryAt}/dir`,
    caPath: ca.certificate,
    rootPath: async () => {
      const root = await fetch(`https://${management}/roots/0`, trusted);
      const path = join(home, "root.pem");
      await writeFile(path, await root.text());
      return path;
    },
    orders: async () => (await readFile(logPath, "utf8")).split("Added order ").length - 1,
    stop,
  };
}

function start(program: string, args: string[], logPath: string): { end(): Promise<void> } {
  const log = openSync(logPath, "a");
  // Without it, it waits at random before it asks.
  const env = { ...process.env, PEBBLE_VA_NOSLEEP: "1" };
  const child: ChildProcess = spawn(programPath(program) ?? program, args, {
    env,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const ended = once(child, "exit");
  const killAtExit = (): void => void child.kill("SIGKILL");
  process.once("exit", killAtExit);
  return {
    end: async () => {
      process.removeListener("exit", killAtExit);
      if (child.exitCode === null) child.kill("SIGKILL");
      await ended;
    },
  };
}

async function listening(url: string, init: BunFetchRequestInit): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    try {
      await (await fetch(url, init)).arrayBuffer();
      return;
    } catch {
      await Bun.sleep(20);
    }
  }
  throw new Error(`${url} does not answer`);
}
