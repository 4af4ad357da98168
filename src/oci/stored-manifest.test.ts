import { describe, expect, test } from "bun:test";
import {
  digestOf,
  ManifestInvalidError,
  mediaTypes,
  type ParsedManifest,
  readStoredManifest,
} from "./index.ts";

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const a = digestOf(encode("a"));
const b = digestOf(encode("b"), "sha512");
const c = digestOf(encode("c"));
const read = (value: unknown): ParsedManifest => readStoredManifest(encode(value));

describe("a manifest found in a tree, whoever wrote it", () => {
  test("schema 1: its layers are kept, its type is what it is served with", () => {
    const schema1 = { schemaVersion: 1, fsLayers: [{ blobSum: a }, { blobSum: a }], history: [] };
    expect(read(schema1)).toEqual({
      mediaType: mediaTypes.dockerSchema1,
      artifactType: null,
      annotations: null,
      subject: null,
      references: [{ digest: a, kind: "other" }],
    });
    expect(read({ ...schema1, signatures: [] }).mediaType).toBe(mediaTypes.dockerSchema1Signed);
  });

  test("a type that we do not know stays as it is", () => {
    const unknown = { mediaType: "application/vnd.example.thing", parts: [{ digest: b }] };
    expect(read(unknown).mediaType).toBe("application/vnd.example.thing");
    expect(read(unknown).references).toEqual([{ digest: b, kind: "other" }]);
  });

  test("without a type: by its members, else bytes", () => {
    expect(read({ manifests: [] }).mediaType).toBe(mediaTypes.ociIndex);
    expect(read({ config: {} }).mediaType).toBe(mediaTypes.ociManifest);
    expect(read({ layers: [] }).mediaType).toBe(mediaTypes.ociManifest);
    expect(read({ mediaType: 7 }).mediaType).toBe(mediaTypes.octetStream);
    expect(read({}).mediaType).toBe(mediaTypes.octetStream);
  });

  test("a bent manifest still keeps what it names", () => {
    const bent = {
      schemaVersion: "2",
      mediaType: mediaTypes.ociManifest,
      config: { digest: a, size: -5, mediaType: 3 },
      layers: [null, 7, { digest: b, size: 1e300, urls: "x" }, { digest: "sha256:no" }],
      manifests: { digest: c },
      subject: 7,
      annotations: [],
    };
    const manifest = read(bent);
    expect(manifest.references).toEqual([
      { digest: a, kind: "blob" },
      { digest: b, kind: "blob" },
      { digest: c, kind: "other" },
    ]);
    expect(manifest.subject).toBeNull();
    expect(manifest.annotations).toBeNull();
  });

  test("a size that no double can hold is no size", () => {
    const text = JSON.stringify({ config: { digest: a, size: 77_777 } });
    expect(read(text.replace("77777", "1e400")).references).toEqual([{ digest: a, kind: "blob" }]);
  });

  test.each([
    ["no JSON", "{"],
    ["nothing", ""],
    ["a list", "[]"],
    ["null", "null"],
    ["a text", '"x"'],
    ["nesting without end", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
  ])("%s cannot be read (INV-7: it keeps everything in its repository)", (_, text) => {
    expect(() => read(text)).toThrow(ManifestInvalidError);
  });

  test("bytes that are not UTF-8 cannot be read", () => {
    expect(() => readStoredManifest(Uint8Array.of(0x7b, 0xff, 0x7d))).toThrow(ManifestInvalidError);
  });

  test("too many references cannot be read", () => {
    const layers = Array.from({ length: 10_001 }, (_, n) => ({ digest: digestOf(encode(`${n}`)) }));
    expect(() => read({ layers })).toThrow(ManifestInvalidError);
  });
});
