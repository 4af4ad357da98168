// Outlines and configs of whatever lies in a registry: nothing makes reading them fail.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { digestOf } from "../oci/index.ts";
import { readImageConfig } from "./image-config.ts";
import { outlineOf } from "./manifest-outline.ts";

const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const first = digestOf(bytesOf(1));
const second = digestOf(bytesOf(2));

test("layers of schema 1 are told the lowest first, without sizes", () => {
  const { layers, config } = outlineOf(
    bytesOf({ schemaVersion: 1, fsLayers: [{ blobSum: second }, {}, null, { blobSum: first }] }),
  );
  expect(layers.map(({ digest, sizeBytes }) => [digest as string, sizeBytes])).toEqual([
    [first, null],
    [second, null],
  ]);
  expect(config).toBeNull();
});

test("what is odd in a descriptor is left out, and the rest stays", () => {
  const layer = { digest: first, size: -1, mediaType: 7, annotations: { a: "b", c: 1 }, urls: "x" };
  const child = { digest: second, size: 3, platform: { os: "linux", variant: "v8" } };
  const outline = outlineOf(
    bytesOf({ layers: [layer, "no", { digest: "sha256:1" }], manifests: [child], subject: [] }),
  );
  expect(outline.layers).toEqual([
    {
      digest: first,
      mediaType: null,
      sizeBytes: null,
      artifactType: null,
      annotations: Object.assign(Object.create(null), { a: "b" }) as Record<string, string>,
      urls: [],
      platform: null,
    },
  ]);
  expect(outline.manifests[0]).toMatchObject({
    sizeBytes: 3,
    platform: { os: "linux", architecture: "unknown", variant: "v8", osVersion: null },
  });
  expect(outline.subject).toBeNull();
});

test("any JSON, and what is none, is read", () => {
  const members = fc.constantFrom(
    "config",
    "layers",
    "manifests",
    "fsLayers",
    "blobs",
    "subject",
    "annotations",
    "history",
    "created",
    "__proto__",
  );
  const documents = fc.dictionary(
    members,
    fc.oneof(fc.jsonValue(), fc.array(fc.dictionary(members, fc.jsonValue()))),
  );
  fc.assert(
    fc.property(fc.oneof(documents, fc.jsonValue()), (value) => {
      const bytes = bytesOf(value);
      expect(outlineOf(bytes).layers).toBeArray();
      JSON.stringify(readImageConfig(bytes, [first]));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      outlineOf(bytes);
      readImageConfig(bytes, []);
    }),
  );
});
