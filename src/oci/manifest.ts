// Reads a manifest: what it is, what it refers to, and what the referrers API says of it.
// Never decides whether a manifest is acceptable in a repository; that is registry/manifests.
// Two readers: `parseManifest` (a push: strict) and `readStoredManifest` (a tree: takes what is there).
// Source: OCI image-spec manifest.md and image-index.md; INV-7 for what counts as a reference.
import { type Digest, isDigest } from "./digest.ts";
import { ManifestInvalidError } from "./errors.ts";
import { nestsTooDeepToParse } from "./json-nesting.ts";
import { acceptedManifestTypes, isIndexType, isSchema1Type, mediaTypes } from "./media-types.ts";

/** Largest manifest that is accepted, in bytes (distribution-spec: registries SHOULD allow 4 MiB). */
export const manifestBytesMax = 4 * 1024 * 1024;
/** Most references a manifest may have (INV-4). */
export const manifestReferencesMax = 10_000;

/** What a manifest that is pushed is held to. */
export interface ManifestBounds {
  readonly referencesMax: number;
  /** Levels of lists and objects within each other. */
  readonly nestingMax: number;
}

/** Deeper nesting than any real manifest has: a bound on the walk, not on the format. */
export const manifestBoundsMax: ManifestBounds = {
  referencesMax: manifestReferencesMax,
  nestingMax: 64,
};

/**
 * What a manifest refers to, and how:
 * - `blob`: config or layer; must be in the repository.
 * - `manifest`: a child of an index; must be in the repository, sparse indexes excepted.
 * - `foreign`: a layer with `urls` of a non-distributable type; need not be anywhere.
 * - `subject`: need not be anywhere.
 * - `other`: any further `digest` or `blobSum` at any depth (INV-7); kept from collection, not required.
 */
export type ReferenceKind = "blob" | "manifest" | "foreign" | "subject" | "other";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface ManifestReference {
  readonly digest: Digest;
  readonly kind: ReferenceKind;
  /** Bytes, as the descriptor says; absent for `other`. */
  readonly size?: number;
  readonly urls?: readonly string[];
  readonly platform?: Platform;
}

export interface ParsedManifest {
  readonly mediaType: string;
  /** For the referrers API: the manifest's `artifactType`, else its config's media type. */
  readonly artifactType: string | null;
  readonly annotations: Readonly<Record<string, string>> | null;
  readonly subject: Digest | null;
  /** One entry a digest; where a digest is named twice, the kind that asks most stands. */
  readonly references: readonly ManifestReference[];
}

type Json = Record<string, unknown>;

/**
 * Reads a manifest that a client pushes.
 * @param contentType the Content-Type of the request without parameters; "" when there was none.
 * @throws ManifestInvalidError naming the field and what was expected.
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string,
  bounds: ManifestBounds = manifestBoundsMax,
): ParsedManifest {
  const json = parseObject(bytes);
  // Go clients write a field that is not set as "" or null, and read both as not set.
  const declared = json["mediaType"] === "" ? undefined : (json["mediaType"] ?? undefined);
  if (declared !== undefined && typeof declared !== "string") {
    throw new ManifestInvalidError("mediaType is not a string");
  }
  if (isSchema1(json, contentType)) {
    throw new ManifestInvalidError(
      "schema 1 manifests are not accepted any more; push again with a client that writes Docker schema 2 or OCI manifests",
    );
  }
  const mediaType = contentType === "" ? (declared ?? inferMediaType(json)) : contentType;
  if (mediaType === null || !acceptedManifestTypes.has(mediaType)) {
    const wrong =
      mediaType === null
        ? "there is no Content-Type, and nothing in the manifest says its type"
        : `"${mediaType.slice(0, 160)}" is not a manifest type that is accepted`;
    const expected = [...acceptedManifestTypes].join(", ");
    throw new ManifestInvalidError(`${wrong}; expected one of ${expected}`);
  }
  if (declared !== undefined && declared !== mediaType) {
    throw new ManifestInvalidError(
      `the manifest says mediaType "${declared.slice(0, 160)}", the Content-Type says "${mediaType}"; they must be the same`,
    );
  }
  if (declared === undefined && !mayOmitMediaType(mediaType)) {
    throw new ManifestInvalidError(`a manifest of type ${mediaType} must say so in mediaType`);
  }
  checkShape(json, mediaType);
  return describe(json, mediaType, bounds);
}

/**
 * Reads a manifest found in a tree, whoever wrote it: anything that is a JSON object goes.
 * @throws ManifestInvalidError when it is not, or nests too deep to be read safely (INV-7: then it
 * keeps everything in its repository).
 */
export function readStoredManifest(bytes: Uint8Array): ParsedManifest {
  const json = parseObject(bytes);
  const declared = typeof json["mediaType"] === "string" ? json["mediaType"] : null;
  const mediaType = declared ?? inferMediaType(json) ?? mediaTypes.octetStream;
  return describe(json, mediaType, manifestBoundsMax);
}

/** The media type of a manifest that does not name it: by its members, as the classic registry does. */
function inferMediaType(json: Json): string | null {
  if (json["schemaVersion"] === 1) {
    return "signatures" in json ? mediaTypes.dockerSchema1Signed : mediaTypes.dockerSchema1;
  }
  if (Array.isArray(json["manifests"])) return mediaTypes.ociIndex;
  if ("config" in json || Array.isArray(json["layers"])) return mediaTypes.ociManifest;
  return null;
}

function isSchema1(json: Json, contentType: string): boolean {
  return isSchema1Type(contentType) || json["schemaVersion"] === 1;
}

function mayOmitMediaType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociManifest || mediaType === mediaTypes.ociIndex;
}

function parseObject(bytes: Uint8Array): Json {
  if (nestsTooDeepToParse(bytes)) {
    throw new ManifestInvalidError("the manifest nests deeper than any is read");
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ManifestInvalidError("the manifest is not JSON in UTF-8", { cause });
  }
  if (!isObject(value)) throw new ManifestInvalidError("the manifest is not a JSON object");
  return value;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkShape(json: Json, mediaType: string): void {
  if (mediaType !== mediaTypes.ociArtifact && json["schemaVersion"] !== 2) {
    throw new ManifestInvalidError("schemaVersion is missing or not 2");
  }
  if (isIndexType(mediaType)) {
    checkDescriptors(json["manifests"], "manifests");
    if (isSet(json["layers"]) || isSet(json["config"])) {
      throw new ManifestInvalidError("an index has no config and no layers");
    }
  } else if (mediaType === mediaTypes.ociArtifact) {
    if (isSet(json["blobs"])) checkDescriptors(json["blobs"], "blobs");
  } else {
    checkDescriptor(json["config"], "config");
    checkDescriptors(json["layers"], "layers");
    if (isSet(json["manifests"]))
      throw new ManifestInvalidError("an image manifest has no manifests");
  }
  if (isSet(json["subject"])) checkDescriptor(json["subject"], "subject");
  if (isSet(json["annotations"]) && !isObject(json["annotations"])) {
    throw new ManifestInvalidError("annotations is not an object");
  }
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function checkDescriptors(value: unknown, field: string): void {
  // A Go client writes an empty list as null.
  if (value === null) return;
  if (!Array.isArray(value)) throw new ManifestInvalidError(`${field} is missing or not a list`);
  if (value.length > manifestReferencesMax) {
    throw new ManifestInvalidError(
      `${field} has ${value.length} entries; at most ${manifestReferencesMax} are accepted`,
    );
  }
  value.forEach((entry: unknown, i) => {
    checkDescriptor(entry, `${field}[${i}]`);
  });
}

function checkDescriptor(value: unknown, field: string): void {
  if (!isObject(value)) throw new ManifestInvalidError(`${field} is missing or not a descriptor`);
  const { digest, size, mediaType } = value;
  if (typeof digest !== "string" || !isDigest(digest)) {
    throw new ManifestInvalidError(
      `${field}.digest is not a digest; expected sha256:<64 hex> or sha512:<128 hex>`,
    );
  }
  if (!isSize(size)) {
    throw new ManifestInvalidError(`${field}.size is missing or not a whole number of bytes`);
  }
  if (mediaType !== undefined && typeof mediaType !== "string") {
    throw new ManifestInvalidError(`${field}.mediaType is not a string`);
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Which kind stands where a digest is named in several ways: the one that asks most. */
const rank: Readonly<Record<ReferenceKind, number>> = {
  blob: 4,
  manifest: 3,
  foreign: 2,
  subject: 1,
  other: 0,
};

function describe(json: Json, mediaType: string, bounds: ManifestBounds): ParsedManifest {
  const { referencesMax, nestingMax } = bounds;
  const references = new Map<Digest, ManifestReference>();
  const add = (reference: ManifestReference): void => {
    const before = references.get(reference.digest);
    if (before !== undefined && rank[before.kind] >= rank[reference.kind]) return;
    references.set(reference.digest, reference);
    if (references.size > referencesMax) {
      throw new ManifestInvalidError(`the manifest refers to more than ${referencesMax} digests`);
    }
  };
  addDescriptor(add, json["config"], "blob");
  addDescriptors(add, json["layers"], "blob");
  addDescriptors(add, json["blobs"], "blob");
  addDescriptors(add, json["manifests"], "manifest");
  addDescriptor(add, json["subject"], "subject");
  addDigestsWithin({ add, nestingMax }, json, 0);
  return {
    mediaType,
    artifactType: artifactTypeOf(json),
    annotations: annotationsOf(json),
    subject: digestIn(json["subject"]),
    references: [...references.values()],
  };
}

type Add = (reference: ManifestReference) => void;

function addDescriptors(add: Add, value: unknown, kind: "blob" | "manifest"): void {
  if (!Array.isArray(value)) return;
  for (const entry of value as unknown[]) addDescriptor(add, entry, kind);
}

function addDescriptor(add: Add, value: unknown, kind: "blob" | "manifest" | "subject"): void {
  const digest = digestIn(value);
  if (digest === null || !isObject(value)) return;
  const size = isSize(value["size"]) ? { size: value["size"] } : {};
  const urls = stringsIn(value["urls"]);
  const foreign = kind === "blob" && urls.length > 0 && isForeignType(value["mediaType"]);
  const platform = platformIn(value["platform"]);
  add({
    digest,
    kind: foreign ? "foreign" : kind,
    ...size,
    ...(urls.length > 0 ? { urls } : {}),
    ...(platform === null ? {} : { platform }),
  });
}

function isForeignType(mediaType: unknown): boolean {
  return (
    typeof mediaType === "string" &&
    (mediaType.startsWith("application/vnd.docker.image.rootfs.foreign.") ||
      mediaType.startsWith("application/vnd.oci.image.layer.nondistributable."))
  );
}

function platformIn(value: unknown): Platform | null {
  if (!isObject(value)) return null;
  const { os, architecture, variant } = value;
  if (typeof os !== "string" || typeof architecture !== "string") return null;
  return { os, architecture, ...(typeof variant === "string" ? { variant } : {}) };
}

function stringsIn(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).filter((entry) => typeof entry === "string");
}

function digestIn(value: unknown): Digest | null {
  if (!isObject(value)) return null;
  const { digest } = value;
  return typeof digest === "string" && isDigest(digest) ? digest : null;
}

function artifactTypeOf(json: Json): string | null {
  const own = json["artifactType"];
  if (typeof own === "string" && own !== "") return own;
  const config = json["config"];
  return isObject(config) && typeof config["mediaType"] === "string" ? config["mediaType"] : null;
}

function annotationsOf(json: Json): Record<string, string> | null {
  const value = json["annotations"];
  if (!isObject(value)) return null;
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return entries.length > 0 ? Object.fromEntries(entries) : null;
}

interface Walk {
  readonly add: Add;
  readonly nestingMax: number;
}

/** Adds every value of a key `digest` or `blobSum`, in any case, outside annotations (INV-7). */
function addDigestsWithin(walk: Walk, value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  const { add, nestingMax } = walk;
  if (depth > nestingMax) {
    throw new ManifestInvalidError(`the manifest nests deeper than ${nestingMax} levels`);
  }
  if (Array.isArray(value)) {
    for (const entry of value as unknown[]) addDigestsWithin(walk, entry, depth + 1);
    return;
  }
  for (const [key, entry] of Object.entries(value)) {
    // Upper case, because Go's readers take a long s (ſ) for an s too.
    const name = key.toUpperCase();
    if (name === "ANNOTATIONS") continue;
    if ((name === "DIGEST" || name === "BLOBSUM") && typeof entry === "string") {
      if (isDigest(entry)) add({ digest: entry, kind: "other" });
    } else {
      addDigestsWithin(walk, entry, depth + 1);
    }
  }
}
