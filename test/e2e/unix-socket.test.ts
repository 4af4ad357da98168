// A registry on a unix socket: pushed to and pulled from, stopped, killed, and never in another's place.
import { existsSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import { makeImage } from "../support/images.ts";
import { productCommand, registry } from "../support/registry-process.ts";
import { replaceInConfig, type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const image = makeImage("unix-socket", [10_000]);

/** With a socket in place of a port; its path. */
async function onSocket(sandbox: Sandbox): Promise<string> {
  const socket = join(sandbox.directory, "registry.sock");
  await replaceInConfig(sandbox, ` addr: ${sandbox.host}\n`, ` addr: ${socket}\n net: unix\n`);
  return socket;
}

/** Locations are absolute, at the host that the client names, and lead through the same socket. */
async function ask(unix: string, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(new URL(path, "http://registry"), { ...init, unix });
}

async function push(unix: string, repository: string): Promise<void> {
  for (const { bytes, digest } of [...image.layers, image.config]) {
    const begun = await ask(unix, `/v2/${repository}/blobs/uploads/`, { method: "POST" });
    const location = begun.headers.get("location") ?? "";
    expect(location).toStartWith(`http://registry/v2/${repository}/blobs/uploads/`);
    const finish = `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;
    expect((await ask(unix, finish, { method: "PUT", body: bytes })).status).toBe(201);
  }
  const headers = { "Content-Type": image.manifest.mediaType };
  const path = `/v2/${repository}/manifests/v1`;
  const put = await ask(unix, path, { method: "PUT", body: image.manifest.bytes, headers });
  expect(put.status).toBe(201);
}

async function pull(unix: string, repository: string): Promise<void> {
  const manifest = await ask(unix, `/v2/${repository}/manifests/v1`);
  expect(await manifest.bytes()).toEqual(new Uint8Array(image.manifest.bytes));
  for (const { bytes, digest } of image.layers) {
    const blob = await ask(unix, `/v2/${repository}/blobs/${digest}`);
    expect(await blob.bytes()).toEqual(new Uint8Array(bytes));
  }
}

test(
  "push, pull, a command beside it; a stop takes the socket away, after a kill the next one does",
  withSandbox(async (sandbox) => {
    const socket = await onSocket(sandbox);
    const first = await sandbox.start({ socket });
    await push(socket, "team/app");
    await pull(socket, "team/app");
    expect(await sandbox.command("garbage-collect")).toMatchObject({ exitCode: 0 });
    expect(await first.stop()).toBe(0);
    expect(existsSync(socket)).toBe(false);
    const second = await sandbox.start({ socket });
    await second.stop("SIGKILL");
    expect(existsSync(socket)).toBe(true);
    await sandbox.start({ socket });
    await pull(socket, "team/app");
  }),
);

test(
  "its mode is what the umask leaves",
  withSandbox(async (sandbox) => {
    const socket = await onSocket(sandbox);
    for (const [umask, mode] of [
      ["0077", 0o700],
      ["0007", 0o770],
    ] as const) {
      const command = ["sh", "-c", `umask ${umask}; exec "$@"`, "sh", ...productCommand];
      const server = await sandbox.start({ socket, command });
      expect((statSync(socket).mode & 0o777).toString(8)).toBe(mode.toString(8));
      await server.stop();
    }
  }),
);

test(
  "a server on another root does not take the socket of one that answers",
  withSandbox(async (sandbox) => {
    const socket = await onSocket(sandbox);
    await sandbox.start({ socket });
    await push(socket, "team/app");
    const config = await readFile(sandbox.configPath, "utf8");
    const other = join(sandbox.directory, "other.yml");
    await writeFile(other, config.replace(sandbox.root, join(sandbox.directory, "other")));
    const refused = await registry(["serve", other]);
    expect([refused.exitCode, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`another server listens on ${socket}`) as string,
    ]);
    await pull(socket, "team/app");
  }),
);
