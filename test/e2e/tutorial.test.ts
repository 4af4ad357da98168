// The tutorial story, with each real client against a running server: push 60 MB, look at the disk,
// delete, look, garbage-collect, look, push again. Answers, headers, lines and disk usage are checked.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, setDefaultTimeout, test } from "bun:test";

import type { Image } from "../support/images.ts";
import { makeImage, writeLayout } from "../support/images.ts";
import type { Pulled } from "../support/push-client.ts";
import { PushClient } from "../support/push-client.ts";
import type { CommandResult } from "../support/registry-process.ts";
import { runOk } from "../support/registry-process.ts";
import type { ClientName } from "./clients.ts";
import { createClient, describeWith } from "./clients.ts";
import type { Sandbox } from "./sandbox.ts";
import { diskUsageKib, withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const repository = "xcb/centos";
const mebibyte = 1024 * 1024;
const storyTimeoutMs = 120_000;
/** What is left of the classic tree after the story, everything included. */
const treeKibMax = 108;
/** Some 80 pages of tables, of indexes and of the schema, the log, and what is kept for a full disk. */
const plimsollKibMax = 512;

const image = makeImage("tutorial", [40 * mebibyte, 20 * mebibyte]);

for (const client of ["skopeo", "podman", "buildah"] as const) {
  describeWith([client, "curl"], `tutorial story with ${client}`, () => {
    const running = withSandbox((sandbox) => story(sandbox, client, false));
    test("collects while the server runs", running, storyTimeoutMs);
  });
}

describeWith(["skopeo", "curl"], "tutorial story", () => {
  const stopped = withSandbox((sandbox) => story(sandbox, "skopeo", true));
  test("collects while the server is stopped", stopped, storyTimeoutMs);
});

async function story(sandbox: Sandbox, name: ClientName, stops: boolean): Promise<void> {
  const layout = join(sandbox.directory, "layout");
  await writeLayout(layout, { latest: image });
  const client = await createClient(name, sandbox.directory);
  const target = `${sandbox.host}/${repository}:latest`;
  const server = await sandbox.start();
  const http = new PushClient(server.url);

  await client.push(`oci:${layout}:latest`, target);
  const pushed = await http.pull(repository, "latest");
  expectSameContent(pushed, image);
  expect(await humanDiskUsage(sandbox.root)).toMatch(/^6[12]M$/);

  await expectClassicDelete(`${server.url}/v2/${repository}/manifests/${pushed.digest}`);
  expect(await humanDiskUsage(sandbox.root)).toMatch(/^6[12]M$/);

  if (stops) expect(await server.stop()).toBe(0);
  const collected = await sandbox.command("garbage-collect");
  expectClassicLines(collected, [pushed.digest, ...pushed.blobs.keys()]);
  expect(await diskUsageKib(sandbox.root, "plimsoll")).toBeLessThanOrEqual(treeKibMax);
  const plimsollKib = await diskUsageKib(join(sandbox.root, "plimsoll"));
  expect(plimsollKib).toBeLessThanOrEqual(plimsollKibMax);
  if (stops) await sandbox.start();

  for (const reference of ["latest", pushed.digest]) {
    expect(await http.statusOf(`/v2/${repository}/manifests/${reference}`)).toBe(404);
  }
  for (const digest of pushed.blobs.keys()) {
    expect(await http.statusOf(`/v2/${repository}/blobs/${digest}`)).toBe(404);
  }
  const refused = await client.pull(target);
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toMatch(/manifest unknown|name unknown|repository name not known/i);
  expect(await http.repositories()).not.toContain(repository);

  await client.push(`oci:${layout}:latest`, target);
  const pulled = await client.pull(target);
  expect(pulled).toMatchObject({ exitCode: 0, stdout: image.config.digest.slice(7) });
  const again = await http.pull(repository, "latest");
  expectSameContent(again, image);
  expect(again.digest).toBe(pushed.digest);
  expect(await http.repositories()).toEqual([repository]);
}

/** Clients may compress again, so layers are compared by what is inside. */
function expectSameContent(pulled: Pulled, wanted: Image): void {
  const blobs = new Map(pulled.blobs);
  expect(blobs.get(wanted.config.digest)).toEqual(wanted.config.bytes);
  blobs.delete(wanted.config.digest);
  const diffIds = [...blobs.values()].map((bytes) => {
    return `sha256:${createHash("sha256").update(gunzipSync(bytes)).digest("hex")}`;
  });
  expect(diffIds.sort()).toEqual(wanted.layers.map((layer) => layer.diffId).sort());
}

/** Up to half a MiB of it is the log of the index, until a collection or a stop empties it. */
async function humanDiskUsage(root: string): Promise<string> {
  const { stdout } = await runOk(["du", "-sch", root]);
  const [line = "", total = ""] = stdout.split("\n");
  expect(total).toBe(line.replace(/\t.*/, "\ttotal"));
  return line.split("\t")[0] ?? "";
}

async function expectClassicDelete(url: string): Promise<void> {
  const { stdout } = await runOk(["curl", "-sS", "-I", "-X", "DELETE", url]);
  const [status, ...lines] = stdout.trim().split("\r\n");
  expect(status).toBe("HTTP/1.1 202 Accepted");
  const headers = lines.filter((line) => !/^(date|connection|keep-alive):/i.test(line));
  expect(headers.sort()).toEqual([
    "Content-Length: 0",
    "Docker-Distribution-Api-Version: registry/2.0",
    "X-Content-Type-Options: nosniff",
  ]);
}

function expectClassicLines(result: CommandResult, digests: readonly string[]): void {
  expect(result.exitCode, `${result.stdout}\n${result.stderr}`).toBe(0);
  expect(result.stdout).toMatch(
    /^0 blobs marked, 4 blobs and \d+ manifests eligible for deletion$/m,
  );
  expect(digests).toHaveLength(4);
  for (const digest of digests) {
    const hex = digest.slice("sha256:".length);
    const path = `/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}`;
    expect(result.stdout.split(`blob eligible for deletion: ${digest}\n`)).toHaveLength(2);
    expect(result.stderr.split(`Deleting blob: ${path}`)).toHaveLength(2);
  }
  expect(result.stdout + result.stderr).toMatch(/^.*\d.*reclaimed|reclaimed.*\d.*$/im);
}
