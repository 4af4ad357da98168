// Immutable tags, quotas and the load line, as clients meet them: a text of a configuration in, answers out.
import { describe, expect, test } from "bun:test";
import { boundsOf } from "../../src/compose/config-mapping.ts";
import { loadConfig } from "../../src/config/index.ts";
import { digestOf } from "../../src/oci/index.ts";
import { DiskWatch } from "../../src/pressure/index.ts";
import {
  errorIn,
  type Harness,
  imageManifest,
  manifestInit,
  startHarness,
  withParameter,
} from "./harness.ts";
import { createRealRegistry } from "./real-registry.ts";

function start(yaml: string): Promise<Harness> {
  const text = `version: 0.1\nstorage: inmemory\n${yaml}\n`;
  const { config } = loadConfig({ path: "config.yml", env: {}, readFile: () => text });
  return startHarness(() => createRealRegistry(undefined, { bounds: boundsOf(config) }));
}

async function refusal(response: Response): Promise<string> {
  const { code, message } = await errorIn(response);
  return `${response.status} ${code} ${message}`;
}

async function manifestOf(harness: Harness, repository: string, text: string): Promise<string> {
  const config = await harness.pushBlob(repository, `{"of":"${text}"}`);
  return imageManifest({ config, layers: [await harness.pushBlob(repository, text)] });
}

describe("immutable tags", () => {
  const rule = `immutable: [{name: releases, repositories: ["release/*"], tags: ["v*"]}]`;

  test("moving one is denied and says which tag, by which rule, and what to do", async () => {
    await using harness = await start(rule);
    const digest = await harness.pushImage("release/app", "v1", "one");
    const path = "/v2/release/app/manifests/v1";
    await harness.pushImage("release/app", "v1", "one");
    const other = await manifestOf(harness, "release/app", "two");
    expect(await refusal(await harness.ask(path, manifestInit(other)))).toBe(
      `403 DENIED the tag v1 of release/app is immutable by the rule "releases": it names ${digest} and cannot be moved; use another tag, or have the rule changed in the registry's configuration (immutable)`,
    );
    const head = await harness.ask(path, { method: "HEAD" });
    expect(head.headers.get("docker-content-digest")).toBe(digest);
    // The bytes of the manifest that was refused have not stayed.
    const two = digestOf(Buffer.from(other));
    expect((await harness.ask(`/v2/release/app/blobs/${two}`)).status).toBe(404);
  });

  test("several tags in one push: all or nothing", async () => {
    await using harness = await start(rule);
    await harness.pushImage("release/app", "v1", "one");
    const manifest = await manifestOf(harness, "release/app", "two");
    const digest = digestOf(Buffer.from(manifest));
    const path = `/v2/release/app/manifests/${digest}?tag=latest&tag=v1&tag=v2`;
    expect((await harness.ask(path, manifestInit(manifest))).status).toBe(403);
    const tags = await harness.ask("/v2/release/app/tags/list");
    expect(await tags.json()).toEqual({ name: "release/app", tags: ["v1"] });
  });

  test("neither the tag nor its manifest can be deleted; other tags can", async () => {
    await using harness = await start(rule);
    const digest = await harness.pushImage("release/app", "v1");
    await harness.pushImage("release/app", "latest");
    for (const reference of ["v1", digest]) {
      const path = `/v2/release/app/manifests/${reference}`;
      expect(await refusal(await harness.ask(path, { method: "DELETE" }))).toMatch(
        /^403 DENIED the tag v1 of release\/app is immutable by the rule "releases": neither it nor what it names can be deleted/,
      );
    }
    const latest = "/v2/release/app/manifests/latest";
    expect((await harness.ask(latest, { method: "DELETE" })).status).toBe(202);
    await harness.pushImage("other/app", "v1", "one");
    await harness.pushImage("other/app", "v1", "two");
    const path = "/v2/other/app/manifests/v1";
    expect((await harness.ask(path, { method: "DELETE" })).status).toBe(202);
  });
});

describe("quotas", () => {
  test("denied with the quota, the use, the limit and who to ask; a warning from 80 % on", async () => {
    await using harness = await start(
      `quotas: [{name: ci, repositories: ["ci/**"], tags: 5, contact: ops@example.com}]`,
    );
    for (const tag of ["1", "2", "3"]) await harness.pushImage("ci/app", tag);
    const manifest = manifestInit(await manifestOf(harness, "ci/app", "four"));
    const near = await harness.ask("/v2/ci/app/manifests/4", manifest);
    expect(near.status).toBe(201);
    expect(near.headers.get("warning")).toBe(
      '299 - "quota ci: ci/app holds 4 tags of 5 (80%); for more ask ops@example.com"',
    );
    expect((await harness.ask("/v2/ci/app/manifests/5", manifest)).status).toBe(201);
    expect(await refusal(await harness.ask("/v2/ci/app/manifests/6", manifest))).toBe(
      '403 DENIED the quota "ci" allows ci/app 5 tags, and with this it would hold 6 tags; delete what is not needed; for more ask ops@example.com',
    );
    // Once more what is there.
    expect((await harness.ask("/v2/ci/app/manifests/5", manifest)).status).toBe(201);
    await harness.pushImage("other", "1");
    const path = "/v2/ci/app/manifests/1";
    expect((await harness.ask(path, { method: "DELETE" })).status).toBe(202);
    expect((await harness.ask("/v2/ci/app/manifests/6", manifest)).status).toBe(201);
  });

  test("no warning below", async () => {
    await using harness = await start(`quotas: [{name: q, repositories: ["**"], manifests: 5}]`);
    const manifest = manifestInit(await manifestOf(harness, "app", "one"));
    const put = await harness.ask("/v2/app/manifests/1", manifest);
    expect(put.headers.has("warning")).toBe(false);
  });

  test("an upload whose size is known is refused before its bytes are read", async () => {
    await using harness = await start(`quotas: [{name: q, repositories: ["**"], bytes: 2kB}]`);
    const big = Buffer.alloc(3000, 7);
    const digest = digestOf(big);
    const at = (query: string): string => `/v2/app/blobs/uploads/${query}`;
    const whole = await harness.ask(at(`?digest=${digest}`), { method: "POST", body: big });
    expect(await refusal(whole)).toBe(
      '403 DENIED the quota "q" allows app 2,000 bytes, and with this it would hold 3,000 bytes; delete what is not needed',
    );
    const begun = await harness.ask(at(""), { method: "POST" });
    const location = begun.headers.get("location");
    const part = await harness.go(location, { method: "PATCH", body: big.subarray(0, 1500) });
    expect(part.status).toBe(202);
    const rest = part.headers.get("location");
    const more = await harness.go(rest, { method: "PATCH", body: big.subarray(1500) });
    expect(more.status).toBe(403);
    const end = withParameter(rest, "digest", digest);
    const put = await harness.go(end, { method: "PUT", body: big.subarray(1500) });
    expect(put.status).toBe(403);
    // The session goes on with what still fits.
    const small = withParameter(rest, "digest", digestOf(big.subarray(0, 1500)));
    expect((await harness.go(small, { method: "PUT" })).status).toBe(201);
  });

  test("what is there already can be sent again", async () => {
    await using harness = await start(`quotas: [{name: q, repositories: ["**"], bytes: 8kB}]`);
    const layer = "x".repeat(3000);
    await harness.pushImage("app", "1", layer);
    const path = `/v2/app/blobs/uploads/?digest=${digestOf(Buffer.from(layer))}`;
    expect((await harness.ask(path, { method: "POST", body: layer })).status).toBe(201);
  });
});

describe("the load line", () => {
  interface Disk {
    usedBytes: number;
    nowMs?: number;
  }
  const startAt = async (use: Disk): Promise<Harness> => {
    const watch = new DiskWatch({
      space: {
        name: "the disk",
        measure: async () => ({ usedBytes: use.usedBytes, capacityBytes: 100_000 }),
      },
      marks: { warn: 80, collect: 90, refuse: 95 },
      clock: { now: () => use.nowMs ?? 0 },
      timers: { set: () => () => undefined },
      log: { info: () => undefined, warn: () => undefined },
    });
    return await startHarness(() => createRealRegistry(undefined, { loadLine: watch }));
  };

  test("above it pushes are refused, with 507 and what to do; everything else goes on", async () => {
    const use: Disk = { usedBytes: 0 };
    await using harness = await startAt(use);
    const digest = await harness.pushImage("app", "1", "one");
    const manifest = await manifestOf(harness, "app", "two");
    const begun = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    const location = begun.headers.get("location");
    const sent = await harness.go(location, { method: "PATCH", body: "here already" });
    Object.assign(use, { usedBytes: 95_000, nowMs: 1_000 });
    const post = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    expect(post.headers.get("retry-after")).toBe("30");
    expect(await refusal(post)).toMatch(
      /^507 DENIED the registry takes no pushes now: the disk is 95.0% full, and may be filled to 95% \(storage.watermark.refuse\)/,
    );
    const patch = await harness.go(sent.headers.get("location"), { method: "PATCH", body: "x" });
    expect(patch.status).toBe(507);
    const put = await harness.ask("/v2/app/manifests/2", manifestInit(manifest));
    expect(put.status).toBe(507);
    const one = `/v2/app/blobs/${digestOf(Buffer.from("one"))}`;
    expect((await harness.ask("/v2/app/manifests/1")).status).toBe(200);
    expect((await harness.ask(one, { method: "HEAD" })).status).toBe(200);
    const mount = `/v2/b/blobs/uploads/?mount=${digestOf(Buffer.from("one"))}&from=app`;
    expect((await harness.ask(mount, { method: "POST" })).status).toBe(201);
    // All of its bytes are there: it needs no more room.
    const end = withParameter(location, "digest", digestOf(Buffer.from("here already")));
    expect((await harness.go(end, { method: "PUT" })).status).toBe(201);
    const path = `/v2/app/manifests/${digest}`;
    expect((await harness.ask(path, { method: "DELETE" })).status).toBe(202);
    Object.assign(use, { usedBytes: 50_000, nowMs: 2_000 });
    expect((await harness.ask("/v2/app/manifests/2", manifestInit(manifest))).status).toBe(201);
  });

  test("an upload that would carry the disk over it is refused, a smaller one is not", async () => {
    await using harness = await startAt({ usedBytes: 90_000 });
    const big = Buffer.alloc(5_001, 1);
    const at = (body: Uint8Array): string => `/v2/app/blobs/uploads/?digest=${digestOf(body)}`;
    expect(await refusal(await harness.ask(at(big), { method: "POST", body: big }))).toMatch(
      /^507 DENIED the registry takes no pushes now: the disk has no room for these 5,001 bytes/,
    );
    const small = big.subarray(0, 3_000);
    expect((await harness.ask(at(small), { method: "POST", body: small })).status).toBe(201);
  });

  test("it is no fault of the registry, and no line of its log", async () => {
    await using harness = await startAt({ usedBytes: 99_000 });
    await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    expect(harness.lines.filter(({ message }) => message.includes("unexpectedly"))).toEqual([]);
  });
});
