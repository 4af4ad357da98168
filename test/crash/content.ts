// The images that the crash tests push: small, some sharing layers, one index with two children, one
// referrer. Found again by digest, so that a journal of another process can be understood.
import { type Digest, digestOf, parseDigest } from "../../src/oci/index.ts";
import {
  type Blob,
  type Image,
  imageOf,
  makeIndex,
  makeLayer,
  mediaTypes,
} from "../support/images.ts";

export interface Artifact {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** Its configuration and layers. */
  readonly blobs: readonly Digest[];
  /** The manifests that it names as an index. */
  readonly children: readonly Digest[];
  readonly subject: Digest | null;
}

const blobs = new Map<Digest, Uint8Array>();
const artifacts = new Map<Digest, Artifact>();

function addBlob({ digest, bytes }: Blob): Digest {
  const parsed = parseDigest(digest);
  blobs.set(parsed, bytes);
  return parsed;
}

/** For tests that push something else beside. */
export function addArtifact(
  manifest: Blob,
  content: Partial<Pick<Artifact, "blobs" | "children" | "subject">>,
): Artifact {
  const artifact: Artifact = {
    mediaType: manifest.mediaType,
    digest: parseDigest(manifest.digest),
    bytes: manifest.bytes,
    blobs: [],
    children: [],
    subject: null,
    ...content,
  };
  artifacts.set(artifact.digest, artifact);
  return artifact;
}

export function addImage(image: Image): Artifact {
  return addArtifact(image.manifest, { blobs: [...image.layers, image.config].map(addBlob) });
}

function addReferrer(subject: Artifact): Artifact {
  const layer = makeLayer("crash/sbom", 500);
  const empty = Buffer.from("{}");
  const config: Blob = {
    mediaType: "application/vnd.oci.empty.v1+json",
    digest: digestOf(empty),
    bytes: empty,
  };
  const descriptor = ({ mediaType, digest, bytes }: Blob) => ({
    mediaType,
    digest,
    size: bytes.byteLength,
  });
  const body = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: "application/vnd.example.sbom",
    config: descriptor(config),
    layers: [descriptor(layer)],
    subject: descriptor(subject),
  };
  const bytes = Buffer.from(JSON.stringify(body));
  const manifest = { mediaType: mediaTypes.manifest, digest: digestOf(bytes), bytes };
  return addArtifact(manifest, { blobs: [config, layer].map(addBlob), subject: subject.digest });
}

function addIndex(): { readonly index: Artifact; readonly children: readonly Artifact[] } {
  const made = makeIndex("crash/multi", { amd64: [shared], arm64: [makeLayer("crash/arm", 900)] });
  const children = made.images.map(addImage);
  const index = addArtifact(made.manifest, { children: children.map((child) => child.digest) });
  return { index, children };
}

const shared = makeLayer("crash/shared", 2_000);

/** Two layers, one of them shared with `imageB` and a child of the index. */
export const imageA = addImage(imageOf([shared, makeLayer("crash/a", 1_500)], { label: "a" }));
export const imageB = addImage(imageOf([shared, makeLayer("crash/b", 700)], { label: "b" }));
export const { index: multi, children: multiChildren } = addIndex();
/** Its subject is `imageA`. */
export const sbom = addReferrer(imageA);
/** A blob that no manifest names. */
export const stray = addBlob(makeLayer("crash/stray", 600));

/** Of blobs and manifests. */
export function allDigests(): Digest[] {
  return [...blobs.keys(), ...artifacts.keys()];
}

export function blobBytes(digest: Digest): Uint8Array {
  const bytes = blobs.get(digest);
  if (bytes === undefined) throw new Error(`no test content has the digest ${digest}`);
  return bytes;
}

export function artifactOf(digest: Digest): Artifact {
  const artifact = artifacts.get(digest);
  if (artifact === undefined) throw new Error(`no test manifest has the digest ${digest}`);
  return artifact;
}
