// Usage over the API: the sums, the largest, one repository, one image, and what deleting would give back,
// which is what deleting and collecting then do give back.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { imageOf, makeImage, makeLayer } from "../../support/images.ts";
import { type Served, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

const shared = makeLayer("usage/shared", 10_000);
const large = imageOf([shared, makeLayer("usage/large", 50_000)], { label: "large" });
const small = imageOf([shared, makeLayer("usage/small", 500)], { label: "small" });
const alone = makeImage("usage/alone", [2_000]);

const bytesOf = (...blobs: readonly { readonly bytes: Uint8Array }[]): number =>
  blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
const allOf = (image: typeof large) => [image.manifest, image.config, ...image.layers];

interface Preview {
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly unknown: readonly string[];
  readonly freed: readonly { readonly digest: string; readonly sizeBytes: number }[];
  readonly going: readonly { readonly digest: string }[];
}

describe("usage", () => {
  let served: Served;
  beforeAll(async () => {
    served = await startServed();
    await served.push.push("team/large", "v1", large);
    await served.push.push("team/small", "v1", small);
    await served.push.push("alone", "x", alone);
  });
  afterAll(() => served[Symbol.asyncDispose]());

  const stored = bytesOf(
    ...allOf(large),
    small.manifest,
    small.config,
    ...small.layers.slice(1),
    ...allOf(alone),
  );

  test("the sums are those of the blobs", async () => {
    expect(await served.get<object>("/usage")).toMatchObject({
      storedBytes: stored,
      heldBytes: stored,
      logicalBytes: stored + bytesOf(shared),
      repositories: 3,
      manifests: 3,
      blobs: 10,
      uploads: { sessions: 0, bytes: 0 },
    });
  });

  test("the largest repositories, tags and blobs", async () => {
    const repositories = await served.get<{ items: { repository: string; sharedBytes: number }[] }>(
      "/usage/repositories?limit=2",
    );
    expect(repositories).toMatchObject({ count: 3, logicalBytes: stored + bytesOf(shared) });
    expect(repositories.items.map(({ repository }) => repository)).toEqual(["team/large", "alone"]);
    expect(repositories.items[0]?.sharedBytes).toBe(bytesOf(shared));
    const logical = await served.get<{ items: { repository: string }[] }>(
      "/usage/repositories?by=logical&repositories=team/**",
    );
    expect(logical.items.map(({ repository }) => repository)).toEqual(["team/large", "team/small"]);
    const tags = await served.get<{ items: object[] }>("/usage/tags?limit=1");
    expect(tags.items).toMatchObject([
      {
        repository: "team/large",
        tag: "v1",
        logicalBytes: bytesOf(...allOf(large)),
        exclusiveBytes: bytesOf(...allOf(large)) - bytesOf(shared),
      },
    ]);
    const blobs = await served.get<{ items: object[] }>("/usage/blobs?limit=2");
    expect(blobs.items).toMatchObject([
      { digest: large.layers[1]?.digest, repositories: ["team/large"] },
      { digest: shared.digest, repositories: ["team/large", "team/small"], isHeldByMore: false },
    ]);
    expect(await served.get<object>("/usage/ages")).toMatchObject({
      items: [{ youngerThanDays: 1, manifests: 3 }, {}, {}, {}, {}, {}, {}],
    });
    await served.get("/usage/history");
  });

  test("one repository and one image", async () => {
    expect(await served.get<object>("/repositories/team%2Fsmall/-/usage")).toMatchObject({
      logicalBytes: bytesOf(...allOf(small)),
      exclusiveBytes: bytesOf(...allOf(small)) - bytesOf(shared),
      sharedWith: [{ repository: "team/large", bytes: bytesOf(shared) }],
      untagged: { manifests: 0, bytes: 0 },
    });
    expect(await served.get<object>("/repositories/alone/-/images/x/usage")).toMatchObject({
      digest: alone.manifest.digest,
      logicalBytes: bytesOf(...allOf(alone)),
      exclusiveBytes: bytesOf(...allOf(alone)),
    });
    expect((await served.ask("/repositories/nobody/-/usage")).status).toBe(404);
    expect((await served.ask("/repositories/alone/-/images/y/usage")).status).toBe(404);
    expect((await served.ask("/usage/tags?repositories=%20")).status).toBe(400);
  });

  test("what deleting these together would free is what it then frees", async () => {
    const of = `team/large,team/small@${small.manifest.digest},nobody:x`;
    const preview = await served.get<Preview>(`/deletions/preview?of=${encodeURIComponent(of)}`);
    const bytes = stored - bytesOf(...allOf(alone));
    expect(preview).toMatchObject({ manifests: 2, blobs: 7, bytes, unknown: ["nobody:x"] });
    expect(preview.freed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(bytes);
    expect(preview.going).toMatchObject([{ digest: small.manifest.digest }]);
    for (const path of ["/repositories/team/large", "/repositories/team/small"]) {
      await served.ask(path, { method: "DELETE", headers: { "X-Plimsoll": "1" } });
    }
    await served.post("/collection/start", { keepDeletedSeconds: 0 });
    for (;;) {
      const { state, last } = await served.get<{ state: string; last: object | null }>(
        "/collection",
      );
      if (state !== "idle") continue;
      expect(last).toMatchObject({ report: { bytes, blobs: 7 } });
      break;
    }
    expect((await served.ask("/deletions/preview?of=A")).status).toBe(400);
    expect((await served.ask(`/deletions/preview?of=${"a,".repeat(100)}a`)).status).toBe(400);
    expect((await served.ask("/deletions/preview")).status).toBe(400);
  });
});
