// What a manifest says of itself, for people to look at: its descriptors in their order, with what is odd left
// out. Pure, and never fails on a JSON object: manifests of a tree may be anybody's.
import { type Digest, isDigest } from "../oci/index.ts";

export interface Descriptor {
  readonly digest: Digest;
  readonly mediaType: string | null;
  /** As the manifest says, in bytes. */
  readonly sizeBytes: number | null;
  readonly artifactType: string | null;
  readonly annotations: Readonly<Record<string, string>>;
  /** Only its URLs are said where it is; it need not be here. */
  readonly urls: readonly string[];
  readonly platform: DescribedPlatform | null;
}

export interface DescribedPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
  readonly osVersion: string | null;
}

export interface ManifestOutline {
  readonly artifactType: string | null;
  readonly annotations: Readonly<Record<string, string>>;
  readonly subject: Descriptor | null;
  readonly config: Descriptor | null;
  /** Layers of an image, blobs of an artifact. */
  readonly layers: readonly Descriptor[];
  /** Children of an index. */
  readonly manifests: readonly Descriptor[];
}

type Json = Readonly<Record<string, unknown>>;

/** Nothing is known of bytes that are no JSON object: an outline without anything in it. */
export function outlineOf(bytes: Uint8Array): ManifestOutline {
  const json = objectIn(parsed(bytes)) ?? {};
  const layers = descriptorsIn(json["layers"]);
  return {
    artifactType: textIn(json["artifactType"]),
    annotations: textsIn(json["annotations"]),
    subject: descriptorIn(json["subject"]),
    config: descriptorIn(json["config"]),
    layers: [...layers, ...descriptorsIn(json["blobs"]), ...schema1Layers(json["fsLayers"])],
    manifests: descriptorsIn(json["manifests"]),
  };
}

/** Null: not JSON. */
export function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // What cannot be read is shown as such: it is served as it is all the same.
    return null;
  }
}

export function objectIn(value: unknown): Json | null {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Json) : null;
}

export function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

export function textIn(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** Those members of an object that are text. */
export function textsIn(value: unknown): Record<string, string> {
  const texts: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, text] of Object.entries(objectIn(value) ?? {})) {
    if (typeof text === "string") texts[key] = text;
  }
  return texts;
}

function descriptorsIn(value: unknown): Descriptor[] {
  return listIn(value)
    .map(descriptorIn)
    .filter((descriptor) => descriptor !== null);
}

function descriptorIn(value: unknown): Descriptor | null {
  const json = objectIn(value);
  const digest = json?.["digest"];
  if (json === null || typeof digest !== "string" || !isDigest(digest)) return null;
  const size = json["size"];
  return {
    digest,
    mediaType: textIn(json["mediaType"]),
    sizeBytes: Number.isSafeInteger(size) && (size as number) >= 0 ? (size as number) : null,
    artifactType: textIn(json["artifactType"]),
    annotations: textsIn(json["annotations"]),
    urls: listIn(json["urls"]).filter((url) => typeof url === "string"),
    platform: platformIn(json["platform"]),
  };
}

function platformIn(value: unknown): DescribedPlatform | null {
  const json = objectIn(value);
  if (json === null) return null;
  return {
    os: textIn(json["os"]) ?? "unknown",
    architecture: textIn(json["architecture"]) ?? "unknown",
    variant: textIn(json["variant"]),
    osVersion: textIn(json["os.version"]),
  };
}

/** Docker schema 1 names the newest layer first, without its size. */
function schema1Layers(value: unknown): Descriptor[] {
  return listIn(value)
    .map((layer) => descriptorIn({ digest: objectIn(layer)?.["blobSum"] }))
    .filter((descriptor) => descriptor !== null)
    .toReversed();
}
