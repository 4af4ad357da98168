import { describe, expect, test } from "bun:test";
import {
  type Digest,
  digestOf,
  ManifestInvalidError,
  manifestReferencesMax,
  mediaTypes,
  type ParsedManifest,
  parseManifest,
} from "./index.ts";

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const digestNo = (n: number): Digest => digestOf(encode(`content ${n}`));
const descriptor = (n: number, more: object = {}): object => ({
  mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
  digest: digestNo(n),
  size: n,
  ...more,
});
const image = (more: object = {}): Record<string, unknown> => ({
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: descriptor(1),
  layers: [descriptor(2), descriptor(3)],
  ...more,
});
const index = (more: object = {}): Record<string, unknown> => ({
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests: [descriptor(4), descriptor(5)],
  ...more,
});
const push = (value: unknown, type: string = mediaTypes.ociManifest): ParsedManifest =>
  parseManifest(encode(value), type);
const kinds = (manifest: ParsedManifest): Record<string, string> =>
  Object.fromEntries(manifest.references.map(({ digest, kind }) => [digest, kind]));

describe("what is accepted", () => {
  test("an OCI image manifest: config and layers are blobs", () => {
    const manifest = push(image());
    expect(manifest.mediaType).toBe(mediaTypes.ociManifest);
    expect(manifest.references).toEqual([
      { digest: digestNo(1), kind: "blob", size: 1 },
      { digest: digestNo(2), kind: "blob", size: 2 },
      { digest: digestNo(3), kind: "blob", size: 3 },
    ]);
  });

  test("an OCI index: its entries are manifests, with their platforms", () => {
    const platform = { os: "linux", architecture: "arm", variant: "v7", "os.version": "1" };
    const manifest = push(index({ manifests: [descriptor(4, { platform })] }), mediaTypes.ociIndex);
    expect(manifest.references).toEqual([
      {
        digest: digestNo(4),
        kind: "manifest",
        size: 4,
        platform: { os: "linux", architecture: "arm", variant: "v7" },
      },
    ]);
  });

  test("a Docker schema 2 manifest and list", () => {
    const single = image({ mediaType: mediaTypes.dockerManifest });
    expect(push(single, mediaTypes.dockerManifest).references).toHaveLength(3);
    const list = index({ mediaType: mediaTypes.dockerList });
    expect(kinds(push(list, mediaTypes.dockerList))).toEqual({
      [digestNo(4)]: "manifest",
      [digestNo(5)]: "manifest",
    });
  });

  test("an artifact manifest: no schemaVersion, blobs in `blobs`", () => {
    const artifact = {
      mediaType: mediaTypes.ociArtifact,
      artifactType: "application/x.signature",
      blobs: [descriptor(6)],
      subject: descriptor(7),
    };
    const manifest = push(artifact, mediaTypes.ociArtifact);
    expect(kinds(manifest)).toEqual({ [digestNo(6)]: "blob", [digestNo(7)]: "subject" });
    expect(manifest.artifactType).toBe("application/x.signature");
    expect(manifest.subject).toBe(digestNo(7));
    expect(push({ mediaType: mediaTypes.ociArtifact }, mediaTypes.ociArtifact).references).toEqual(
      [],
    );
  });

  test("no Content-Type: the manifest's own mediaType, else what its members say", () => {
    expect(push(image(), "").mediaType).toBe(mediaTypes.ociManifest);
    expect(push(index({ mediaType: undefined }), "").mediaType).toBe(mediaTypes.ociIndex);
    expect(push(image({ mediaType: undefined }), "").mediaType).toBe(mediaTypes.ociManifest);
    const docker = image({ mediaType: mediaTypes.dockerManifest });
    expect(push(docker, "").mediaType).toBe(mediaTypes.dockerManifest);
  });

  test("OCI manifests without mediaType, or with what a Go client writes for none", () => {
    for (const mediaType of [undefined, "", null]) {
      expect(push(image({ mediaType })).mediaType).toBe(mediaTypes.ociManifest);
    }
  });

  test("null where a Go client has no list, no subject, no annotations", () => {
    expect(push(image({ layers: null, subject: null, annotations: null })).references).toHaveLength(
      1,
    );
    const empty = index({ manifests: null, layers: null, config: null });
    expect(push(empty, mediaTypes.ociIndex).references).toEqual([]);
  });

  test("empty layers, and sha512", () => {
    const sha512 = digestOf(encode("config"), "sha512");
    const manifest = push(image({ config: { digest: sha512, size: 2 }, layers: [] }));
    expect(kinds(manifest)).toEqual({ [sha512]: "blob" });
  });
});

describe("what the referrers API says of it", () => {
  test("artifactType is the manifest's own, else its config's media type", () => {
    const own = image({ artifactType: "application/x.own" });
    expect(push(own).artifactType).toBe("application/x.own");
    const config = descriptor(1, { mediaType: "application/x.config" });
    expect(push(image({ config })).artifactType).toBe("application/x.config");
    expect(push(image({ config, artifactType: "" })).artifactType).toBe("application/x.config");
    expect(push(index(), mediaTypes.ociIndex).artifactType).toBeNull();
    expect(push(index({ artifactType: "a/b" }), mediaTypes.ociIndex).artifactType).toBe("a/b");
  });

  test("annotations are its strings", () => {
    const annotations = { a: "1", b: 2, c: null, d: { digest: digestNo(9) } };
    expect(push(image({ annotations })).annotations).toEqual({ a: "1" });
    expect(push(image({ annotations: {} })).annotations).toBeNull();
    expect(push(image()).annotations).toBeNull();
  });

  test("an annotation called __proto__ is an annotation", () => {
    const text = JSON.stringify(image()).replace(/}$/, ',"annotations":{"__proto__":"x"}}');
    const { annotations } = push(text);
    expect(Object.entries(annotations ?? {})).toEqual([["__proto__", "x"]]);
    expect(Object.getPrototypeOf(annotations)).toBe(Object.prototype);
  });
});

describe("what it refers to", () => {
  const foreign = {
    mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    urls: ["https://example.com/layer"],
  };

  test("a layer that others serve need not be here; only of those types, and only with urls", () => {
    const layers = [
      descriptor(2, foreign),
      descriptor(3, { ...foreign, urls: [] }),
      descriptor(4, { urls: ["https://example.com/layer"] }),
      descriptor(5, {
        ...foreign,
        mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
      }),
    ];
    const manifest = push(image({ layers }));
    expect(kinds(manifest)).toMatchObject({
      [digestNo(2)]: "foreign",
      [digestNo(3)]: "blob",
      [digestNo(4)]: "blob",
      [digestNo(5)]: "foreign",
    });
    expect(manifest.references[1]?.urls).toEqual(["https://example.com/layer"]);
  });

  test("a digest named twice counts once, as the kind that asks most", () => {
    const layers = [descriptor(2, foreign), descriptor(2), descriptor(2), descriptor(1)];
    const manifest = push(image({ layers, subject: descriptor(1), extra: descriptor(2) }));
    expect(kinds(manifest)).toEqual({ [digestNo(1)]: "blob", [digestNo(2)]: "blob" });
    expect(manifest.references).toHaveLength(2);
    const manifests = [descriptor(4), descriptor(4)];
    const list = push(index({ manifests, subject: descriptor(4) }), mediaTypes.ociIndex);
    expect(kinds(list)).toEqual({ [digestNo(4)]: "manifest" });
    expect(list.subject).toBe(digestNo(4));
  });

  test("INV-7: any digest or blobSum, in any case of letters and at any depth", () => {
    const manifest = push(
      image({
        Layers: [{ DIGEST: digestNo(10) }],
        "x-deep": [[{ a: { b: [{ blobSum: digestNo(11), BlobSum: digestNo(12) }] } }]],
        digeſt: digestNo(13),
        digest: { digest: digestNo(14) },
      }),
    );
    for (const n of [10, 11, 12, 13, 14]) expect(kinds(manifest)[digestNo(n)]).toBe("other");
  });

  test("not what annotations hold, nor digests under other keys, nor texts that are none", () => {
    const manifest = push(
      image({
        annotations: { digest: digestNo(20) },
        Annotations: { x: { digest: digestNo(21) } },
        config: descriptor(1, { annotations: { digest: digestNo(22) } }),
        other: digestNo(23),
        list: [digestNo(24)],
        more: [{ digest: "sha256:short" }, { digest: 7 }, { blobSum: null }],
      }),
    );
    expect(manifest.references).toHaveLength(3);
  });

  test("a key called __proto__, constructor or toString changes nothing and hides nothing", () => {
    const text = JSON.stringify(image()).replace(
      /}$/,
      `,"__proto__":{"digest":"${digestNo(30)}","layers":[]},"constructor":{"digest":"${digestNo(31)}"},"toString":1}`,
    );
    const manifest = push(text);
    expect(kinds(manifest)).toMatchObject({ [digestNo(30)]: "other", [digestNo(31)]: "other" });
    expect(manifest.references).toHaveLength(5);
    expect(({} as Record<string, unknown>)["digest"]).toBeUndefined();
  });

  test("INV-4: 10,000 references are taken, one more is not", () => {
    const layers = (count: number): object[] =>
      Array.from({ length: count }, (_, n) => ({ digest: digestNo(n + 100), size: n }));
    const most = push(image({ layers: layers(manifestReferencesMax - 1) }));
    expect(most.references).toHaveLength(manifestReferencesMax);
    expect(() => push(image({ layers: layers(manifestReferencesMax) }))).toThrow(
      "more than 10000 digests",
    );
    expect(() => push(image({ layers: layers(manifestReferencesMax + 1) }))).toThrow(
      "layers has 10001 entries; at most 10000 are accepted",
    );
    const hidden = { layers: layers(1), x: layers(manifestReferencesMax) };
    expect(() => push(image(hidden))).toThrow("more than 10000 digests");
  });

  test("the same digest ten thousand times is one reference", () => {
    const layers = Array.from({ length: manifestReferencesMax }, () => descriptor(2));
    expect(push(image({ layers })).references).toHaveLength(2);
  });
});

describe("what is refused, and why", () => {
  const refused: [string, unknown, string, string][] = [
    ["text that is no JSON", "{", mediaTypes.ociManifest, "not JSON"],
    ["nothing", "", mediaTypes.ociManifest, "not JSON"],
    ["a JSON list", [], mediaTypes.ociManifest, "not a JSON object"],
    ["JSON null", "null", mediaTypes.ociManifest, "not a JSON object"],
    ["a number", "7", mediaTypes.ociManifest, "not a JSON object"],
    ["a mediaType that is a number", image({ mediaType: 7 }), "", "mediaType is not a string"],
    ["a type that no manifest has", image(), "application/json", '"application/json" is not'],
    ["an unknown type of its own", image({ mediaType: "x/y" }), "", '"x/y" is not'],
    ["no type to be found", { schemaVersion: 2 }, "", "there is no Content-Type"],
    ["two types", image(), mediaTypes.ociIndex, "they must be the same"],
    [
      "Docker's type unsaid",
      image({ mediaType: undefined }),
      mediaTypes.dockerManifest,
      "must say so in mediaType",
    ],
    ["no schemaVersion", image({ schemaVersion: undefined }), "", "schemaVersion is missing"],
    ["schemaVersion as text", image({ schemaVersion: "2" }), "", "schemaVersion is missing"],
    ["schemaVersion 3", image({ schemaVersion: 3 }), "", "schemaVersion is missing or not 2"],
    ["no config", image({ config: undefined }), "", "config is missing"],
    ["config null", image({ config: null }), "", "config is missing or not a descriptor"],
    ["config a list", image({ config: [] }), "", "config is missing or not a descriptor"],
    ["no layers", image({ layers: undefined }), "", "layers is missing or not a list"],
    ["layers an object", image({ layers: {} }), "", "layers is missing or not a list"],
    ["a layer that is a text", image({ layers: ["x"] }), "", "layers[0] is missing"],
    [
      "a layer with a bad digest",
      image({ layers: [descriptor(1), { digest: "sha256:x", size: 1 }] }),
      "",
      "layers[1].digest is not a digest",
    ],
    ["a size below 0", image({ config: descriptor(1, { size: -1 }) }), "", "config.size"],
    ["half a byte", image({ config: descriptor(1, { size: 0.5 }) }), "", "config.size"],
    ["a size as text", image({ config: descriptor(1, { size: "1" }) }), "", "config.size"],
    ["no size", image({ config: descriptor(1, { size: undefined }) }), "", "config.size"],
    [
      "a media type that is a number",
      image({ config: descriptor(1, { mediaType: 1 }) }),
      "",
      "config.mediaType",
    ],
    ["manifests in an image", image({ manifests: [] }), "", "an image manifest has no manifests"],
    ["layers in an index", index({ layers: [] }), "", "an index has no config and no layers"],
    ["config in an index", index({ config: {} }), "", "an index has no config and no layers"],
    ["no manifests in an index", index({ manifests: undefined }), "", "manifests is missing"],
    ["a bad subject", image({ subject: { digest: "x" } }), "", "subject.digest is not a digest"],
    ["a subject that is a text", image({ subject: digestNo(1) }), "", "subject is missing"],
    ["annotations a list", image({ annotations: [] }), "", "annotations is not an object"],
    [
      "blobs that are no list",
      { mediaType: mediaTypes.ociArtifact, blobs: {} },
      "",
      "blobs is missing or not a list",
    ],
  ];

  test.each(refused)("%s", (_, value, ...[type, message]) => {
    expect(() => push(value, type)).toThrow(ManifestInvalidError);
    expect(() => push(value, type)).toThrow(message);
  });

  test("schema 1, however it says so, with a word on what to do", () => {
    const bare = { schemaVersion: 1, name: "a", tag: "b", fsLayers: [] };
    for (const type of ["", mediaTypes.dockerSchema1, mediaTypes.dockerSchema1Signed]) {
      expect(() => push(bare, type)).toThrow("schema 1 manifests are not accepted any more");
    }
    expect(() => push(image(), mediaTypes.dockerSchema1)).toThrow("schema 1");
    expect(() => push(bare, mediaTypes.ociManifest)).toThrow("schema 1");
  });

  test("bytes that are not UTF-8", () => {
    const bytes = encode(image({ annotations: { a: "?" } }));
    bytes[bytes.lastIndexOf("?".charCodeAt(0))] = 0xff;
    expect(() => parseManifest(bytes, mediaTypes.ociManifest)).toThrow("not JSON in UTF-8");
  });

  test("a number that no double can hold", () => {
    const text = JSON.stringify(image({ config: descriptor(1, { size: 77_777 }) }));
    for (const huge of ["1e400", "9007199254740993", `1${"0".repeat(5_000)}`]) {
      expect(() => push(text.replace("77777", huge))).toThrow("config.size");
    }
  });

  test("brackets by the million are refused without being read, brackets in a text are not", () => {
    const parse = (json: string) => () => parseManifest(Buffer.from(json), mediaTypes.ociManifest);
    const begunMs = performance.now();
    for (const json of ["[".repeat(4_000_000), '{"a":'.repeat(590_000)]) {
      expect(parse(json)).toThrow("nests deeper");
    }
    expect(performance.now() - begunMs).toBeLessThan(200);
    expect(parse(`{"a":"${'[\\"'.repeat(500_000)}"}`)).not.toThrow("nests deeper");
  });

  test("nesting that no manifest has: an error, however deep, never the end of the process", () => {
    for (const depth of [100, 100_000, 1_000_000]) {
      for (const [open, close] of [
        ["[", "]"],
        ['{"a":', "}"],
      ] as const) {
        const bomb = `${open.repeat(depth)}1${close.repeat(depth)}`;
        const text = JSON.stringify(image()).replace(/}$/, `,"x":${bomb}}`);
        expect(() => push(text)).toThrow(ManifestInvalidError);
      }
    }
    expect(() => push("[".repeat(1_000_000))).toThrow(ManifestInvalidError);
  });

  test("the error shows little of a long text", () => {
    try {
      push(image({ mediaType: "x".repeat(1_000_000) }), "");
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message.length).toBeLessThan(700);
    }
  });
});
