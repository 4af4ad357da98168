// Notifications as an endpoint gets them from a whole registry: the classic's envelope, everything that
// was acknowledged, whatever becomes of the endpoint or of the process.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Endpoint } from "./endpoint.ts";
import { pushImage, startServed } from "../observability/served.ts";
import { freePort, startRegistry } from "../support/registry-process.ts";

const roots = mkdtempSync(join(tmpdir(), "plimsoll-notified-"));
afterAll(() => {
  rmSync(roots, { recursive: true, force: true });
});

function configured(port: number, more = ""): string {
  return `notifications:
  endpoints: [{name: one, url: "http://127.0.0.1:${port}/hook", timeout: 5s, backoff: 50ms${more}}]`;
}

describe("notifications", () => {
  test("push, pull, mount and delete, in the classic's envelope", async () => {
    const endpoint = new Endpoint();
    await using served = await startServed(configured(endpoint.port));
    const { origin } = served;
    const headers = { "User-Agent": "tester/1", "X-Request-Id": "id-7" };
    const digest = await pushImage(origin, "team/app", "a layer");
    const [, layer] = await endpoint.until(3);
    const blob = String(layer?.target["digest"]);
    const mount = `${origin}/v2/other/blobs/uploads/?mount=${blob}&from=team/app`;
    expect((await fetch(mount, { method: "POST" })).status).toBe(201);
    await (await fetch(`${origin}/v2/team/app/manifests/latest`, { headers })).text();
    await (await fetch(`${origin}/v2/team/app/blobs/${blob}`)).text();
    await fetch(`${origin}/v2/team/app/manifests/none`);
    await endpoint.until(6);
    await fetch(`${origin}/v2/team/app/manifests/${digest}`, { method: "DELETE" });
    const events = await endpoint.until(7);
    const name = "team/app";
    expect(
      events.map(({ action, target }) => [action, target["repository"], target["tag"]]),
    ).toEqual([
      ["push", name, undefined],
      ["push", name, undefined],
      ["push", name, "latest"],
      ["mount", "other", undefined],
      ["pull", name, "latest"],
      ["pull", name, undefined],
      ["delete", name, undefined],
    ]);
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const { host } = new URL(origin);
    expect(events[2]?.target).toMatchObject({
      mediaType,
      digest,
      repository: name,
      tag: "latest",
      url: `${origin}/v2/team/app/manifests/${digest}`,
    });
    expect(events[2]?.target["size"]).toBe(events[2]?.target["length"]);
    expect(events[3]?.target).toMatchObject({ fromRepository: name, digest: blob });
    expect(events[3]?.target["url"]).toBe(`${origin}/v2/other/blobs/${blob}`);
    expect(events[4]?.request).toMatchObject({
      id: "id-7",
      host,
      method: "GET",
      useragent: "tester/1",
    });
    expect(events[4]?.request["addr"]).toStartWith("127.0.0.1:");
    expect(events[4]?.target).toMatchObject({ mediaType, digest });
    expect(events[6]?.target).toEqual({ digest, repository: name });
    for (const { id, timestamp, source } of events) {
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      expect(Math.abs(Date.now() - Date.parse(timestamp))).toBeLessThan(60_000);
      expect(source.instanceID).toBe(events[0]?.source.instanceID ?? "");
    }
    expect(endpoint.types).toEqual(new Set(["application/vnd.docker.distribution.events.v2+json"]));
    await endpoint.stop();
  });

  test("name who is logged in", async () => {
    const endpoint = new Endpoint();
    const path = join(roots, "htpasswd");
    const hash = await Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 });
    writeFileSync(path, `alice:${hash}\n`);
    const auth = `auth: {htpasswd: {realm: r, path: ${path}}}\n${configured(endpoint.port)}`;
    await using served = await startServed(auth);
    const headers = { Authorization: `Basic ${btoa("alice:pw")}` };
    const body = "x";
    const digest = `sha256:${new Bun.CryptoHasher("sha256").update(body).digest("hex")}`;
    const url = `${served.origin}/v2/app/blobs/uploads/?digest=${digest}`;
    expect((await fetch(url, { method: "POST", body })).status).toBe(401);
    expect((await fetch(url, { method: "POST", body, headers })).status).toBe(201);
    await (await fetch(`${served.origin}/v2/app/blobs/${digest}`, { headers })).text();
    const events = await endpoint.until(2);
    expect(events.map(({ action, actor }) => [action, actor])).toEqual([
      ["push", { name: "alice" }],
      ["pull", { name: "alice" }],
    ]);
    await endpoint.stop();
  });

  test("ignored actions and the older envelope", async () => {
    const endpoint = new Endpoint();
    const v1 = "application/vnd.docker.distribution.events.v1+json";
    const ignoring = `, ignore: {actions: [pull], mediatypes: [application/octet-stream]}, mediatype: ${v1}`;
    await using served = await startServed(configured(endpoint.port, ignoring));
    const digest = await pushImage(served.origin, "app", "x");
    await (await fetch(`${served.origin}/v2/app/manifests/latest`)).text();
    await Bun.sleep(1_200);
    await fetch(`${served.origin}/v2/app/manifests/${digest}`, { method: "DELETE" });
    const events = await endpoint.until(2);
    expect(events.map(({ action }) => action)).toEqual(["push", "delete"]);
    expect(endpoint.types).toEqual(new Set([v1]));
    await endpoint.stop();
  });

  test("an endpoint that hangs or is away slows no push, and gets everything later", async () => {
    const endpoint = new Endpoint();
    endpoint.delayMs = 4_000;
    await using served = await startServed(configured(endpoint.port));
    await pushImage(served.origin, "app", "warm");
    const begunMs = performance.now();
    for (let n = 0; n < 20; n++) await pushImage(served.origin, "app", `layer ${n}`);
    // Had each waited for the endpoint, it would be 80 s.
    expect(performance.now() - begunMs).toBeLessThan(30_000);
    endpoint.delayMs = null;
    await Bun.sleep(50);
    endpoint.delayMs = 0;
    const events = await endpoint.until(63);
    expect(new Set(events.map(({ id }) => id)).size).toBe(63);
    await endpoint.stop();
  }, 90_000);

  test("a stop and a start lose nothing, and new endpoints begin with what happens then", async () => {
    const root = join(roots, "restarted");
    const port = await freePort();
    {
      await using served = await startServed(configured(port), { root });
      await pushImage(served.origin, "app", "one");
    }
    {
      await using served = await startServed(configured(port), { root });
      await pushImage(served.origin, "app", "two");
    }
    const endpoint = new Endpoint(port);
    const other = new Endpoint();
    const both = `notifications:
  endpoints:
    - {name: one, url: "http://127.0.0.1:${port}"}
    - {name: new, url: "http://127.0.0.1:${other.port}"}`;
    await using served = await startServed(both, { root });
    const events = await endpoint.until(6);
    expect(events.filter(({ target }) => target["tag"] === "latest")).toHaveLength(2);
    await pushImage(served.origin, "app", "three");
    await other.until(3);
    expect(other.events).toHaveLength(3);
    await endpoint.stop();
    await other.stop();
  });

  test("after the loss of the index, what is acknowledged from then on is told of", async () => {
    const endpoint = new Endpoint();
    const root = join(roots, "lost");
    // It waits so long after the first failure, and then only finds out about the new index by itself.
    const patient = configured(endpoint.port, ", threshold: 1").replace("50ms", "6s");
    await using served = await startServed(patient, { root });
    endpoint.delayMs = null;
    await pushImage(served.origin, "app", "before");
    await Bun.sleep(1_000);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(root, `plimsoll/index.db${suffix}`));
    const giveUpMs = Date.now() + 5_000;
    let digest = "";
    while (digest === "" && Date.now() < giveUpMs) {
      digest = await pushImage(served.origin, "app", "after").catch(() => "");
    }
    expect(digest).not.toBe("");
    endpoint.delayMs = 0;
    await endpoint.until(3);
    expect(endpoint.events.map(({ target }) => target["digest"])).toContain(digest);
    await endpoint.stop();
  }, 60_000);

  test("a kill right after the answer loses no event of what was acknowledged", async () => {
    const directory = join(roots, "killed");
    const hook = await freePort();
    const host = `127.0.0.1:${await freePort()}`;
    const configPath = `${directory}.yml`;
    writeFileSync(
      configPath,
      `version: 0.1\nstorage: {filesystem: {rootdirectory: ${directory}}}\nhttp: {addr: "${host}"}\n${configured(hook)}\n`,
    );
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round++) {
      const logPath = `${directory}-${round}.log`;
      const registry = await startRegistry({ configPath, host, logPath });
      for (let n = 0; n < 5; n++) {
        acknowledged.push(await pushImage(`http://${host}`, "app", `image ${round} ${n}`));
      }
      await registry.stop("SIGKILL");
    }
    const endpoint = new Endpoint(hook);
    const registry = await startRegistry({ configPath, host, logPath: `${directory}-last.log` });
    await endpoint.until(3 * acknowledged.length);
    const told = endpoint.events.map(({ target }) => target["digest"]);
    for (const digest of acknowledged) expect(told).toContain(digest);
    expect(new Set(endpoint.events.map(({ id }) => id)).size).toBe(3 * acknowledged.length);
    await registry.stop("SIGTERM");
    await endpoint.stop();
  }, 60_000);
});
