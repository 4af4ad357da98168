// Deleting, and the settings that forbid it: storage.delete.enabled, read-only mode.
import { describe, expect, test } from "bun:test";
import { digestOf } from "../../../src/oci/index.ts";
import { anyText, errorIn, manifestInit, type RegistryFactory, startHarness } from "../harness.ts";

const del = { method: "DELETE" };
const missing = digestOf(Buffer.from("absent"));

export function deleteTests(factory: RegistryFactory): void {
  describe("DELETE", () => deletingTests(factory));
  describe("what settings forbid", () => forbiddenTests(factory));
}

function deletingTests(factory: RegistryFactory): void {
  test("of a manifest by digest is 202 as in the guide, and its tags go too", async () => {
    await using harness = await startHarness(factory);
    const digest = await harness.pushImage("app", "v1");
    const response = await harness.ask(`/v2/app/manifests/${digest}`, del);
    expect(response.status).toBe(202);
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-length": "0",
      date: anyText,
      "docker-distribution-api-version": "registry/2.0",
      "x-content-type-options": "nosniff",
    });
    expect((await harness.ask("/v2/app/manifests/v1")).status).toBe(404);
    const again = await harness.ask(`/v2/app/manifests/${digest}`, del);
    expect(again.status).toBe(404);
    expect((await errorIn(again)).code).toBe("MANIFEST_UNKNOWN");
  });

  test("of a tag leaves the manifest", async () => {
    await using harness = await startHarness(factory);
    const digest = await harness.pushImage("app", "v1");
    expect((await harness.ask("/v2/app/manifests/v1", del)).status).toBe(202);
    expect((await harness.ask("/v2/app/manifests/v1")).status).toBe(404);
    expect((await harness.ask(`/v2/app/manifests/${digest}`)).status).toBe(200);
    expect((await harness.ask("/v2/app/manifests/v1", del)).status).toBe(404);
    expect((await harness.ask("/v2/app/manifests/.bad", del)).status).toBe(404);
    expect((await harness.ask("/v2/app/manifests/sha256:zz", del)).status).toBe(400);
  });

  test("of a blob that nothing needs is 202, of one that a manifest needs 403 DENIED", async () => {
    await using harness = await startHarness(factory);
    const free = await harness.pushBlob("app", "free");
    const response = await harness.ask(`/v2/app/blobs/${free}`, del);
    expect(response.status).toBe(202);
    expect(response.headers.get("content-length")).toBe("0");
    expect((await harness.ask(`/v2/app/blobs/${free}`)).status).toBe(404);
    const again = await harness.ask(`/v2/app/blobs/${free}`, del);
    expect([again.status, (await errorIn(again)).code]).toEqual([404, "BLOB_UNKNOWN"]);
    const manifest = await harness.pushImage("app", "v1", "needed");
    const needed = digestOf(Buffer.from("needed"));
    const denied = await harness.ask(`/v2/app/blobs/${needed}`, del);
    expect(denied.status).toBe(403);
    const error = await errorIn(denied);
    expect(error.code).toBe("DENIED");
    expect(JSON.stringify(error)).toContain(manifest);
  });
}

function forbiddenTests(factory: RegistryFactory): void {
  test("storage.delete.enabled false: 405 UNSUPPORTED that names the key", async () => {
    await using harness = await startHarness(factory, { deleteEnabled: false });
    const digest = await harness.pushImage("app", "v1");
    const paths = [`manifests/${digest}`, "manifests/v1", `blobs/${missing}`];
    for (const path of paths) {
      const response = await harness.ask(`/v2/app/${path}`, del);
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toStartWith("GET, HEAD");
      const error = await errorIn(response);
      expect(error.code).toBe("UNSUPPORTED");
      expect(error.message).toContain("storage.delete.enabled");
    }
    expect((await harness.ask("/v2/app/manifests/v1")).status).toBe(200);
  });

  test("read-only: 405 on every write with Allow, while reads go on", async () => {
    const registry = await factory();
    {
      await using harness = await startHarness(() => registry);
      await harness.pushImage("app", "v1");
    }
    await using harness = await startHarness(() => registry, { readOnly: true });
    const writes: [string, RequestInit, string][] = [
      ["/v2/app/manifests/v1", manifestInit("{}"), "GET, HEAD"],
      ["/v2/app/manifests/v1", del, "GET, HEAD"],
      [`/v2/app/blobs/${missing}`, del, "GET, HEAD"],
      ["/v2/app/blobs/uploads/", { method: "POST" }, ""],
      ["/v2/app/blobs/uploads/x", { method: "PATCH", body: "x" }, "GET, HEAD"],
      [`/v2/app/blobs/uploads/x?digest=${missing}`, { method: "PUT", body: "x" }, "GET, HEAD"],
      ["/v2/app/blobs/uploads/x", del, "GET, HEAD"],
    ];
    for (const [path, init, allow] of writes) {
      const response = await harness.ask(path, init);
      expect([path, response.status]).toEqual([path, 405]);
      expect(response.headers.get("allow")).toBe(allow);
      const error = await errorIn(response);
      expect(error.code).toBe("UNSUPPORTED");
      expect(error.message).toContain("storage.maintenance.readonly.enabled");
    }
    expect((await harness.ask("/v2/app/manifests/v1")).status).toBe(200);
    expect((await harness.ask("/v2/app/manifests/v1", { method: "HEAD" })).status).toBe(200);
    expect((await harness.ask("/v2/app/tags/list")).status).toBe(200);
  });
}
