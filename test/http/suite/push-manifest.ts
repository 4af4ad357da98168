// Pushing manifests: by tag and digest, with tags and subjects, and what is refused.
import { describe, expect, test } from "bun:test";
import { digestOf, manifestBytesMax } from "../../../src/oci/index.ts";
import {
  type RegistryFactory,
  errorIn,
  imageManifest,
  manifestInit,
  startHarness,
} from "../harness.ts";

export function pushManifestTests(factory: RegistryFactory): void {
  describe("PUT of a manifest", () => acceptedTests(factory));
  describe("PUT of a manifest that is refused", () => refusedTests(factory));
}

async function withManifest(factory: RegistryFactory, more: Record<string, unknown> = {}) {
  const harness = await startHarness(factory);
  const config = await harness.pushBlob("app", "config");
  const manifest = imageManifest({ config, more });
  return { harness, manifest, digest: digestOf(Buffer.from(manifest)) };
}

/** Without a Content-Length. */
function chunkedInit(manifest: string): RequestInit {
  const bytes = Buffer.from(manifest);
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(sent, sent + 65_536));
      sent += 65_536;
    },
  });
  return { ...manifestInit(""), body };
}

function acceptedTests(factory: RegistryFactory): void {
  test("by tag, with parameters on its Content-Type, is 201 with a pullable location", async () => {
    const { harness, manifest, digest } = await withManifest(factory);
    await using _ = harness;
    const type = "application/vnd.oci.image.manifest.v1+json; charset=utf-8";
    const response = await harness.ask("/v2/app/manifests/v1", manifestInit(manifest, type));
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(digest);
    expect(response.headers.get("location")).toBe(`${harness.origin}/v2/app/manifests/${digest}`);
    expect(response.headers.get("content-length")).toBe("0");
    expect(response.headers.get("oci-subject")).toBeNull();
    expect(response.headers.get("oci-tag")).toBeNull();
    expect(await (await harness.go(response.headers.get("location"))).text()).toBe(manifest);
  });

  test("by digest with tags answers OCI-Tag, and each tag is there", async () => {
    const { harness, manifest, digest } = await withManifest(factory);
    await using _ = harness;
    const path = `/v2/app/manifests/${digest}?tag=v1&tag=v1.2&tag=v1`;
    const response = await harness.ask(path, manifestInit(manifest));
    expect(response.status).toBe(201);
    expect(response.headers.get("oci-tag")).toBe("v1, v1.2");
    for (const tag of ["v1", "v1.2"]) {
      const head = await harness.ask(`/v2/app/manifests/${tag}`, { method: "HEAD" });
      expect(head.headers.get("docker-content-digest")).toBe(digest);
    }
  });

  test("with a sha512 digest", async () => {
    const { harness, manifest } = await withManifest(factory);
    await using _ = harness;
    const digest = digestOf(Buffer.from(manifest), "sha512");
    const byDigest = await harness.ask(`/v2/app/manifests/${digest}`, manifestInit(manifest));
    expect(byDigest.headers.get("docker-content-digest")).toBe(digest);
    const path = "/v2/app/manifests/v1?digest-algorithm=sha512";
    const byTag = await harness.ask(path, manifestInit(manifest));
    expect(byTag.headers.get("docker-content-digest")).toBe(digest);
  });

  test("with a subject answers OCI-Subject", async () => {
    const subject = { mediaType: "a/b", digest: digestOf(Buffer.from("absent")), size: 7 };
    const { harness, manifest, digest } = await withManifest(factory, { subject });
    await using _ = harness;
    const response = await harness.ask(`/v2/app/manifests/${digest}`, manifestInit(manifest));
    expect(response.status).toBe(201);
    expect(response.headers.get("oci-subject")).toBe(subject.digest);
  });

  test("of nearly 4 MiB, with a length and in chunks", async () => {
    const filler = "a".repeat(manifestBytesMax - 500);
    const { harness, manifest, digest } = await withManifest(factory, { annotations: { filler } });
    await using _ = harness;
    const known = await harness.ask("/v2/app/manifests/big", manifestInit(manifest));
    expect(known.headers.get("docker-content-digest")).toBe(digest);
    const streamed = await harness.ask("/v2/app/manifests/b2", chunkedInit(manifest));
    expect(streamed.headers.get("docker-content-digest")).toBe(digest);
  });
}

function refusedTests(factory: RegistryFactory): void {
  test.each([
    [".bad", "TAG_INVALID"],
    ["a".repeat(129), "TAG_INVALID"],
    ["sha256:zz", "DIGEST_INVALID"],
    [digestOf(Buffer.from("something else")), "DIGEST_INVALID"],
    [`${digestOf(Buffer.from("x"))}?tag=.bad`, "TAG_INVALID"],
    ["v1?tag=v2", "TAG_INVALID"],
    ["v1?digest-algorithm=md5", "DIGEST_INVALID"],
  ])("as %s is 400 %s", async (reference, code) => {
    const { harness, manifest } = await withManifest(factory);
    await using _ = harness;
    const response = await harness.ask(`/v2/app/manifests/${reference}`, manifestInit(manifest));
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe(code as never);
  });

  test("of a type that is not accepted, and not JSON: 400 MANIFEST_INVALID", async () => {
    const { harness, manifest } = await withManifest(factory);
    await using _ = harness;
    for (const init of [manifestInit(manifest, "text/plain"), manifestInit("not json")]) {
      const response = await harness.ask("/v2/app/manifests/v1", init);
      expect(response.status).toBe(400);
      expect((await errorIn(response)).code).toBe("MANIFEST_INVALID");
    }
  });

  test("without its content: 400 MANIFEST_BLOB_UNKNOWN", async () => {
    await using harness = await startHarness(factory);
    const manifest = imageManifest({ config: digestOf(Buffer.from("absent")) });
    const response = await harness.ask("/v2/app/manifests/v1", manifestInit(manifest));
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe("MANIFEST_BLOB_UNKNOWN");
  });

  test("larger than 4 MiB: 413, with a length and in chunks, and the server goes on", async () => {
    await using harness = await startHarness(factory);
    const large = "a".repeat(manifestBytesMax + 1);
    for (const init of [manifestInit(large), chunkedInit(large)]) {
      const response = await harness.ask("/v2/app/manifests/v1", init);
      expect(response.status).toBe(413);
      expect((await errorIn(response)).code).toBe("MANIFEST_INVALID");
    }
    expect((await harness.ask("/v2/")).status).toBe(200);
  });

  test("with more than 100 tags: 414", async () => {
    const { harness, manifest, digest } = await withManifest(factory);
    await using _ = harness;
    const tags = Array.from({ length: 101 }, (_unused, i) => `tag=t${i}`).join("&");
    const put = await harness.ask(`/v2/app/manifests/${digest}?${tags}`, manifestInit(manifest));
    expect(put.status).toBe(414);
  });
}
