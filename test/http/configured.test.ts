// What config.yml says, through to the wire: a text of a configuration in, a request's answer out.
import { describe, expect, test } from "bun:test";
import { httpOptions, manifestValidation } from "../../src/compose/config-mapping.ts";
import { loadConfig } from "../../src/config/index.ts";
import { type Digest, digestOf, mediaTypes } from "../../src/oci/index.ts";
import { type Harness, errorIn, imageManifest, manifestInit, startHarness } from "./harness.ts";
import { createRealRegistry } from "./real-registry.ts";

function start(yaml: string): Promise<Harness> {
  const text = `version: 0.1\nstorage: inmemory\n${yaml}\n`;
  const { config } = loadConfig({ path: "config.yml", env: {}, readFile: () => text });
  const { listen: _, ...options } = httpOptions(config);
  return startHarness(() => createRealRegistry(manifestValidation(config)), options);
}

describe("catalog.maxentries and tags.maxtags", () => {
  test("bound a page", async () => {
    await using harness = await start("catalog: {maxentries: 2}\ntags: {maxtags: 2}");
    for (const tag of ["a", "b", "c"]) {
      await harness.pushImage("app", tag);
      await harness.pushImage(`app/${tag}`, "v1");
    }
    const catalog = await harness.ask("/v2/_catalog");
    expect(await catalog.json()).toEqual({ repositories: ["app", "app/a"] });
    expect(catalog.headers.get("link")).toContain("n=2");
    expect((await harness.ask("/v2/_catalog?n=2")).status).toBe(200);
    const tooMany = await harness.ask("/v2/_catalog?n=3");
    expect([tooMany.status, (await errorIn(tooMany)).code]).toEqual([
      400,
      "PAGINATION_NUMBER_INVALID",
    ]);
    const tags = await harness.ask("/v2/app/tags/list?n=3");
    expect(await tags.json()).toEqual({ name: "app", tags: ["a", "b"] });
    expect(tags.headers.get("link")).toContain("last=b");
  });
});

const childOf = (digest: Digest, platform?: object): object => {
  return { mediaType: mediaTypes.ociManifest, digest, size: 5, ...(platform ? { platform } : {}) };
};
const missing = digestOf(Buffer.from("a child that was never pushed"));
const amd64 = childOf(missing, { os: "linux", architecture: "amd64" });
const arm64 = childOf(missing, { os: "linux", architecture: "arm64", variant: "v8" });

async function pushIndex(harness: Harness, manifests: readonly object[]): Promise<string> {
  const index = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  const init = manifestInit(index, mediaTypes.ociIndex);
  const response = await harness.ask("/v2/app/manifests/index", init);
  return response.status === 201 ? "201" : `${response.status} ${(await errorIn(response)).code}`;
}

describe("validation.manifests.indexes", () => {
  const list = (platforms: string): string =>
    `validation: {manifests: {indexes: {platforms: list, platformlist: [${platforms}]}}}`;
  const linuxAmd64 = list("{architecture: amd64, os: linux}");
  const refused = "400 MANIFEST_BLOB_UNKNOWN";
  test.each<[string, object, string]>([
    ["", amd64, refused],
    ["validation: {manifests: {indexes: {platforms: all}}}", childOf(missing), refused],
    ["validation: {manifests: {indexes: {platforms: none}}}", amd64, "201"],
    [linuxAmd64, amd64, refused],
    [linuxAmd64, arm64, "201"],
    [linuxAmd64, childOf(missing), "201"],
    [list("{architecture: arm64, os: linux}"), arm64, refused],
    [list("{architecture: arm64, os: linux, variant: v7}"), arm64, "201"],
    [list("{architecture: arm64, os: linux, variant: v8}"), arm64, refused],
    ["validation: {disabled: true}", amd64, "201"],
    ["validation: {enabled: true, disabled: true}", amd64, refused],
  ])("%p: an index of a missing %j is %s", async (yaml, child, expected) => {
    await using harness = await start(yaml);
    expect(await pushIndex(harness, [child])).toBe(expected);
  });
});

describe("validation.manifests.urls", () => {
  const urls = (rules: string): string => `validation: {manifests: {urls: {${rules}}}}`;
  const inside = "https://layers.example.com/a";
  const refused = "400 MANIFEST_INVALID";
  test.each<[string, string, string]>([
    ["", inside, "201"],
    ["", "ftp://layers.example.com/a", refused],
    ["", `${inside}#fragment`, refused],
    ["", "no url at all", refused],
    [urls('allow: ["^https://layers\\\\.example\\\\.com/"]'), inside, "201"],
    [urls('allow: ["^https://layers\\\\.example\\\\.com/"]'), "https://evil.example.com/", refused],
    [urls('deny: ["/a$"]'), inside, refused],
    [urls('deny: ["/b$"]'), inside, "201"],
    [urls('allow: ["^https://"], deny: ["example"]'), inside, refused],
    [urls('allow: ["^$"]'), inside, refused],
    [`validation: {disabled: true, manifests: {urls: {deny: ["."]}}}`, inside, "201"],
  ])("%p: a foreign layer at %p is %s", async (yaml, url, expected) => {
    await using harness = await start(yaml);
    const config = await harness.pushBlob("app", "{}");
    const foreign = {
      mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      digest: missing,
      size: 5,
      urls: [url],
    };
    const manifest = imageManifest({ config, more: { layers: [foreign] } });
    const response = await harness.ask("/v2/app/manifests/v1", manifestInit(manifest));
    const said =
      response.status === 201 ? "201" : `${response.status} ${(await errorIn(response)).code}`;
    expect(said).toBe(expected);
  });
});

describe("http", () => {
  test("prefix, host and headers", async () => {
    await using harness = await start(
      "http: {prefix: /reg, host: 'https://r.example.com', headers: {X-One: [a, b]}}",
    );
    const begun = await harness.ask("/reg/v2/app/blobs/uploads/", { method: "POST" });
    expect(begun.status).toBe(202);
    expect(begun.headers.get("location")).toStartWith("https://r.example.com/reg/v2/app/blobs/");
    expect(begun.headers.get("x-one")).toBe("a, b");
    expect((await harness.ask("/v2/app/blobs/uploads/", { method: "POST" })).status).toBe(404);
  });

  test("relativeurls", async () => {
    await using harness = await start("http: {relativeurls: true, host: 'https://r.example.com'}");
    const begun = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    expect(begun.headers.get("location")).toStartWith("/v2/app/blobs/uploads/");
  });
});
