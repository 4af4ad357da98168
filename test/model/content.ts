// What the model's clients push: few layers and many manifests that share them, name each other, or hang
// on each other, so that random histories meet. Digests and references are worked out here, not by src.
import { createHash } from "node:crypto";
import {
  type Digest,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../../src/oci/index.ts";

export interface Content {
  /** For the reader of a failing history. */
  readonly name: string;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly blobs: readonly Digest[];
  readonly children: readonly Digest[];
  readonly subject: Digest | null;
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";

const blobs = new Map<Digest, Uint8Array>();

function addBlob(text: string): Digest {
  const bytes = Buffer.from(text);
  const digest = sha256(bytes);
  blobs.set(digest, bytes);
  return digest;
}

function sha256(bytes: Uint8Array): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
}

/** The first three are layers, the last is the configuration of every image. */
export const layers: readonly Digest[] = [
  addBlob("a layer"),
  addBlob("another layer, longer"),
  addBlob("a third layer, the longest of all"),
  addBlob("{}"),
];
const [l0, l1, l2, config] = layers as [Digest, Digest, Digest, Digest];

interface Parts {
  readonly layers?: readonly Digest[];
  readonly children?: readonly Content[];
  readonly subject?: Content;
}

function describe(mediaType: string): (digest: Digest) => object {
  return (digest) => ({ mediaType, digest, size: blobs.get(digest)?.length ?? 1 });
}

function manifest(name: string, parts: Parts): Content {
  const children = parts.children?.map((child) => child.digest);
  const imageBlobs = [config, ...(parts.layers ?? [])];
  const body = {
    schemaVersion: 2,
    mediaType: children === undefined ? manifestType : indexType,
    ...(children === undefined
      ? {
          config: describe("application/vnd.oci.image.config.v1+json")(config),
          layers: (parts.layers ?? []).map(describe("application/vnd.oci.image.layer.v1.tar+gzip")),
        }
      : { manifests: children.map(describe(manifestType)) }),
    ...(parts.subject === undefined
      ? {}
      : { subject: describe(manifestType)(parts.subject.digest) }),
    annotations: { name },
  };
  const bytes = Buffer.from(JSON.stringify(body));
  return {
    name,
    digest: sha256(bytes),
    bytes,
    mediaType: body.mediaType,
    blobs: children === undefined ? imageBlobs : [],
    children: children ?? [],
    subject: parts.subject?.digest ?? null,
  };
}

const image0 = manifest("image 0", { layers: [l0, l1] });
const image1 = manifest("image 1", { layers: [l1, l2] });
const bare = manifest("image without layers", {});
const index = manifest("index", { children: [image0, image1] });
const small = manifest("index of one", { children: [image1] });
const nested = manifest("index of an index", { children: [index, bare] });
const signature = manifest("signature of image 0", { subject: image0 });
const attached = manifest("attachment of index", { subject: index, layers: [l2] });
const countersigned = manifest("signature of a signature", { subject: signature });
const bundle = manifest("index with a subject", { subject: bare, children: [image1, signature] });

export const contents: readonly Content[] = [
  image0,
  image1,
  bare,
  index,
  small,
  nested,
  signature,
  attached,
  countersigned,
  bundle,
];

export function contentOf(digest: Digest): Content | null {
  return contents.find((content) => content.digest === digest) ?? null;
}

/** Of a layer or a manifest. */
export function bytesOf(digest: Digest): Uint8Array {
  const bytes = blobs.get(digest) ?? contentOf(digest)?.bytes;
  if (bytes === undefined) throw new Error(`no content has the digest ${digest}`);
  return bytes;
}

export function nameOf(digest: Digest): string {
  return contentOf(digest)?.name ?? Buffer.from(bytesOf(digest)).toString();
}

/** The second lies below the first, so that directories of one contain the other's. */
export const repositories: readonly RepositoryName[] = ["a", "a/b", "c"].map(parseRepositoryName);
export const tags: readonly Tag[] = ["x", "y"].map(parseTag);
export const callers = ["ann", "bob"] as const;

/** Of layers and manifests. */
export const allDigests: readonly Digest[] = [...layers, ...contents.map(({ digest }) => digest)];
