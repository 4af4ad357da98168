// Pulling: blobs with ranges and conditions, manifests by tag and digest.
import { describe, expect, test } from "bun:test";
import { digestOf, mediaTypes } from "../../../src/oci/index.ts";
import {
  anyText,
  errorIn,
  imageManifest,
  manifestInit,
  type RegistryFactory,
  startHarness,
} from "../harness.ts";

const content = "0123456789abcdefghij";
const digest = digestOf(Buffer.from(content));
const missing = digestOf(Buffer.from("nobody pushed this"));
const blobPath = `/v2/library/app/blobs/${digest}`;

async function withBlob(factory: RegistryFactory) {
  const harness = await startHarness(factory);
  await harness.pushBlob("library/app", content);
  return harness;
}

export function pullTests(factory: RegistryFactory): void {
  describe("GET and HEAD of a blob", () => blobTests(factory));
  describe("GET of a part of a blob", () => rangeTests(factory));
  describe("GET and HEAD of a manifest", () => manifestTests(factory));
}

function blobTests(factory: RegistryFactory): void {
  test("GET answers its bytes with the classic registry's headers", async () => {
    await using harness = await withBlob(factory);
    const response = await harness.ask(blobPath);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(content);
    expect(Object.fromEntries(response.headers)).toEqual({
      "accept-ranges": "bytes",
      "cache-control": "max-age=31536000",
      "content-disposition": "attachment",
      "content-length": "20",
      "content-type": "application/octet-stream",
      date: anyText,
      "docker-content-digest": digest,
      "docker-distribution-api-version": "registry/2.0",
      etag: `"${digest}"`,
      "x-content-type-options": "nosniff",
    });
  });

  test("HEAD answers the same headers and no body", async () => {
    await using harness = await withBlob(factory);
    const got = await harness.ask(blobPath);
    const head = await harness.ask(blobPath, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe("");
    expect(Date.parse(head.headers.get("date") ?? "")).toBeGreaterThan(0);
    const names = (response: Response) => [...response.headers].filter(([name]) => name !== "date");
    expect(names(head)).toEqual(names(got));
  });

  test("a blob that is not there is 404 BLOB_UNKNOWN, for HEAD without a body", async () => {
    await using harness = await withBlob(factory);
    const response = await harness.ask(`/v2/library/app/blobs/${missing}`);
    expect(response.status).toBe(404);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect((await errorIn(response)).code).toBe("BLOB_UNKNOWN");
    const head = await harness.ask(`/v2/library/app/blobs/${missing}`, { method: "HEAD" });
    expect(head.status).toBe(404);
    expect(Number(head.headers.get("content-length"))).toBeGreaterThan(0);
    expect(await head.text()).toBe("");
  });

  test("a blob of another repository is not there", async () => {
    await using harness = await withBlob(factory);
    expect((await harness.ask(`/v2/other/blobs/${digest}`)).status).toBe(404);
  });

  test("a malformed digest is 400 DIGEST_INVALID", async () => {
    await using harness = await withBlob(factory);
    for (const text of [
      "sha256:zz",
      "xyz",
      "sha256:",
      `md5:${"0".repeat(32)}`,
      digest.toUpperCase(),
    ]) {
      const response = await harness.ask(`/v2/library/app/blobs/${text}`);
      expect([text, response.status]).toEqual([text, 400]);
      expect((await errorIn(response)).code).toBe("DIGEST_INVALID");
    }
  });

  test("an encoded colon is understood", async () => {
    await using harness = await withBlob(factory);
    expect((await harness.ask(blobPath.replace("sha256:", "sha256%3A"))).status).toBe(200);
  });

  test("If-None-Match with its digest is 304, with another 200", async () => {
    await using harness = await withBlob(factory);
    for (const tag of [`"${digest}"`, `W/"${digest}"`, `"x", "${digest}"`, "*"]) {
      const response = await harness.ask(blobPath, { headers: { "If-None-Match": tag } });
      expect([tag, response.status]).toEqual([tag, 304]);
      expect(response.headers.get("etag")).toBe(`"${digest}"`);
      expect(await response.text()).toBe("");
    }
    const other = await harness.ask(blobPath, { headers: { "If-None-Match": `"${missing}"` } });
    expect(other.status).toBe(200);
  });
}

function rangeTests(factory: RegistryFactory): void {
  test.each([
    ["bytes=0-4", "01234", "bytes 0-4/20"],
    ["bytes=15-", "fghij", "bytes 15-19/20"],
    ["bytes=-3", "hij", "bytes 17-19/20"],
    ["bytes=-100", content, "bytes 0-19/20"],
    ["bytes=18-500", "ij", "bytes 18-19/20"],
  ])("%s is 206 with that part", async (range, part, contentRange) => {
    await using harness = await withBlob(factory);
    const response = await harness.ask(blobPath, { headers: { Range: range } });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(contentRange);
    expect(response.headers.get("content-length")).toBe(String(part.length));
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    expect(await response.text()).toBe(part);
  });

  test.each(["bytes=20-", "bytes=500-600", "bytes=5-2", "bytes=-0"])("%s is 416", async (range) => {
    await using harness = await withBlob(factory);
    const response = await harness.ask(blobPath, { headers: { Range: range } });
    expect(response.status).toBe(416);
    expect(response.headers.get("content-range")).toBe("bytes */20");
    expect((await errorIn(response)).code).toBe("RANGE_INVALID");
  });

  test.each(["bytes=0-1,3-4", "bytes=x", "items=0-4", "bytes=-"])(
    "%s is ignored",
    async (range) => {
      await using harness = await withBlob(factory);
      const response = await harness.ask(blobPath, { headers: { Range: range } });
      expect(response.status).toBe(200);
      expect(await response.text()).toBe(content);
    },
  );

  test("If-Range with another digest gives the whole blob", async () => {
    await using harness = await withBlob(factory);
    const ask = async (tag: string) => {
      const headers = { Range: "bytes=0-4", "If-Range": tag };
      return (await harness.ask(blobPath, { headers })).status;
    };
    expect(await ask(`"${missing}"`)).toBe(200);
    expect(await ask(`"${digest}"`)).toBe(206);
  });
}

function manifestTests(factory: RegistryFactory): void {
  test("by tag and by digest: the same bytes, the type it was pushed with", async () => {
    await using harness = await startHarness(factory);
    const config = await harness.pushBlob("app", "config");
    // Spaces and an odd order of members, which must survive.
    const manifest = `  ${imageManifest({ config })}\n`;
    expect((await harness.ask("/v2/app/manifests/v1", manifestInit(manifest))).status).toBe(201);
    const pushed = digestOf(Buffer.from(manifest));
    for (const reference of ["v1", pushed]) {
      const response = await harness.ask(`/v2/app/manifests/${reference}`, {
        headers: { Accept: mediaTypes.dockerManifest },
      });
      expect(response.status).toBe(200);
      expect(await response.text()).toBe(manifest);
      expect(Object.fromEntries(response.headers)).toEqual({
        "content-length": String(manifest.length),
        "content-type": mediaTypes.ociManifest,
        date: anyText,
        "docker-content-digest": pushed,
        "docker-distribution-api-version": "registry/2.0",
        etag: `"${pushed}"`,
        "x-content-type-options": "nosniff",
      });
      const head = await harness.ask(`/v2/app/manifests/${reference}`, { method: "HEAD" });
      expect(head.status).toBe(200);
      expect(head.headers.get("content-length")).toBe(String(manifest.length));
      expect(head.headers.get("content-type")).toBe(mediaTypes.ociManifest);
      expect(head.headers.get("docker-content-digest")).toBe(pushed);
    }
  });

  test("If-None-Match with the digest is 304", async () => {
    await using harness = await startHarness(factory);
    const pushed = await harness.pushImage("app", "v1");
    for (const method of ["GET", "HEAD"]) {
      const headers = { "If-None-Match": `"${pushed}"` };
      const response = await harness.ask("/v2/app/manifests/v1", { method, headers });
      expect(response.status).toBe(304);
      expect(response.headers.get("docker-content-digest")).toBe(pushed);
    }
  });

  test("an unknown or impossible tag is 404, a malformed digest 400", async () => {
    await using harness = await startHarness(factory);
    await harness.pushImage("app", "v1");
    const ask = async (reference: string) => {
      const response = await harness.ask(`/v2/app/manifests/${reference}`);
      return `${response.status} ${(await errorIn(response)).code}`;
    };
    expect(await ask("v2")).toBe("404 MANIFEST_UNKNOWN");
    expect(await ask(missing)).toBe("404 MANIFEST_UNKNOWN");
    expect(await ask(".INVALID_MANIFEST_NAME")).toBe("404 MANIFEST_UNKNOWN");
    expect(await ask("sha256:zz")).toBe("400 DIGEST_INVALID");
    const elsewhere = await harness.ask("/v2/nothing/here/manifests/v1");
    expect(elsewhere.status).toBe(404);
  });
}
