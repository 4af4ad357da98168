// One image of the API: its tree, layers and their other users, referrers, and how it was made; also where what
// was pushed is odd.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  type Blob,
  digestOf,
  type Image,
  imageOf,
  makeImage,
  makeIndex,
  makeLayer,
  mediaTypes,
} from "../../support/images.ts";
import { type Served, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

interface ImageDocument {
  readonly digest: string;
  readonly tags: readonly string[];
  readonly layers: readonly {
    readonly digest: string;
    readonly storedBytes: number | null;
    readonly usedBy: { readonly repositories: readonly string[]; readonly count: number } | null;
  }[];
  readonly config: {
    readonly problem: string | null;
    readonly content: {
      readonly history: readonly { readonly isEmpty: boolean; readonly layer: string | null }[];
    } | null;
  } | null;
  readonly manifests: readonly {
    readonly digest: string;
    readonly isPresent: boolean;
    readonly platform: { readonly architecture: string } | null;
  }[];
  readonly referrers: readonly { readonly artifactType: string | null }[];
  readonly areReferrersTruncated: boolean;
}

function blobOf(mediaType: string, value: unknown): Blob {
  const bytes = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  return { mediaType, digest: digestOf(bytes), bytes };
}

function descriptorOf({ mediaType, digest, bytes }: Blob): object {
  return { mediaType, digest, size: bytes.length };
}

/** An image whose config says what is given. */
function imageWithConfig(
  config: unknown,
  layers = makeImage("configured", [10, 20]).layers,
): Image {
  const blob = blobOf(mediaTypes.config, config);
  const manifest = blobOf(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: descriptorOf(blob),
    layers: layers.map(descriptorOf),
  });
  return { manifest, config: blob, layers };
}

describe("an image", () => {
  let served: Served;
  const get = (name: string, reference: string) =>
    served.get<ImageDocument>(`/repositories/${name}/-/images/${reference}`);
  beforeAll(async () => {
    served = await startServed();
  });
  afterAll(() => served[Symbol.asyncDispose]());

  test("by tag and by digest, with all of its tags and its layers in order", async () => {
    const image = makeImage("plain", [100, 200]);
    await served.push.push("plain", "b", image);
    await served.push.push("plain", "a", image);
    const byTag = await get("plain", "b");
    expect(await get("plain", image.manifest.digest)).toEqual(byTag);
    expect(byTag).toMatchObject({
      digest: image.manifest.digest,
      mediaType: mediaTypes.manifest,
      manifestBytes: image.manifest.bytes.length,
      tags: ["a", "b"],
      subject: null,
      layerBytes: image.layers.reduce((sum, { bytes }) => sum + bytes.length, 0),
    });
    expect(byTag.layers.map(({ digest }) => digest)).toEqual(
      image.layers.map(({ digest }) => digest),
    );
    expect(byTag.layers.map(({ storedBytes }) => storedBytes)).toEqual(
      image.layers.map(({ bytes }) => bytes.length),
    );
  });

  test("of each layer, who else holds it: ten by name, all of them counted", async () => {
    const shared = makeLayer("shared", 50);
    const names = Array.from({ length: 13 }, (_, n) => `user${String(n).padStart(2, "0")}`);
    for (const name of names) {
      await served.push.push(name, "x", imageOf([shared, makeLayer(name, 60)], { label: name }));
    }
    const { layers } = await get("user03", "x");
    expect(layers[0]?.usedBy).toEqual({
      repositories: names.filter((name) => name !== "user03").slice(0, 10),
      count: 12,
      atLeast: false,
    } as never);
    expect(layers[1]?.usedBy).toMatchObject({ repositories: [], count: 0 });
  });

  test("an index: its children by platform, and which of them are here", async () => {
    const layers = [makeLayer("multi", 100)];
    const index = makeIndex("multi", { amd64: layers, arm64: layers });
    const [first, second] = index.images;
    if (first === undefined || second === undefined) throw new Error("no images");
    for (const image of index.images) {
      await served.push.push("multi", image.manifest.digest, image);
    }
    await served.push.putManifest("multi", "v1", index.manifest);
    const { manifests, layers: own, config } = await get("multi", "v1");
    expect([own, config]).toEqual([[], null]);
    const bytes = first.config.bytes.length + (layers[0]?.bytes.length ?? 0);
    expect(manifests[0]).toMatchObject({
      digest: first.manifest.digest,
      isPresent: true,
      platform: { os: "linux", architecture: "amd64", variant: null, osVersion: null },
      contentBytes: bytes,
    });
    expect(manifests.map(({ platform }) => platform?.architecture)).toEqual(["amd64", "arm64"]);
    await served.push.deleteManifest("multi", second.manifest.digest);
    expect((await get("multi", "v1")).manifests[1]).toMatchObject({
      digest: second.manifest.digest,
      isPresent: false,
      contentBytes: null,
    });
  });

  test("what refers to it, the first twenty, and all in pages", async () => {
    const image = makeImage("subject", [10]);
    await served.push.push("signed", "v1", image);
    const empty = blobOf("application/vnd.oci.empty.v1+json", "{}");
    await served.push.pushBlob("signed", empty);
    for (let n = 0; n < 23; n++) {
      const referrer = blobOf(mediaTypes.manifest, {
        schemaVersion: 2,
        mediaType: mediaTypes.manifest,
        artifactType: n === 0 ? "application/x.sbom" : "application/x.signature",
        config: descriptorOf(empty),
        layers: [descriptorOf(empty)],
        subject: descriptorOf(image.manifest),
        annotations: { n: String(n) },
      });
      await served.push.putManifest("signed", referrer.digest, referrer);
    }
    const { referrers, areReferrersTruncated } = await get("signed", "v1");
    expect([referrers.length, areReferrersTruncated]).toEqual([20, true]);
    const list = async (query: string): Promise<number[]> => {
      const sizes: number[] = [];
      let at: string | null = `/repositories/signed/-/images/v1/referrers?${query}`;
      while (at !== null) {
        const page: { items: unknown[]; next: string | null } = await served.get(at);
        sizes.push(page.items.length);
        at = page.next?.replace(/^\/api\/v1/, "") ?? null;
      }
      return sizes;
    };
    expect(await list("limit=10")).toEqual([10, 10, 3]);
    expect(await list("artifactType=application/x.sbom")).toEqual([1]);
    expect(await list("artifactType=nothing")).toEqual([0]);
  });

  test("how it was made, step by step, and how it runs", async () => {
    const image = imageWithConfig({
      created: "2026-01-02T03:04:05Z",
      author: "somebody",
      os: "linux",
      architecture: "arm64",
      variant: "v8",
      config: {
        User: "app",
        WorkingDir: "/srv",
        Entrypoint: ["/bin/app"],
        Cmd: ["serve"],
        Env: ["A=1"],
        ExposedPorts: { "80/tcp": {} },
        Volumes: { "/data": {} },
        StopSignal: "SIGINT",
        Labels: { "org.x": "y" },
      },
      history: [
        { created: "2026-01-02T03:04:05Z", created_by: "ADD base" },
        { created_by: "ENV A=1", empty_layer: true, comment: "buildkit" },
        { created_by: "COPY app", author: "somebody" },
      ],
    });
    await served.push.push("made", "v1", image);
    const { config } = await get("made", "v1");
    const [base, app] = image.layers.map(({ digest }) => digest);
    const step = { createdAt: null, author: null, comment: null, isEmpty: false };
    expect(config?.content).toEqual({
      createdAt: "2026-01-02T03:04:05Z",
      author: "somebody",
      os: "linux",
      architecture: "arm64",
      variant: "v8",
      osVersion: null,
      user: "app",
      workingDirectory: "/srv",
      entrypoint: ["/bin/app"],
      command: ["serve"],
      environment: ["A=1"],
      exposedPorts: ["80/tcp"],
      volumes: ["/data"],
      stopSignal: "SIGINT",
      labels: { "org.x": "y" },
      history: [
        { ...step, createdAt: "2026-01-02T03:04:05Z", createdBy: "ADD base", layer: base },
        { ...step, createdBy: "ENV A=1", comment: "buildkit", isEmpty: true, layer: null },
        { ...step, createdBy: "COPY app", author: "somebody", layer: app },
      ],
      isHistoryTruncated: false,
    } as never);
  });

  test.each([
    ["a list", []],
    ["no JSON", "not json"],
    ["a text", '"text"'],
    ["null", "null"],
  ])("a config that is %s is said to be unreadable", async (_what, config) => {
    await served.push.push("odd", "v1", imageWithConfig(config));
    expect((await get("odd", "v1")).config).toMatchObject({ content: null, problem: "unreadable" });
  });

  test("a config with odd members is read as far as it goes", async () => {
    const config = {
      os: 5,
      created: null,
      config: { Env: "A=1", Cmd: { a: 1 }, Labels: [1], ExposedPorts: "x", Entrypoint: [1, "a"] },
      history: [null, 3, { created_by: 7, empty_layer: "yes" }, { empty_layer: true }],
    };
    await served.push.push("odd", "v2", imageWithConfig(config));
    const { content } = (await get("odd", "v2")).config ?? {};
    expect(content).toMatchObject({
      os: null,
      environment: ["A=1"],
      command: [],
      entrypoint: ["a"],
      labels: {},
      exposedPorts: [],
    });
    // Three steps made layers and there are two: nobody knows which step made which.
    expect(content?.history.map(({ layer }) => layer)).toEqual([null, null, null, null]);
  });

  test("a huge config is not read, nor what is no image's config", async () => {
    const huge = imageWithConfig({ os: "linux", padding: "x".repeat(1024 * 1024) });
    await served.push.push("odd", "huge", huge);
    expect((await get("odd", "huge")).config?.problem).toBe("too-large");
    const other = blobOf("application/vnd.helm.config.v1+json", { name: "chart" });
    const { layers } = huge;
    const manifest = blobOf(mediaTypes.manifest, {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: descriptorOf(other),
      layers: layers.map(descriptorOf),
    });
    await served.push.push("odd", "chart", { manifest, config: other, layers: huge.layers });
    const chart = await get("odd", "chart");
    expect(chart.config?.problem).toBe("not-an-image");
    expect(chart).toMatchObject({ artifactType: "application/vnd.helm.config.v1+json" });
  });

  test("very many layers: five hundred are shown, and that there are more", async () => {
    const layer = makeLayer("many", 10);
    const config = blobOf(mediaTypes.config, "{}");
    const manifest = blobOf(mediaTypes.manifest, {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: descriptorOf(config),
      layers: Array.from({ length: 9_000 }, () => descriptorOf(layer)),
    });
    await served.push.push("many", "v1", { manifest, config, layers: [layer] });
    const document = await get("many", "v1");
    expect(document.layers).toHaveLength(500);
    expect(document).toMatchObject({
      areLayersTruncated: true,
      layerBytes: 9_000 * layer.bytes.length,
    });
  });
});
