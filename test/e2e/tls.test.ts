// TLS with the real clients: a CA of one's own, client certificates, and certificates replaced while the
// server runs. What docs/transport.md tells people to type is what is typed here.
import { appendFile, copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { certify, handshake, type KeyPair, makeCa } from "../support/certificates.ts";
import { makeImage, writeLayout } from "../support/images.ts";
import { registry } from "../support/registry-process.ts";
import { type Client, type ClientName, createClient, describeWith } from "./clients.ts";
import { outputOf, replaceInConfig, type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(120_000);

const image = makeImage("tls", [64 * 1024, 2 * 1024 * 1024]);

interface World {
  readonly ca: KeyPair;
  readonly server: KeyPair;
  readonly alice: KeyPair;
  /** As clients look for them: ca.crt, client.cert, client.key. */
  certDirectory(name: string, client?: KeyPair): Promise<string>;
}

/** Certificates, and a configuration that uses them. */
async function secure(sandbox: Sandbox, more = ""): Promise<World> {
  const at = join(sandbox.directory, "certificates");
  const ca = makeCa(at, "ca");
  const server = certify(at, { ca, name: "server" });
  const alice = certify(at, { ca, name: "alice" });
  const tls = ` tls:\n  certificate: ${server.certificate}\n  key: ${server.key}\n`;
  const addr = ` addr: ${sandbox.host}\n`;
  await replaceInConfig(sandbox, addr, addr + tls + more.replaceAll("CA", ca.certificate));
  const certDirectory = async (name: string, client?: KeyPair): Promise<string> => {
    const directory = join(sandbox.directory, name);
    await mkdir(directory);
    await copyFile(ca.certificate, join(directory, "ca.crt"));
    if (client !== undefined) {
      await copyFile(client.certificate, join(directory, "client.cert"));
      await copyFile(client.key, join(directory, "client.key"));
    }
    return directory;
  };
  return { ca, server, alice, certDirectory };
}

const trusting = ({ alice }: World): Bun.TLSOptions => ({
  rejectUnauthorized: false,
  cert: Bun.file(alice.certificate),
  key: Bun.file(alice.key),
});

async function layoutIn(sandbox: Sandbox): Promise<string> {
  const directory = join(sandbox.directory, "layout");
  await writeLayout(directory, { v1: image });
  return `oci:${directory}:v1`;
}

/** Push and pull with these certificates; what the client says, and whether it was all right. */
function commandsOf(name: ClientName, client: Client, sandbox: Sandbox) {
  const target = `docker://${sandbox.host}/team/app:v1`;
  if (name === "skopeo") {
    const copy = (from: string, to: string, flags: readonly string[]) =>
      client.command("copy", "--quiet", ...flags, from, to);
    return {
      push: (layout: string, certs: string) => copy(layout, target, ["--dest-cert-dir", certs]),
      pull: (certs: string) => {
        const to = `dir:${join(sandbox.directory, "pulled")}`;
        return copy(target, to, ["--src-cert-dir", certs]);
      },
    };
  }
  return {
    push: async (layout: string, certs: string) => {
      const loaded = await client.command("pull", "--quiet", layout);
      const id = loaded.stdout.trim();
      return await client.command("push", "--quiet", "--cert-dir", certs, id, target);
    },
    pull: async (certs: string) => {
      await client.command("rmi", "--all", "--force");
      return await client.command("pull", "--quiet", "--cert-dir", certs, target.slice(9));
    },
  };
}

for (const name of ["skopeo", "podman", "buildah"] as const) {
  describeWith([name, "openssl"], `${name} with TLS`, () => {
    test(
      "pushes and pulls with the CA, and refuses a server that it does not know",
      withSandbox(async (sandbox) => {
        const world = await secure(sandbox);
        await sandbox.start({ tls: trusting(world) });
        const layout = await layoutIn(sandbox);
        const commands = commandsOf(name, await createClient(name, sandbox.directory), sandbox);
        const certs = await world.certDirectory("certs");
        const pushed = await commands.push(layout, certs);
        expect([pushed.exitCode, outputOf(pushed)]).toEqual([0, outputOf(pushed)]);
        const pulled = await commands.pull(certs);
        expect([pulled.exitCode, outputOf(pulled)]).toEqual([0, outputOf(pulled)]);
        const none = join(sandbox.directory, "none");
        await mkdir(none);
        const refused = await commands.pull(none);
        expect(refused.exitCode).not.toBe(0);
        expect(outputOf(refused)).toMatch(/certificate signed by unknown authority/);
      }),
    );

    test(
      "shows its certificate where one is required, and is refused without",
      withSandbox(async (sandbox) => {
        const world = await secure(sandbox, "  clientcas: [CA]\n");
        await sandbox.start({ tls: trusting(world) });
        const layout = await layoutIn(sandbox);
        const commands = commandsOf(name, await createClient(name, sandbox.directory), sandbox);
        const without = await commands.push(layout, await world.certDirectory("without"));
        expect(without.exitCode).not.toBe(0);
        expect(outputOf(without)).toMatch(/certificate required|bad certificate|handshake failure/);
        const certs = await world.certDirectory("with", world.alice);
        const pushed = await commands.push(layout, certs);
        expect([pushed.exitCode, outputOf(pushed)]).toEqual([0, outputOf(pushed)]);
        const pulled = await commands.pull(certs);
        expect([pulled.exitCode, outputOf(pulled)]).toEqual([0, outputOf(pulled)]);
      }),
    );
  });
}

describeWith(["openssl"], "a server with TLS", () => {
  test(
    "takes a new certificate from its files while it runs",
    withSandbox(async (sandbox) => {
      const world = await secure(sandbox);
      const server = await sandbox.start({ tls: trusting(world) });
      const port = Number(sandbox.host.split(":")[1]);
      expect((await handshake(port))?.commonName).toBe("server");
      const renewed = certify(join(sandbox.directory, "renewed"), {
        ca: world.ca,
        name: "renewed",
      });
      await copyFile(renewed.certificate, world.server.certificate);
      await copyFile(renewed.key, world.server.key);
      const deadlineMs = Date.now() + 20_000;
      for (;;) {
        const met = await handshake(port);
        if (met?.commonName === "renewed") break;
        expect([met?.commonName, Date.now() < deadlineMs]).toEqual(["server", true]);
        await Bun.sleep(200);
      }
      const log = await server.log();
      expect(log).toContain(`listening on ${sandbox.host}, tls`);
      expect(log).not.toContain("PRIVATE");
      expect(await server.stop()).toBe(0);
    }),
  );

  test(
    "tells endpoints URLs that lead back by https, and logs who asked",
    withSandbox(async (sandbox) => {
      const events: { target: { url?: string }; request: { host: string; addr: string } }[] = [];
      const endpoint = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: async (request) => {
          events.push(...((await request.json()) as { events: typeof events }).events);
          return new Response("");
        },
      });
      const where = `http://127.0.0.1:${endpoint.port}/hook`;
      const notifications = `notifications: {endpoints: [{name: one, url: "${where}"}]}\n`;
      await appendFile(sandbox.configPath, notifications);
      const world = await secure(sandbox);
      const server = await sandbox.start({ tls: trusting(world) });
      const init = { method: "POST", body: "a layer", tls: { ca: Bun.file(world.ca.certificate) } };
      const digest = `sha256:${new Bun.CryptoHasher("sha256").update("a layer").digest("hex")}`;
      const pushed = await fetch(`${server.url}/v2/app/blobs/uploads/?digest=${digest}`, init);
      expect(pushed.status).toBe(201);
      const blobUrl = `https://${sandbox.host}/v2/app/blobs/${digest}`;
      expect(pushed.headers.get("location")).toBe(blobUrl);
      while (events.length === 0) await Bun.sleep(20);
      expect(events[0]?.target.url).toBe(blobUrl);
      expect(events[0]?.request.host).toBe(sandbox.host);
      expect(events[0]?.request.addr).toMatch(/^127\.0\.0\.1:\d+$/);
      expect(await server.log()).toMatch(/http\.request\.remoteaddr="127\.0\.0\.1:\d+"/);
      await endpoint.stop(true);
    }),
  );

  test.each([
    ["key", "ENOENT: no such file", "/nowhere/key"],
    ["certificate", "ENOENT: no such file", "/nowhere/certificate"],
    ["key", "it is not the key of the certificate", ""],
  ])("does not start with a %s that cannot be used: %s", (key, reason, path) =>
    withSandbox(async (sandbox) => {
      const world = await secure(sandbox);
      const used = path === "" ? world.alice.key : path;
      await replaceInConfig(
        sandbox,
        `${key}: ${world.server[key as keyof KeyPair]}`,
        `${key}: ${used}`,
      );
      const result = await registry(["serve", sandbox.configPath]);
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toContain(
        `registry: http.tls.${key}: ${used} cannot be used: ${reason}`,
      );
    })(),
  );
});

describe("commands", () => {
  test(
    "do not need the certificates",
    withSandbox(async (sandbox) => {
      const text = ` addr: ${sandbox.host}\n`;
      const tls = `${text} tls: {certificate: /nowhere/c, key: /nowhere/k}\n`;
      await replaceInConfig(sandbox, text, tls);
      expect((await sandbox.command("garbage-collect")).exitCode).toBe(0);
    }),
  );
});
