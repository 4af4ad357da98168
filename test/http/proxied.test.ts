// Requests that come through a proxy: whom the logs name, and where answers send the client next.
import { describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/index.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import { imageManifest, manifestInit, startHarness, textLike } from "./harness.ts";
import { createRealRegistry } from "./real-registry.ts";

const layer = digestOf(Buffer.from("layer"));

const throughProxies = { "X-Forwarded-For": "1.1.1.1, 203.0.113.7, 127.0.0.9" };

describe("whom the logs name", () => {
  test("is whom a trusted proxy names", async () => {
    const trustedProxies = { unix: false, networks: [{ address: "127.0.0.0", bits: 8 }] };
    await using harness = await startHarness(createFakeRegistry, { trustedProxies });
    await harness.ask("/v2/", { headers: throughProxies });
    expect(harness.lines.at(-1)?.fields["http.request.remoteaddr"]).toBe("203.0.113.7");
    expect(harness.accesses.at(-1)?.remoteAddress).toBe("203.0.113.7");
  });

  test("holds the leases of its pushes, apart from others behind the same proxy (INV-5)", async () => {
    const trustedProxies = { unix: false, networks: [{ address: "127.0.0.1", bits: 32 }] };
    const registry = createFakeRegistry();
    const callers: string[] = [];
    const begin: Registry["uploads"]["begin"] = (repository, by) => {
      callers.push(by.caller);
      return registry.uploads.begin(repository, by);
    };
    const watched = { ...registry, uploads: { ...registry.uploads, begin } };
    await using harness = await startHarness(() => watched, { trustedProxies });
    for (const from of ["203.0.113.7", "203.0.113.8", "2001:DB8::8"]) {
      const headers = { "X-Forwarded-For": from };
      await harness.ask("/v2/app/blobs/uploads/", { method: "POST", headers });
    }
    await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    expect(callers).toEqual(["203.0.113.7", "203.0.113.8", "2001:db8::8", "127.0.0.1"]);
  });

  test("is the peer, when it is not trusted", async () => {
    const trustedProxies = { unix: true, networks: [{ address: "203.0.113.0", bits: 24 }] };
    await using harness = await startHarness(createFakeRegistry, { trustedProxies });
    await harness.ask("/v2/", { headers: throughProxies });
    const named = harness.lines.at(-1)?.fields["http.request.remoteaddr"];
    expect(named).toEqual(textLike(/^127\.0\.0\.1:\d+$/));
    expect(harness.accesses.at(-1)?.remoteAddress).toBe("127.0.0.1");
  });
});

describe("behind a proxy that has the registry below a path and takes the path off", () => {
  const host = "https://example.com/registry";

  test("http.host with that path is in front of every location and link", async () => {
    await using harness = await startHarness(createRealRegistry, { host });
    const begun = await harness.ask("/v2/team/app/blobs/uploads/", { method: "POST" });
    expect(begun.headers.get("location")).toStartWith(`${host}/v2/team/app/blobs/uploads/`);
    const direct = begun.headers.get("location")?.replace(host, "") ?? "";
    const put = await harness.ask(`${direct}${direct.includes("?") ? "&" : "?"}digest=${layer}`, {
      method: "PUT",
      body: "layer",
    });
    expect(put.headers.get("location")).toBe(`${host}/v2/team/app/blobs/${layer}`);
    const manifest = imageManifest({ config: layer, layers: [layer] });
    for (const tag of ["a", "b"]) {
      const pushed = await harness.ask(`/v2/team/app/manifests/${tag}`, manifestInit(manifest));
      expect(pushed.headers.get("location")).toStartWith(`${host}/v2/team/app/manifests/sha256:`);
    }
    const tags = await harness.ask("/v2/team/app/tags/list?n=1");
    expect(tags.headers.get("link")).toBe(
      '</registry/v2/team/app/tags/list?last=a&n=1>; rel="next"',
    );
  });

  test("http.relativeurls comes first", async () => {
    await using harness = await startHarness(createRealRegistry, { host, relativeUrls: true });
    const begun = await harness.ask("/v2/team/app/blobs/uploads/", { method: "POST" });
    expect(begun.headers.get("location")).toStartWith("/v2/team/app/blobs/uploads/");
  });
});
