// Certificates from a CA: the registry asks the real pebble for one, shows it, renews it while requests go
// on, and uses what it has kept after a restart. What fails never stops it.
import { readdirSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import {
  classicCommand,
  freePort,
  run,
  runOk,
  type RunningRegistry,
  startRegistry,
} from "../support/registry-process.ts";
import { describeWith } from "./clients.ts";
import { type Pebble, type PebbleOptions, startPebble } from "./pebble.ts";
import { outputOf, replaceInConfig, type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(120_000);

const hosts = ["registry.example.com", "mirror.example.com"];

interface Around {
  readonly sandbox: Sandbox;
  readonly pebble: Pebble;
  readonly cache: string;
  readonly challengePort: number;
  readonly debug: string;
  readonly start: () => Promise<RunningRegistry>;
}

function besidePebble(
  body: (around: Around) => Promise<void>,
  options: Partial<PebbleOptions> = {},
): () => Promise<void> {
  return withSandbox(async (sandbox) => {
    const challengePort = await freePort();
    const pebble = await startPebble(sandbox.directory, { challengePort, ...options });
    const cache = join(sandbox.directory, "acme");
    const tls = ` tls:
  letsencrypt:
   cachefile: ${cache}
   email: ops@example.com
   hosts: [${hosts.join(", ")}]
   directoryurl: ${pebble.directoryUrl}
   challengeaddr: 127.0.0.1:${challengePort}
`;
    const debug = `127.0.0.1:${await freePort()}`;
    const metrics = ` debug: {addr: "${debug}", prometheus: {enabled: true}}\n`;
    const addr = ` addr: ${sandbox.host}\n`;
    await replaceInConfig(sandbox, addr, addr + tls + metrics);
    const env = { NODE_EXTRA_CA_CERTS: pebble.caPath };
    const start = () => sandbox.start({ env, tls: { rejectUnauthorized: false } });
    try {
      await body({ sandbox, pebble, cache, challengePort, start, debug: `http://${debug}` });
    } finally {
      await pebble.stop();
    }
  });
}

/** curl believes nothing but the CA's root, for the host's name. The exit code, and what was answered. */
async function asked({ sandbox, pebble }: Around, host: string): Promise<string> {
  const [, port = ""] = sandbox.host.split(":");
  const to = ["--resolve", `${host}:${port}:127.0.0.1`, `https://${host}:${port}/v2/`];
  const trust = ["--cacert", await pebble.rootPath()];
  const { exitCode, stdout } = await run(["curl", "-sS", ...trust, "-w", " %{http_code}", ...to]);
  return `${exitCode} ${stdout}`;
}

const containing = (text: string): string => expect.stringContaining(text) as string;

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!(await what())) {
    if (performance.now() > endMs) throw new Error("it never came");
    await Bun.sleep(50);
  }
}

/** The certificate that is shown, by its serial number. */
async function shown({ sandbox }: Around, host = hosts[0] ?? ""): Promise<string> {
  const to = `-connect ${sandbox.host} -servername ${host}`;
  const client = `openssl s_client ${to} </dev/null 2>/dev/null`;
  const { stdout } = await runOk(["sh", "-c", `${client} | openssl x509 -noout -serial`]);
  return stdout;
}

const programs = ["pebble", "pebble-challtestsrv", "openssl", "curl"];

describeWith(programs, "http.tls.letsencrypt", () => {
  test(
    "gets a certificate for all hosts, and after a restart uses it without asking again",
    besidePebble(async (around) => {
      const { pebble, cache, challengePort, start } = around;
      // It answers from the first moment on, with a certificate that nobody vouches for.
      const first = await start();
      await until(async () => (await asked(around, hosts[0] ?? "")).startsWith("0"));
      for (const host of hosts) expect(await asked(around, host)).toBe("0 {} 200");
      expect((await asked(around, "other.example.com")).split(" ")[0]).toBe("60");
      expect(await pebble.orders()).toBe(1);

      expect(readdirSync(cache).sort()).toEqual([
        "acme_account+key",
        "plimsoll_directory",
        "registry.example.com",
      ]);
      const modes = readdirSync(cache).map((name) => statSync(join(cache, name)).mode & 0o777);
      expect([...modes, statSync(cache).mode & 0o777]).toEqual([0o600, 0o600, 0o600, 0o700]);
      expect(await first.log()).not.toContain("PRIVATE");

      const plain = `http://127.0.0.1:${challengePort}`;
      const init = { headers: { Host: hosts[1] ?? "" }, redirect: "manual" } as const;
      const redirected = await fetch(`${plain}/v2/_catalog?n=1`, init);
      expect(redirected.status).toBe(302);
      expect(redirected.headers.get("location")).toBe(`https://${hosts[1]}/v2/_catalog?n=1`);
      const unknown = await fetch(`${plain}/.well-known/acme-challenge/${"a".repeat(43)}`, init);
      expect(unknown.status).toBe(404);

      const serial = await shown(around);
      expect(await first.stop()).toBe(0);
      const second = await start();
      expect(await shown(around)).toBe(serial);
      for (const host of hosts) expect(await asked(around, host)).toBe("0 {} 200");
      expect(await pebble.orders()).toBe(1);
      expect(await second.stop()).toBe(0);
      expect(await second.log()).toContain("the kept certificate is for");
    }),
  );

  test(
    "renews it before it ends, and no request fails meanwhile",
    besidePebble(
      async (around) => {
        // The account is found again without one, too.
        await replaceInConfig(around.sandbox, "   email: ops@example.com\n", "");
        await around.start();
        const [host = ""] = hosts;
        await until(async () => (await asked(around, host)).startsWith("0"));
        const serials = new Set<string>();
        const answers = new Set<string>();
        await until(async () => {
          answers.add(await asked(around, host));
          serials.add(await shown(around));
          return serials.size === 3;
        });
        expect([...answers]).toEqual(["0 {} 200"]);
        expect(await around.pebble.orders()).toBe(3);
        const metrics = await (await fetch(`${around.debug}/metrics`)).text();
        const [, ends = ""] =
          /expiry_timestamp_seconds{source="letsencrypt"} (\d+)/.exec(metrics) ?? [];
        expect(Math.abs(Number(ends) - Date.now() / 1000)).toBeLessThan(25);
        // Whoever is killed now has it all the same.
        const kept = await readFile(join(around.cache, host), "utf8");
        expect(kept).toMatch(/^-----BEGIN PRIVATE KEY-----[^]*-----END CERTIFICATE-----\n$/);
      },
      { validSeconds: 20 },
    ),
  );

  test("goes on without one when the CA does not get through", async () => {
    const wrong = { challengePort: await freePort() };
    await besidePebble(async ({ pebble, start, cache }) => {
      const server = await start();
      const log = async () =>
        (await server.log()).includes("no certificate for registry.example.com");
      await until(log);
      expect(await server.log()).toContain("tried again in 5 minutes");
      const answer = await fetch(`${server.url}/v2/`, { tls: { rejectUnauthorized: false } });
      expect(answer.status).toBe(200);
      expect(readdirSync(cache)).toEqual(["acme_account+key"]);
      expect(await pebble.orders()).toBe(1);
      expect(await server.stop()).toBe(0);
    }, wrong)();
  });

  test(
    "does not start where the CA could not be answered, or nothing be kept",
    besidePebble(async ({ sandbox, cache, challengePort }) => {
      const other = Bun.serve({
        port: challengePort,
        hostname: "127.0.0.1",
        fetch: () => new Response(),
      });
      try {
        const taken = await sandbox.command("serve");
        expect([taken.exitCode, outputOf(taken)]).toEqual([
          1,
          containing("letsencrypt.challengeaddr: cannot listen"),
        ]);
      } finally {
        await other.stop(true);
      }
      await replaceInConfig(sandbox, cache, "/dev/null/acme");
      const refused = await sandbox.command("serve");
      expect([refused.exitCode, outputOf(refused)]).toEqual([
        1,
        containing("letsencrypt.cachefile: the directory cannot"),
      ]);
    }),
  );

  test(
    "starts, serves and stops while there is no CA",
    besidePebble(async ({ pebble, start }) => {
      await pebble.stop();
      const server = await start();
      const answer = await fetch(`${server.url}/v2/`, { tls: { rejectUnauthorized: false } });
      expect(answer.status).toBe(200);
      const startMs = performance.now();
      expect(await server.stop()).toBe(0);
      expect(performance.now() - startMs).toBeLessThan(10_000);
    }),
  );
});

describeWith([...programs, "docker-registry"], "the classic registry", () => {
  test(
    "goes on with the certificate that was kept",
    besidePebble(async (around) => {
      const { sandbox, pebble, cache, start } = around;
      const [host = ""] = hosts;
      const ours = await start();
      await until(async () => (await asked(around, host)).startsWith("0"));
      const serial = await shown(around, host);
      await ours.stop();
      const configPath = join(sandbox.directory, "classic.yml");
      const tls = `tls: {letsencrypt: {cachefile: ${cache}, email: ops@example.com, hosts: [${host}]}}`;
      const http = `http: {addr: "${sandbox.host}", ${tls}}`;
      await writeFile(configPath, `version: 0.1\nstorage: inmemory\n${http}\n`);
      const classic = await startRegistry({
        command: classicCommand,
        configPath,
        host: sandbox.host,
        logPath: join(sandbox.directory, "classic.log"),
        // It shows its certificate only to who asks for the host by name.
        tls: { rejectUnauthorized: false, serverName: host },
      });
      try {
        expect(await shown(around, host)).toBe(serial);
        expect(await pebble.orders()).toBe(1);
      } finally {
        await classic.stop("SIGKILL");
      }
    }),
  );
});
